"""LMDB databases of words and WebDataset's tar shards: images and labels in one file.

LMDB: `num-samples`, `image-000000001`, `label-000000001`, … (deep-text-recognition-benchmark, PaddleOCR). MMOCR's
databases of labels alone hold JSON, with the name of an image file.

Shards: members with the same name up to the first dot are a sample: an image, and a text (`.txt`, `.gt.txt`, `.gt`) or
JSON of `{"text"}` for a word, a list of regions as in PaddleOCR's lists, or `{"regions": […]}`. Members are read in
their order; names with `..` or a leading slash are never used as paths.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from itertools import islice, takewhile
from pathlib import Path, PurePosixPath
from typing import Any

from ocrexp.data.formats.base import REC, Format
from ocrexp.data.formats.entries import NO, Account, Entry, Guess, ReadOptions
from ocrexp.data.formats.folder import Folder, split_of
from ocrexp.data.formats.paddleocr import region_of
from ocrexp.data.formats.safe_files import parse_json
from ocrexp.data.formats.shard_writer import ShardWriter
from ocrexp.data.formats.writer import Writer, content
from ocrexp.data.image_header import IMAGES
from ocrexp.data.lmdb_file import DATA_FILE, databases
from ocrexp.data.lmdb_pages import LmdbDamaged, LmdbFile
from ocrexp.errors import DataError

_TEXTS = ("txt", "gt.txt", "gt")
_MOST_LABEL = 1 << 26  # bytes of a member with labels
_MOST_IMAGE = 1 << 31
_GLANCE = 12  # members of a shard that are looked at to recognize it
_MAP_SIZE = 1 << 40  # bytes reserved for a database; its file is as large as its content


def _read_lmdb(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    del options
    files = folder.files(f"/{DATA_FILE}") + [name for name in folder.files(DATA_FILE) if "/" not in name]
    for name in files:
        place = (folder.base / name).parent
        database = databases(place)
        try:
            has_images = database.get(b"image-000000001") is not None
            for key, value in database.items(b"label-"):
                if not key.startswith(b"label-"):
                    break
                yield _lmdb_entry(folder, place, key, value, has_images)
            for number in _unlabeled(database):
                account.drop("image without a label", f"{place}:image-{number.decode('ascii', 'replace')}")
        except LmdbDamaged as error:
            raise DataError(f"{place}: cannot be read as LMDB ({error}); copy it again") from None


def _unlabeled(database: LmdbFile) -> Iterator[bytes]:
    """The numbers of images without a label: both kinds of keys are in their order."""
    labels = _numbers(database, b"label-")
    label = next(labels, None)
    for number in _numbers(database, b"image-"):
        while label is not None and label < number:
            label = next(labels, None)
        if label != number:
            yield number


def _numbers(database: LmdbFile, start: bytes) -> Iterator[bytes]:
    keys = (key for key, _ in database.items(start, values=False))
    return (key.removeprefix(start) for key in takewhile(lambda key: key.startswith(start), keys))


def _lmdb_entry(folder: Folder, place: Path, key: bytes, value: bytes, has_images: bool) -> Entry:
    number = key[6:].decode("ascii", "replace")
    source = f"{place}:label-{number}"
    text = value.decode("utf-8", "replace")
    if not has_images and text.startswith("{"):
        label = parse_json(text, source)
        named = str(label.get("filename", ""))
        return Entry(named, folder.image(named), None, str(label.get("text") or "") or None, source=source)
    image = place / f"image-{number}"
    below = folder.below(place)
    name = f"{below}/image-{number}" if below not in ("", ".") else f"image-{number}"
    return Entry(name, image, None, text or None, split=split_of(below), source=source)


def _recognize_lmdb(folder: Folder) -> Guess:
    for name in folder.like(re.escape(DATA_FILE)):
        if folder.raw_head(name)[16:20] == b"\xde\xc0\xef\xbe":
            return Guess(0.95, f"{name} is an LMDB database")
    return NO


class LmdbWriter(Writer):
    """Writes a database that `dataset=rec_lmdb` and PaddleOCR read."""

    kinds = REC

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        import lmdb

        self._database = lmdb.open(str(self.folder), map_size=_MAP_SIZE, lock=False, sync=False)
        self._count = 0
        self._pending: list[tuple[bytes, bytes]] = []

    def put(self, entry: Entry) -> bool:
        """An image and its text."""
        assert entry.text is not None
        data = content(entry)
        self._count += 1
        self._pending.append((b"image-%09d" % self._count, data))
        self._pending.append((b"label-%09d" % self._count, entry.text.encode()))
        if len(self._pending) >= 1000:
            self._flush()
        return True

    def _flush(self) -> None:
        with self._database.begin(write=True) as transaction:
            for key, value in self._pending:
                transaction.put(key, value)
        self._pending = []

    def close(self) -> None:
        """The number of samples is known."""
        self._pending.append((b"num-samples", str(self._count).encode()))
        self._flush()
        self._database.sync(True)
        self._database.close()


def _read_shards(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    del options
    for name in folder.files(".tar", ".tar.gz", ".tgz"):
        path = folder.base / name
        for key, members in _samples(path, account):
            image = next((suffix for suffix in members if f".{suffix.rpartition('.')[2]}".lower() in IMAGES), None)
            if image is None:
                account.drop("sample without an image", f"{path}: {key}")
                continue
            entry = Entry(f"{key}.{image}", members[image], source=f"{path}: {key}", split=split_of(name))
            if _label(entry, members, account):
                yield entry


def _samples(path: Path, account: Account) -> Iterator[tuple[str, dict[str, bytes]]]:
    """The samples of a shard: consecutive members with the same key."""
    key, members = "", dict[str, bytes]()
    try:
        with tarfile.open(path, "r|*") as archive:
            for member in archive:
                if not member.isfile():
                    if not member.isdir():
                        account.drop("member that is not a file", f"{path}: {member.name}")
                    continue
                name = PurePosixPath(member.name)
                if name.name.startswith("._"):
                    continue  # macOS
                stem, _, suffix = name.name.partition(".")
                own = (name.parent / stem).as_posix()
                if own != key or suffix in members:
                    if members:
                        yield key, members
                    key, members = own, {}
                most = _MOST_LABEL if f".{suffix.rpartition('.')[2]}".lower() not in IMAGES else _MOST_IMAGE
                if member.size > most:
                    account.drop("member that is too large", f"{path}: {member.name}: {member.size} bytes")
                    continue
                file = archive.extractfile(member)
                members[suffix] = file.read() if file else b""
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(f"{path}: is truncated or not a tar file ({error}); copy it again") from None
    if members:
        yield key, members


def _label(entry: Entry, members: dict[str, bytes], account: Account) -> bool:
    text = next((suffix for suffix in _TEXTS if suffix in members), None)
    try:
        if text is not None:
            entry.text = members[text].decode("utf-8-sig").rstrip("\r\n")
            return True
        value = parse_json(members["json"], entry.source)
        regions = value.get("regions") if isinstance(value, dict) else value
        if isinstance(regions, list):
            entry.regions = [region_of(region) for region in regions]
        else:
            entry.text = str(value["text"])
    except KeyError as error:
        what = "sample without a label" if str(error) == "'json'" else "label that cannot be read"
        account.drop(what, f"{entry.source} has {', '.join(members)}")
        return False
    except (DataError, ValueError, TypeError) as error:
        account.drop("label that cannot be read", f"{entry.source}: {error}")
        return False
    return True


def _recognize_shards(folder: Folder) -> Guess:
    for name in folder.like(r".*\.(?:tar|tar\.gz|tgz)"):
        try:
            with tarfile.open(folder.base / name, "r|*") as archive:
                suffixes = {member.name.rpartition("/")[2].partition(".")[2] for member in islice(archive, _GLANCE)}
        except (tarfile.TarError, EOFError, OSError):
            continue
        if suffixes & {*_TEXTS, "json"}:
            return Guess(0.95, f"{name} is a tar file with members .{', .'.join(sorted(suffixes))}")
    return NO


FORMATS = [
    Format("lmdb", "LMDB of words", REC, "data.mdb: num-samples, image-000000001, label-000000001", _recognize_lmdb,
           _read_lmdb, LmdbWriter),
    Format("shards", "WebDataset", ("det", "rec"), "*.tar: NAME.jpg with NAME.txt, or NAME.json", _recognize_shards,
           _read_shards, ShardWriter),
]  # fmt: skip
