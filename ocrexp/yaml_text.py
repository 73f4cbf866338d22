"""YAML of strangers: read within limits of nesting and size, without tags that build objects."""

from __future__ import annotations

from typing import Any

import yaml

MAX_DEPTH = 64
MAX_VALUES = 500_000  # after aliases have been written out
MAX_BYTES = 32 << 20

# What PyYAML's and OmegaConf's constructors raise for values that look like a date, a number or a set and are none, and
# for a file of one number.
ERRORS = (
    yaml.YAMLError, RecursionError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, AssertionError,
)  # fmt: skip
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(content: bytes) -> Any:
    """The plain values of a YAML text in UTF-8.

    Raises ValueError, in one line without the file's name, for what is not YAML, and for nesting or aliases that would
    take the process down.
    """
    check_yaml(content)
    try:
        return yaml.load(content, _Loader)
    except ERRORS as error:
        raise ValueError(reason(error)) from None


def read_config(content: bytes) -> Any:
    """As `read_yaml`, with the numbers of OmegaConf, for which `1e-05` is one."""
    from omegaconf._utils import get_yaml_loader

    check_yaml(content)
    try:
        return yaml.load(content, get_yaml_loader())  # a SafeLoader
    except ERRORS as error:
        raise ValueError(reason(error)) from None


def check_yaml(content: bytes) -> None:
    """Raises ValueError as `read_yaml` does, for a reader that builds the values itself."""
    if len(content) > MAX_BYTES:
        raise ValueError(f"has {len(content)} bytes, expected up to {MAX_BYTES}")
    sizes: dict[str, int] = {}  # of anchored values, with what their aliases stand for
    open_values: list[tuple[str | None, int]] = []
    total = 0
    try:
        for event in yaml.parse(content, _Loader):
            if isinstance(event, yaml.CollectionEndEvent):
                anchor, before = open_values.pop()
                if anchor is not None:
                    sizes[anchor] = total - before
                continue
            if not isinstance(event, yaml.NodeEvent):
                continue
            if isinstance(event, yaml.AliasEvent):
                if event.anchor not in sizes:
                    raise ValueError(f"alias *{event.anchor} contains itself or is not defined")
                total += sizes[event.anchor]
            else:
                total += 1
                if isinstance(event, yaml.CollectionStartEvent):
                    open_values.append((event.anchor, total - 1))
                elif event.anchor is not None:
                    sizes[event.anchor] = 1
            if len(open_values) > MAX_DEPTH:
                raise ValueError(f"is nested more than {MAX_DEPTH} levels deep")
            if total > MAX_VALUES:
                raise ValueError(f"contains more than {MAX_VALUES} values")
    except yaml.YAMLError as error:
        raise ValueError(reason(error)) from None


def reason(error: Exception) -> str:
    """One line about what a YAML reader has raised."""
    if isinstance(error, RecursionError):
        return f"is nested more than {MAX_DEPTH} levels deep"
    mark = getattr(error, "problem_mark", None)
    line = f" in line {mark.line + 1}" if mark is not None else ""
    problem = getattr(error, "problem", None) or f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
    return f"is not valid YAML{line} ({problem})"
