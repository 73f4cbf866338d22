"""A line of the table of `ocrexp doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """One line of the table; `fail` means that training cannot run."""

    state: State
    what: str
    value: str
    advice: str = ""
