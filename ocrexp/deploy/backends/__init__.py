"""The libraries that run exported networks; a library is imported only if it is used."""

from ocrexp.deploy.backends.base import Backend
from ocrexp.deploy.backends.opening import open_backend

__all__ = ["Backend", "open_backend"]
