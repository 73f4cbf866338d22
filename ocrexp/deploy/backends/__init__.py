"""The libraries that run exported networks; each is imported when it is the one that is asked for."""

from ocrexp.deploy.backends.base import Backend
from ocrexp.deploy.backends.opening import open_backend

__all__ = ["Backend", "open_backend"]
