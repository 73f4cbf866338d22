"""An experiment file in the making: choices, values with their source, and what is said about the rest."""

from __future__ import annotations

import inspect
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
# What a note's kind means, as the report and the head of the file say it.
KINDS: dict[Kind, str] = {
    "missing": "changes the result and has no counterpart here",
    "changed": "stands here in another form, or means something else",
    "assumed": "is not in the file; PaddleOCR's default is taken",
    "dropped": "has no effect on the result",
}


@dataclass(frozen=True)
class Note:
    """One key of the source that is not simply carried over."""

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
    implied: bool  # PaddleOCR's default, not written in the source


@dataclass
class Experiment:
    """What the converted file will hold."""

    choices: dict[str, str | list[str] | None] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    _values: dict[str, _Value] = field(default_factory=dict)

    def choose(self, group: str, option: str | list[str] | None) -> None:
        """`override /group: option` in the defaults."""
        self.choices[group] = option

    def set(self, key: str, value: Any, comment: str = "", implied: bool = False) -> None:
        """A value; `implied` ones are left out where they are what the chosen parts have anyway."""
        self._values[key] = _Value(value, comment, implied)

    def take(
        self, section: Section, name: str, key: str, default: Any = _ABSENT, remark: str = "", value: Any = _ABSENT
    ) -> Any:
        """Carry `section.name` over to `key`; returns the value.

        `default` is PaddleOCR's own where the file does not say; `value` stands in place of the file's where the
        units differ; `remark` is said behind the key's name.
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
        """Say what becomes of `section.name`, which the file has."""
        self.notes.append(Note(kind, section.key(name), section.get(name), why, advice))

    def report(self, kind: Kind, key: str, value: Any, why: str, advice: str = "") -> None:
        """Say what becomes of something that is more, or less, than one key."""
        self.notes.append(Note(kind, key, value, why, advice))

    def assume(self, key: str, value: Any, why: str, advice: str = "") -> None:
        """Report what the file does not have and what is taken in its place."""
        self.notes.append(Note("assumed", key, value, why, advice))

    def drop(self, section: Section, names: dict[str, str], advice: str = "") -> None:
        """Drop those of the keys that the file has, each with its reason."""
        for name, why in names.items():
            if name in section:
                self.note("dropped", section, name, why, advice)

    def only(self, section: Section, name: str, accepted: Any, why: str, advice: str = "") -> None:
        """A key that has one value here: anything else than `accepted` (a value or a tuple of them) is missing."""
        values = accepted if isinstance(accepted, tuple) else (accepted,)
        if name in section and section.get(name) not in values:
            self.note("missing", section, name, why, advice)

    def keys(self) -> list[str]:
        """The keys that have a value."""
        return list(self._values)

    def get(self, key: str) -> Any:
        """The value of a key, None where it has none."""
        return self._values[key].value if key in self._values else None

    def unset(self, key: str) -> None:
        """Leave a value out."""
        del self._values[key]

    def without_implied(self, composed: DictConfig) -> None:
        """Leave out implied values that the composed configuration of the chosen parts has already, or that are the
        defaults of the classes that it names."""
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
        """Put the choices into an order that composes (the model after what its task sets, its parts behind it), and
        the values into one that reads well."""
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
    """What a key has in a composed configuration: its value, else the default of the class that its node names."""
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
