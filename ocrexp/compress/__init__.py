"""Smaller and faster networks: 8-bit integers, pruned channels, and the table that judges them beside the original."""
