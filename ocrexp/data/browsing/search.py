"""Which of many texts contain something. A regular expression is tried in a process that can be ended."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

SEPARATOR = "\x1e"  # between records; the texts of one record have line ends between them
_LONGEST_PATTERN = 1000  # characters

# Runs with the standard library alone: 20 ms from its start to its answer, one byte per record.
_WORKER = """
import json, re, sys
head, _, body = sys.stdin.buffer.read().partition(b"\\n")
asked = json.loads(head)
search = re.compile(asked["pattern"], asked["flags"]).search
texts = body.decode("utf-8", "surrogatepass").split("\\x1e")
sys.stdout.buffer.write(bytes(search(text) is not None for text in texts))
"""


def pack(records: Iterable[Iterable[str]]) -> str:
    """The texts of records as one text; as Python objects a million texts would take a hundred megabytes more."""
    return SEPARATOR.join("\n".join(texts).replace(SEPARATOR, " ") for texts in records)


def containing(packed: str, wanted: str, match_case: bool) -> npt.NDArray[np.bool_]:
    """Which records contain a text, bool [n]."""
    if not match_case:
        packed, wanted = packed.casefold(), wanted.casefold()
    return np.array([wanted in text for text in packed.split(SEPARATOR)], bool)


def matching(packed: str, pattern: str, match_case: bool, seconds: float) -> npt.NDArray[np.bool_]:
    """In which records a regular expression of Python is found, bool [n]; `^` and `$` are the ends of each text.

    Raises ValueError for an invalid expression, and for one that takes longer than `seconds`: Python cannot interrupt
    a match, so it runs in a process of its own.
    """
    flags = int(re.MULTILINE | (0 if match_case else re.IGNORECASE))
    if len(pattern) > _LONGEST_PATTERN:
        raise ValueError(f"the expression has {len(pattern)} characters, the limit is {_LONGEST_PATTERN}")
    head = json.dumps({"pattern": pattern, "flags": flags}).encode()
    data = head + b"\n" + packed.encode("utf-8", "surrogatepass")
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _WORKER], input=data, capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise ValueError(
            f"the expression takes longer than {seconds:g} s; avoid nested repetitions such as (a+)+"
        ) from None
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise ValueError(f"the expression is invalid: {lines[-1].rpartition('rror: ')[2] if lines else 'no reason'}")
    return np.frombuffer(done.stdout, np.uint8) > 0
