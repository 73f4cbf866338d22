"""Weights, optimizer and states files: one reader that builds plain values and NumPy arrays only."""
