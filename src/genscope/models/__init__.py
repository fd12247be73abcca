"""Models by one string, and the one way to ask them: blocks, computed whole, kept in the store."""
