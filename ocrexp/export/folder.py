"""The folder of an export: written beside its place, moved there if it passes the gate, kept apart otherwise."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ocrexp.deploy.description import FILE_NAME
from ocrexp.errors import ConfigError
from ocrexp.folders import new_folder, put_folder, recover_folder, remove_folder
from ocrexp.lock import beside, holding

log = logging.getLogger(__name__)

PARITY = "parity.json"


class ExportFolder:
    """The place of an export.

    Args:
        path: the folder to write.

    Raises ConfigError if the path is something other than an export, or if it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path = Path(os.path.abspath(path))  # noqa: PTH100 - "." has a name then; links stay
        if not path.name:
            raise ConfigError(f"export.dir={path}: not a folder that can be replaced; choose another folder")
        self.failed = path.with_name(f"{path.name}.failed")
        for place in (path, self.failed):
            if recover_folder(place):
                log.warning("%s is the earlier export: the latest export was killed while it was moved there", place)
            if place.exists() and not _is_export(place):
                raise ConfigError(
                    f"export.dir={place}: exists and is not an export (it has no {FILE_NAME}); choose another folder"
                )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"export.dir={path}: cannot be created ({error.strerror}); choose another folder"
            ) from None
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise ConfigError(f"export.dir={path}: {path.parent} is not writable; choose another folder")

    @contextmanager
    def writing(self) -> Iterator[Path]:
        """A new folder beside the final place; it is deleted at the end unless `publish` or `set_aside` has moved it.

        Raises ConfigError if another process exports to the same place, or if nothing can be written.
        """
        try:
            with holding(beside(self.path), f"export.dir={self.path}"), new_folder(self.path) as temporary:
                yield temporary
        except OSError as error:
            raise ConfigError(
                f"export.dir={self.path}: cannot be written ({error.strerror or error}); free some space, or choose "
                "another place with export.dir=DIR"
            ) from error

    def publish(self, written: Path) -> None:
        """Move the new export to its place; an earlier export, and an earlier failed one, are deleted."""
        put_folder(written, self.path)
        remove_folder(self.failed)

    def set_aside(self, written: Path) -> None:
        """Keep a failed export under another name; an earlier good export is not touched."""
        put_folder(written, self.failed)


def write_finite_json(path: Path, content: dict[str, Any]) -> None:
    """Replace numbers that JSON cannot express (infinity, NaN) by null."""
    path.write_text(json.dumps(_finite(content), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value


def _is_export(folder: Path) -> bool:
    return folder.is_dir() and (not any(folder.iterdir()) or (folder / FILE_NAME).is_file())
