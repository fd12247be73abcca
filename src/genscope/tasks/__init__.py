"""Tasks: what a model is asked, how it is scored, and the proof that the splits do not meet. Imports no torch."""
