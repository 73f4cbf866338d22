"""Hydra finds plugins in the namespace package `hydra_plugins` only; what this one does is in `ocrexp.runs.search`."""
