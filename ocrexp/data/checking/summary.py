"""What a check has found, as lines for the screen."""

from __future__ import annotations

import textwrap

from ocrexp.data.checking.plan import DataFindings
from ocrexp.errors import printable

_WIDTH = 110
_SHOWN = 2  # places of each kind


def summary_lines(findings: DataFindings) -> list[str]:
    """A table of the kinds of problems, the first places of each, facts and advice."""
    problems = findings.problems
    lines = []
    kinds = problems.kinds()
    splits = [split for split in ("train", "val") if any(key[1] == split for key in problems.counts)]
    widths = {split: max(len(split), *(len(str(n)) for (_, s), n in problems.counts.items() if s == split))
              for split in splits}  # fmt: skip
    indent = " " * 9
    if kinds:
        lines.append(f"{'':9}" + "".join(f"{split:>{widths[split]}}  " for split in splits))
    for kind in kinds:
        numbers = "".join(f"{problems.counts[kind.name, split] or '–':>{widths[split]}}  " for split in splits)
        lines.append(f"{kind.severity:9}{numbers}{kind.title}")
        if kind.severity != "note":
            for problem in problems.of(kind.name)[:_SHOWN]:
                lines += _wrapped(findings.shown(problem), f"{indent}  → ", f"{indent}    ")
    for name, value in findings.facts.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {number}" for key, number in value.items())
        lines += _wrapped(f"{name}: {value}", "", "    ")
    for setting, why in findings.advice:
        lines += _wrapped(f"advice: {setting}" + (f" ({why})" if why else ""), "", "    ")
    for what in findings.not_looked:
        lines += _wrapped(f"not looked at: {what}", "", "    ")
    return lines


def verdict(findings: DataFindings) -> str:
    """`3 errors, 12 warnings, 40 notes`."""
    problems = findings.problems
    numbers = [(problems.number(name), name) for name in ("error", "warning", "note")]
    return ", ".join(f"{number} {name}{'' if number == 1 else 's'}" for number, name in numbers)


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        printable(text), _WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
