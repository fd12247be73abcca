"""Classifiers of generalizing statements that run on a CPU: sparse n-grams around the marked mentions, sentence embeddings, and a stack of both."""
