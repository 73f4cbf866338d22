"""Checks a data set before training: every problem with its place, what is wrong and how to correct it."""
