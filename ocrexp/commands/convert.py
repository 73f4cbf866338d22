"""`ocrexp convert root=DIR out=DIR`: labels from one format to another, with an account of what was not taken."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from ocrexp.command_line import command
from ocrexp.config.compose import compose
from ocrexp.config.places import new_folder_to_write
from ocrexp.config.task import DATASETS, training_on
from ocrexp.data.formats.entries import Account, Entry
from ocrexp.data.formats.registry import FORMATS
from ocrexp.data.formats.selection import Origin, divide, read_all
from ocrexp.data.formats.settings import ConvertSettings, settings_from
from ocrexp.data.formats.writing import PartWriters, part_order, parts_of
from ocrexp.deploy.label_crops import cut_entries
from ocrexp.deploy.progress import Progress
from ocrexp.errors import DataError, nothing_done, printable
from ocrexp.files import write_json
from ocrexp.folders import new_folder, put_folder
from ocrexp.logs import show_notices

SUMMARY = "Convert labels from and to the formats of data sets and labeling tools"
USAGE = """
Usage
  python -m ocrexp convert formats=true
  python -m ocrexp convert root=DIR out=DIR [from=coco_text] [to=paddleocr] [key=value ...]
  python -m ocrexp convert root=ic15 out=lists split=0.9 images=copy
  python -m ocrexp convert root=photos/Label.txt out=words crops=true crop_margin=0.1

Reads labels of a folder, recognizes their format, and writes them into a new folder in another one. What is dropped or
changed is printed with its number, reason and first places, and is in convert.json."""

REPORT = "convert.json"


def run(arguments: Sequence[str]) -> int:
    """Convert and print what was written; returns 0."""
    show_notices()
    with nothing_done():
        config = compose("convert", arguments)
        if config.formats is True:
            _print_formats()
            return 0
        given = {str(key) for key in config if not OmegaConf.is_missing(config, str(key))}
        values: Any = OmegaConf.to_container(config, resolve=True)
        settings = settings_from({key: values[key] for key in values if key in given})
        for origin in settings.origins:
            _announce(origin)
        settings, divided = _first_look(settings)
        if not any(divided):
            raise DataError(_nothing(settings, Account()))
        new_folder_to_write(settings.out, "out")
    account = Account()
    try:
        with new_folder(settings.out) as folder:
            parts = _write(settings, divided, folder, account)
            if not parts.written:
                with nothing_done():
                    raise DataError(_nothing(settings, account))
            write_json(folder / REPORT, _report(settings, parts, account))
            put_folder(folder, settings.out)
    except OSError as error:
        raise DataError(
            f"out={settings.out}: cannot be written ({error.strerror or error}); name another folder"
        ) from error
    for name, written in sorted(parts.written.items(), key=lambda part: part_order(part[0])):
        what = f"{written.images} images" + (f", {written.regions} regions" if written.regions else "")
        what += f" ({written.ignored} of them to ignore)" if written.ignored else ""
        print(f"{name}: {what}")
    for line in account.lines():
        print(f"ocrexp: {printable(line)}", file=sys.stderr)
    print(f"written: {printable(str(settings.out))}{_next_step(settings, parts)}")
    return 0


def _first_look(settings: ConvertSettings) -> tuple[ConvertSettings, list[str | None]]:
    """Which entries are taken, and for which part. A result is of one kind: where a source has regions and also images
    of one text, it is the regions."""
    kinds: set[str] = set()

    def look() -> Iterator[Entry]:
        for entry in read_all(settings.origins, settings.read, settings.filters, Account()):
            kinds.add(entry.kind)
            yield entry

    divided = divide(look(), settings.division)
    if len(kinds) > 1:
        kinds.clear()
        settings = replace(settings, filters=replace(settings.filters, task="det"))
        divided = divide(look(), settings.division)
    return settings, divided


def _write(settings: ConvertSettings, divided: list[str | None], folder: Path, account: Account) -> PartWriters:
    writer = FORMATS[settings.writer].writer
    assert writer is not None
    parts = PartWriters(writer, folder, settings.out, parts_of(divided), settings.write, account)
    entries: Iterator[tuple[str, Entry]] = _taken(settings, divided, account)
    total = sum(part is not None for part in divided)
    with Progress(total, "converting") as bar:
        if settings.crops:
            entries = cut_entries(_counted(entries, bar), settings.crop_margin, settings.workers, account)
            parts.write(entries, lambda _: None)
        else:
            parts.write(entries, bar.advance)
    return parts


def _counted(entries: Iterator[tuple[str, Entry]], bar: Progress) -> Iterator[tuple[str, Entry]]:
    for part, entry in entries:
        yield part, entry
        bar.advance(entry.name)


def _taken(settings: ConvertSettings, divided: list[str | None], account: Account) -> Iterator[tuple[str, Entry]]:
    """The entries that were chosen at the first reading, with their parts."""
    entries = read_all(settings.origins, settings.read, settings.filters, account, divided)
    for part, entry in zip(divided, entries, strict=False):
        if part is not None:
            yield part, entry
    for entry in entries:
        account.drop("image beyond limit", entry.source)
    account.drop("image not in the sample", "sample", sum(part is None for part in divided))


def _announce(origin: Origin) -> None:
    why = f" ({origin.guess.reason})" if origin.guess else ""
    print(f"read: {printable(str(origin.folder.path))} as {origin.format.name}{printable(why)}")


def _nothing(settings: ConvertSettings, account: Account) -> str:
    """Why there is nothing to write: what was dropped in writing, else in reading."""
    if not account.dropped:
        account = Account()
        for _ in read_all(settings.origins, settings.read, settings.filters, account):
            pass
    first = next(account.lines(), "no label was found")
    paths = ", ".join(str(origin.folder.path) for origin in settings.origins)
    return f"{paths}: contains no usable image; {first}"


def _report(settings: ConvertSettings, parts: PartWriters, account: Account) -> dict[str, Any]:
    """The content of convert.json."""
    return {
        "read": [
            {
                "root": str(origin.folder.path),
                "format": origin.format.name,
                "recognized": origin.guess.reason if origin.guess else None,
            }
            for origin in settings.origins
        ],
        "to": settings.writer,
        "written": {name: written.as_json() for name, written in parts.written.items()},
        **account.as_json(),
    }


def _next_step(settings: ConvertSettings, parts: PartWriters) -> str:
    if settings.writer not in DATASETS:
        return ""
    texts_only = all(written.texts and not written.regions for written in parts.written.values())
    words = training_on(settings.out, settings.writer, "rec" if texts_only else "det", parts.written)
    if settings.writer == "lmdb" and len(parts.names) == 1:  # it has no folder of its own
        words["dataset.train"] = "."
    return f" (train: {command('train', words)})"


def _print_formats() -> None:
    for name, found in FORMATS.items():
        ways = "from, to" if found.writer else "from"
        print(f"{name:16} {'/'.join(found.kinds):8} {ways:9} {found.title}: {found.reads}")
