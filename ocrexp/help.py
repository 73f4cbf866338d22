"""The page that `--help` prints: the purpose of the verb, the form of overrides, the options of groups."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

from ocrexp.config.paths import groups, options_of, shipped_conf
from ocrexp.config.verbs import VERBS

HEAD = "ocrexp: train text detection and recognition models on PaddlePaddle\n"


def about(verb: str) -> tuple[str, str]:
    """The summary of a verb, one line, and its usage, as its own module states them."""
    module = importlib.import_module(f"ocrexp.commands.{verb.replace('-', '_')}")
    return module.SUMMARY, module.USAGE


def page(verb: str) -> str:
    """The help page of a verb."""
    summary, usage = about(verb)
    if verb != "train":
        return f"{HEAD}\nocrexp {verb}: {summary}\n{usage}\n\nKeys of this verb\n{_own_keys(verb)}"
    verbs = "\n".join(f"  {name:14} {about(name)[0]}" for name in VERBS)
    listed = [group for group in groups() if group not in ("hydra", "runtime", "task")]
    width = max(len(group) for group in listed) + 2
    chosen = "\n".join(_wrapped(group, options_of(group), width) for group in listed)
    return HEAD + usage.format(verbs=verbs, groups=chosen)


def _wrapped(group: str, options: list[str], width: int) -> str:
    lines, line = [], f"  {group:{width}}"
    for option in options:
        if len(line) + len(option) > 110:
            lines.append(line)
            line = " " * (width + 2)
        line += f"{option}  "
    return "\n".join([*lines, line]).rstrip()


def _own_keys(verb: str) -> str:
    path = shipped_conf() / f"{verb}.yaml"
    if not path.is_file():
        return "  none"
    return "\n".join(f"  {line}" for line in _keys_in(path))


def _keys_in(path: Path) -> list[str]:
    """The lines with keys of a configuration file, and those that it does not replace of the files in its own level."""
    text = path.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith(("#", "defaults", "  -"))]
    for group, option in re.findall(r"^  - (\w+): (\w+)", text, flags=re.MULTILINE):
        included = shipped_conf() / group / f"{option}.yaml"
        if included.is_file() and included.read_text(encoding="utf-8").startswith("# @package _global_"):
            own = {line.partition(":")[0] for line in lines}
            lines += [line for line in _keys_in(included) if line.partition(":")[0] not in own]
    return lines
