"""Bridges: one thin file for each other tool; the rest of genscope reaches them through tables of strings only."""
