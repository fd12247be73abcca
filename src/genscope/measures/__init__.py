"""Measures: pure functions from replies, data or training records to numbers."""
