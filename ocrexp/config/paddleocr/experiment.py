"""An experiment file under construction: choices, values with their source, and notes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml
from omegaconf import DictConfig, OmegaConf

from ocrexp.config.locate import locate
from ocrexp.config.paddleocr.source import Section

Kind = Literal["dropped", "assumed", "changed", "missing"]
_ABSENT = object()
_ORDER = (
    "name", "seed", "model", "charset", "dataset", "augment", "targets", "preprocess", "loss", "postprocess", "metric",
    "loader", "optim", "trainer", "logger",
)  # fmt: skip
# Meaning of each kind of note, for the report and the head of the file.
KINDS: dict[Kind, str] = {
    "missing": "changes the result and has no counterpart here",
    "changed": "has another form or another meaning here",
    "assumed": "is not in the file; PaddleOCR's default is used",
    "dropped": "has no effect on the result",
}


@dataclass(frozen=True)
class Note:
    """A note about one key of the source that was not simply converted."""

    kind: Kind
    key: str
    value: Any
    why: str
    advice: str = ""

    def line(self) -> str:
        """`key: value: why; what to do`, in one line."""
        advice = f"; {self.advice}" if self.advice else ""
        return f"{self.key}: {inline(self.value)}: {self.why}{advice}"


@dataclass
class _Value:
    value: Any
    comment: str
    implied: bool  # PaddleOCR's default, which the source does not contain


@dataclass
class Experiment:
    """The content of the converted file."""

    choices: dict[str, str | list[str] | None] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    _values: dict[str, _Value] = field(default_factory=dict)

    def choose(self, group: str, option: str | list[str] | None) -> None:
        """Add `override /group: option` to the defaults."""
        self.choices[group] = option

    def set(self, key: str, value: Any, comment: str = "", implied: bool = False) -> None:
        """Set a value; `implied` ones are omitted if the chosen parts have the same value anyway."""
        self._values[key] = _Value(value, comment, implied)

    def take(
        self, section: Section, name: str, key: str, default: Any = _ABSENT, remark: str = "", value: Any = _ABSENT
    ) -> Any:
        """Convert `section.name` to `key`; returns the value.

        `default` is PaddleOCR's default if the file does not have the key; `value` replaces the file's value if the
        units differ; `remark` is added to the comment.
        """
        comment = section.key(name) + (f": {remark}" if remark else "")
        if name in section:
            found = section.get(name)
            self.set(key, found if value is _ABSENT else value, comment)
            return found
        if default is not _ABSENT:
            self.set(key, default, f"PaddleOCR's default of {comment}", implied=True)
            return default
        return None

    def note(self, kind: Kind, section: Section, name: str, why: str, advice: str = "") -> None:
        """Add a note about `section.name`, which the file has."""
        self.notes.append(Note(kind, section.key(name), section.get(name), why, advice))

    def report(self, kind: Kind, key: str, value: Any, why: str, advice: str = "") -> None:
        """Add a note about something other than a single key."""
        self.notes.append(Note(kind, key, value, why, advice))

    def assume(self, key: str, value: Any, why: str, advice: str = "") -> None:
        """Add a note about a missing key and the value that is used instead."""
        self.notes.append(Note("assumed", key, value, why, advice))

    def drop(self, section: Section, names: dict[str, str], advice: str = "") -> None:
        """Report those of the keys that the file has as dropped, each with its reason."""
        for name, why in names.items():
            if name in section:
                self.note("dropped", section, name, why, advice)

    def only(self, section: Section, name: str, accepted: Any, why: str, advice: str = "") -> None:
        """Report a key whose value is fixed here, unless the file has an `accepted` value (one, or a tuple of them)."""
        values = accepted if isinstance(accepted, tuple) else (accepted,)
        if name in section and section.get(name) not in values:
            self.note("missing", section, name, why, advice)

    def rename(self, new: Callable[[str], str]) -> None:
        """Give groups and keys other names."""
        self.choices = {new(group): option for group, option in self.choices.items()}
        self._values = {new(key): entry for key, entry in self._values.items()}

    def adopt(self, other: Experiment) -> None:
        """Take over the content of another one."""
        self.choices |= other.choices
        self._values |= other._values
        self.notes += other.notes

    def keys(self) -> list[str]:
        """The keys that have a value."""
        return list(self._values)

    def get(self, key: str) -> Any:
        """The value of a key; None if it has none."""
        return self._values[key].value if key in self._values else None

    def unset(self, key: str) -> None:
        """Remove a value."""
        del self._values[key]

    def without_implied(self, composed: DictConfig) -> None:
        """Remove implied values that the composed configuration of the chosen parts has already, or that are the
        defaults of its classes."""
        plain = OmegaConf.to_container(composed)
        for key, entry in list(self._values.items()):
            if entry.implied and _present(plain, key) == entry.value:
                del self._values[key]

    def nested(self) -> dict[str, Any]:
        """The values as a nested mapping."""
        result: dict[str, Any] = {}
        for key, entry in self._values.items():
            *parents, last = key.split(".")
            node = result
            for parent in parents:
                node = node.setdefault(parent, {})
            node[last] = entry.value
        return result

    def order(self) -> None:
        """Sort the choices so that they compose (the model after its task, its parts after the model), and the values
        so that they are easy to read."""
        self.choices = dict(
            sorted(self.choices.items(), key=lambda item: 1 if item[0] == "model" else 2 * ("/" in item[0]))
        )
        self._values = dict(sorted(self._values.items(), key=lambda item: _ORDER.index(item[0].partition(".")[0])))

    def render(self, head: list[str], values: bool = True) -> str:
        """The file's text: `head` as comments, notes, defaults, values with their comments."""
        lines = ["# @package _global_", *(f"# {line}".rstrip() for line in head)]
        for kind, meaning in KINDS.items():
            notes = [note for note in self.notes if note.kind == kind]
            if notes:
                lines += ["#", f"# {kind}: {meaning}", *(f"#   {note.line()}" for note in notes)]
        lines.append("defaults:")
        lines += [f"  - override /{group}: {inline(option)}" for group, option in self.choices.items()]
        if values:
            lines.append("")
            lines += self._block(self.nested(), "", 0)
        return "\n".join(lines) + "\n"

    def _block(self, node: dict[str, Any], path: str, depth: int) -> list[str]:
        lines = []
        for key, value in node.items():
            full = f"{path}{key}"
            if full in self._values:
                comment = self._values[full].comment
                lines.append(f"{'  ' * depth}{key}: {inline(value)}" + (f"  # {comment}" if comment else ""))
            else:
                lines.append(f"{'  ' * depth}{key}:")
                lines += self._block(value, f"{full}.", depth + 1)
        return lines


def inline(value: Any) -> str:
    """A value as YAML in one line, numbers written so that YAML 1.1 reads them as numbers."""
    if isinstance(value, str) and value.startswith("${"):
        return value
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True, sort_keys=False)
    return text.strip().removesuffix("...").strip()


def _present(composed: Any, key: str) -> Any:
    """The value of a key in a composed configuration, else the default of the class of its node."""
    node: Any = composed
    *parents, last = key.split(".")
    for name in parents:
        node = node.get(name) if isinstance(node, dict) else None
    if not isinstance(node, dict):
        return None
    if last in node or "_target_" not in node:
        return node.get(last)
    parameter = inspect.signature(locate(str(node["_target_"]), key)).parameters.get(last)
    if parameter is None or parameter.default is parameter.empty:
        return None
    return _as_lists(parameter.default)


def _as_lists(value: Any) -> Any:
    return [_as_lists(item) for item in value] if isinstance(value, tuple) else value
