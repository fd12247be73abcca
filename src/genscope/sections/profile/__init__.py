"""Sections of `genscope profile`."""
