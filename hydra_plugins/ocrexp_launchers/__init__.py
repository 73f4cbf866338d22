"""Hydra finds plugins in the namespace package `hydra_plugins` only; what these do is in `ocrexp.runs.launching`."""
