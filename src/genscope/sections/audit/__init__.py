"""Sections of `genscope audit`, one a file."""
