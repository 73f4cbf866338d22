"""The keys of conf/serve.yaml that are not the models'."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ocrexp.errors import ConfigError

MB = 1_000_000


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """Where the server listens and what it accepts; units as in conf/serve.yaml."""

    host: str
    port: int
    page: bool
    dpi: int
    batch_images: int
    batch_wait_ms: float
    max_queue: int
    max_images: int
    max_pages: int
    max_file_mb: float
    max_request_mb: float
    max_pixels: int
    timeout: float
    access_log: bool

    @property
    def file_bytes(self) -> int:
        return int(self.max_file_mb * MB)

    @property
    def request_bytes(self) -> int:
        return int(self.max_request_mb * MB)

    def checked(self) -> ServeSettings:
        """The settings. Raises ConfigError for values that no server can have."""
        for key in ("dpi", "batch_images", "max_queue", "max_images", "max_pages"):
            if getattr(self, key) < 1:
                raise ConfigError(f"{key}: expected 1 or more, got {getattr(self, key)}")
        for key in ("max_file_mb", "max_request_mb", "timeout"):
            if not 0 < getattr(self, key) < math.inf:
                raise ConfigError(f"{key}: expected a finite number above 0, got {getattr(self, key)}")
        if not 0 <= self.batch_wait_ms <= 10_000:
            raise ConfigError(f"batch_wait_ms: expected 0 to 10000 milliseconds, got {self.batch_wait_ms}")
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"port: expected 0 to 65535, got {self.port}")
        if self.max_images > self.max_queue:
            raise ConfigError(
                f"max_images: a request of {self.max_images} images never fits into max_queue={self.max_queue}; raise "
                "max_queue or lower max_images"
            )
        return self
