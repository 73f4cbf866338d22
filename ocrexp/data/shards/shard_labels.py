"""What a label in a shard is, by the rules of label lists: a text, or regions.

Texts: the content of `.txt`, `.gt.txt` or `.gt`, or `{"text": …}` in `.json`. Regions: JSON as behind the tab of
PaddleOCR's lists, alone or under `regions` (a region with `"difficult": true` is ignored), or lines
`x1,y1,…,x4,y4,text`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ocrexp.data.formats.safe_files import parse_json
from ocrexp.data.label_format import BadLine, LabelLine
from ocrexp.data.labels import RegionFormat
from ocrexp.data.rec_labels import TextFormat, WholeText
from ocrexp.errors import DataError
from ocrexp.types import UnusableSample

# Bytes, suffix, name of the sample -> its label, and how many regions without area it had. Raises UnusableSample.
ReadLabel = Callable[[bytes, str, str], tuple[LabelLine, int]]

PREFERRED = {"rec": ("txt", "gt.txt", "gt", "json"), "det": ("json", "txt", "gt.txt", "gt")}
_DETAIL = re.compile(r"(?<!\w)-?\d+(?:\.\d+)?|'.*'")  # what differs between faults of one kind
_POSITION = re.compile(r" ?\(.*\)")


def text_label(data: bytes, suffix: str, name: str) -> tuple[LabelLine, int]:
    """A text."""
    if suffix == "json":
        value = _json(data)
        text = value.get("text") if isinstance(value, dict) else None
        if not isinstance(text, str):
            raise UnusableSample('label: JSON without "text"')
    else:
        text = _decoded(data)
    text = text.rstrip("\r\n")
    if "\n" in text:
        raise UnusableSample("label: several lines")
    return _parsed(WholeText(), text, name)


def region_label(data: bytes, suffix: str, name: str) -> tuple[LabelLine, int]:
    """Regions."""
    if suffix != "json":
        lines = [line for line in _decoded(data).splitlines() if line.strip()]
        return _parsed(RegionFormat(), "\t".join(lines) or "[]", name)
    value = _json(data)
    regions = value.get("regions") if isinstance(value, dict) else value
    if isinstance(regions, list):
        for region in regions:
            if isinstance(region, dict) and region.get("difficult") is True:
                region["transcription"] = "###"  # of `ocrexp.data.labels.IGNORED_TEXTS`
    return _parsed(RegionFormat(), json.dumps(regions), name)


def _decoded(data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnusableSample("label: not UTF-8") from None
    if "\0" in text:
        raise UnusableSample("label: NUL byte (U+0000)")
    return text


def _json(data: bytes) -> Any:
    try:
        return parse_json(data, "label")
    except DataError as error:
        what = _POSITION.sub("", str(error).partition(": ")[2].partition(";")[0])
        raise UnusableSample(f"label: {_DETAIL.sub('…', what)}") from None


def _parsed(form: TextFormat | RegionFormat, label: str, name: str) -> tuple[LabelLine, int]:
    try:
        line, problems = form.parse(0, (name,), label, Path(name))
    except BadLine as bad:
        what = _POSITION.sub("", bad.what.split(":")[0])
        raise UnusableSample(f"label: {_DETAIL.sub('…', what)}") from None
    except RecursionError:
        raise UnusableSample("label: nested too deeply") from None
    return line, len(problems)
