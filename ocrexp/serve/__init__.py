"""Exported models behind HTTP: one process that answers, and worker processes that read. No paddle, no Hydra."""
