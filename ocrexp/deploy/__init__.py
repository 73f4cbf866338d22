"""Exported models at work: detection, recognition, and both together, without paddle unless it is the backend."""
