"""Training: recipes as values, one loop, and attacks on trained models."""
