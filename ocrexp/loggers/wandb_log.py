"""W&B's files `run-ID.wandb`: everything that a run has logged, in one file for each start of the run.

A file is a log of LevelDB's format: 7 bytes, then blocks of 32 KB of fragments. A fragment is a checksum (4 bytes,
CRC-32 of the kind and the data), a length (2), a kind (1: whole record, 2: first, 3: middle, 4: last part) and its
data. Each record is a protobuf message of the package `wandb`, `wandb_internal_pb2.Record`.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ocrexp.files import read_file

_BLOCK = 1 << 15
_HEADER = struct.Struct("<IHB")
_START = b":W&B"
_START_LENGTH = 7
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_ENDS = ("exit", "footer", "final")  # records at the end of a file


def read_records(path: Path) -> Iterator[bytes]:
    """The records of a file, up to where a kill has cut it short. Raises OSError, and ValueError for another file."""
    data = read_file(path, None)
    if data[:4] != _START:
        raise ValueError("is not a file of W&B")
    parts, position = b"", _START_LENGTH
    while position + _HEADER.size <= len(data):
        left = _BLOCK - position % _BLOCK
        if left < _HEADER.size:
            position += left
            continue
        checksum, length, kind = _HEADER.unpack_from(data, position)
        content = data[position + _HEADER.size : position + _HEADER.size + length]
        if kind not in (_WHOLE, _FIRST, _MIDDLE, _LAST) or zlib.crc32(bytes([kind]) + content) != checksum:
            return
        parts = content if kind in (_WHOLE, _FIRST) else parts + content
        position += _HEADER.size + length
        if kind in (_WHOLE, _LAST):
            yield parts


def write_records(path: Path, records: Iterable[bytes]) -> None:
    """Write a file with the records. Raises OSError."""
    with path.open("wb") as file:
        file.write(_START + b"\xe1\xbe\x00")
        position = _START_LENGTH
        for record in records:
            begin, kind_before = 0, False
            while begin < len(record) or not kind_before:
                left = _BLOCK - position % _BLOCK
                if left < _HEADER.size:
                    file.write(b"\0" * left)
                    position += left
                    left = _BLOCK
                content = record[begin : begin + left - _HEADER.size]
                ends = begin + len(content) == len(record)
                kind = (_LAST if ends else _MIDDLE) if kind_before else (_WHOLE if ends else _FIRST)
                checksum = zlib.crc32(bytes([kind]) + content)
                file.write(_HEADER.pack(checksum, len(content), kind) + content)
                position += _HEADER.size + len(content)
                begin, kind_before = begin + len(content), True


@dataclass(frozen=True)
class JoinedRun:
    """The parts of a run as one: its records, which of them are rows of values, and whose it is."""

    records: list[bytes]
    rows: list[int]
    entity: str
    project: str

    def after(self, sent: int) -> list[bytes]:
        """The records without the first rows, which W&B has: it appends what it gets."""
        known = set(self.rows[:sent])
        return [record for number, record in enumerate(self.records) if number not in known]


def join(parts: Sequence[Path], kept: Collection[int] = ()) -> JoinedRun:
    """The files of a run that was resumed, in the order of time, as one run that was never stopped.

    Rows of steps that a later part has made again are dropped, W&B's own step and runtime are counted through, and the
    end is that of the last part. `kept` are numbers of parts, from 0, before which nothing is dropped, because W&B has
    got what is before them as it was. Raises OSError, and ValueError for a part that is not of W&B.
    """
    read = [[_parsed(record) for record in read_records(part)] for part in parts]
    begun = next((record for records in read for record in records if record.HasField("run")), None)
    if begun is None:
        raise ValueError(f"{parts[0]}: contains no run; it was killed before W&B has written anything")
    first = begun.run
    joined: list[Any] = []
    runtime = 0.0
    for number, records in enumerate(read):
        if number not in kept:
            joined = _before(joined, records)
        offset = runtime
        for record in records:
            kind = record.WhichOneof("record_type")
            if (kind in _ENDS and number < len(read) - 1) or (kind == "header" and joined):
                continue
            if kind == "run" and record is not begun:  # the configuration that the resume has changed
                first.config.MergeFrom(record.run.config)
                continue
            if kind == "history":
                runtime = max(runtime, _delay(record.history, offset))
            joined.append(record)
    rows: list[int] = []
    for number, record in enumerate(joined):
        record.num = number + 1
        if record.HasField("history"):
            _number(record.history, len(rows))
            rows.append(number)
    return JoinedRun([record.SerializeToString() for record in joined], rows, first.entity, first.project)


def _before(joined: list[Any], following: Sequence[Any]) -> list[Any]:
    """The records of the earlier parts without the rows that come after the step from which the next part resumes."""
    later = next((_values(record.history) for record in following if record.HasField("history")), {})
    begins = later.get("step")
    if begins is None:
        return joined
    names = {name for name in later if name != "step" and not name.startswith("_")}

    def counts(record: Any) -> bool:
        if not record.HasField("history"):
            return True
        row = _values(record.history)
        step = row.get("step")
        return step is None or step < begins or (step == begins and not names & row.keys())

    return [record for record in joined if counts(record)]


def _values(history: Any) -> dict[str, Any]:
    return {_key(item): json.loads(item.value_json) for item in history.item}


def _key(item: Any) -> str:
    return item.key or ".".join(item.nested_key)


def _number(history: Any, row: int) -> None:
    """W&B's own step of a row."""
    history.step.num = row
    for item in history.item:
        if _key(item) == "_step":
            item.value_json = str(row)


def _delay(history: Any, seconds: float) -> float:
    """Count W&B's runtime of a row from an earlier start of the run; returns it."""
    for item in history.item:
        if _key(item) == "_runtime":
            runtime = seconds + float(json.loads(item.value_json))
            item.value_json = json.dumps(runtime)
            return runtime
    return seconds


def _parsed(record: bytes) -> Any:
    from wandb.proto import wandb_internal_pb2

    message = wandb_internal_pb2.Record()
    message.ParseFromString(record)
    return message
