"""The folder of the results of a verb that makes no run: locked while it works, never overwritten unasked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path

from ocrexp.errors import ConfigError
from ocrexp.folders import claim_folder, claimed
from ocrexp.lock import LOCK, holding


@contextmanager
def output_folder(given: str | None, usual: str, report: str, what: str, overwrite: bool) -> Iterator[Path]:
    """The folder to write into, locked for this process; a new folder is removed if nothing is written.

    Args:
        given: the key `output`; None: a folder with date and time in `usual`.
        usual: the folder of such folders.
        report: the file whose presence means that the folder contains an earlier result.
        what: such a result, with its article.
        overwrite: an earlier result may be replaced.

    Raises:
        ConfigError: a file has this name, the folder cannot be written, or it contains a result.
    """
    folder = Path(given or f"{usual}/{datetime.now():%Y-%m-%d_%H-%M-%S}").expanduser()
    if given is not None and folder.exists() and not folder.is_dir():
        raise ConfigError(f"output={folder}: is a file; name a folder")
    with ExitStack() as held:
        try:
            if given is not None:
                folder.parent.mkdir(parents=True, exist_ok=True)
                made = claimed(folder)
            else:
                folder, made = claim_folder(folder), True
            if made:
                held.callback(_remove_empty, folder)
            held.enter_context(holding(folder / LOCK, f"output={folder}"))
        except OSError as error:
            raise ConfigError(f"output={folder}: cannot be written ({error.strerror}); name another folder") from None
        if (folder / report).exists() and not overwrite:
            raise ConfigError(f"output={folder}: contains {what}; name another folder, or add overwrite=true")
        yield folder


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):  # it is not empty
        folder.rmdir()
