"""`ocrexp list [GROUP]`: the config groups and their options, each with one line."""

from __future__ import annotations

from collections.abc import Sequence

from ocrexp.config.options import groups_with_counts, of_group
from ocrexp.errors import ConfigError

SUMMARY = "Show the config groups, or the options of one: experiments, models, losses, …"
USAGE = """
Usage
  python -m ocrexp list                 the groups, and every experiment and model
  python -m ocrexp list experiment      one line per experiment
  python -m ocrexp list model/backbone  one line per option of this group
  python -m ocrexp list pretrained      deployed models for model.pretrained=NAME

Shows shipped options and those of your own ./conf, which are marked with *. Choose one with GROUP=OPTION on the command
line; `ocrexp copy GROUP=OPTION` copies its file to your ./conf."""


def run(arguments: Sequence[str]) -> int:
    """Print the table; returns 0."""
    if len(arguments) > 1 or any("=" in item or item.startswith("-") for item in arguments):
        raise ConfigError(
            f"list: expected up to one group, got '{' '.join(arguments)}'; write: python -m ocrexp list model"
        )
    if list(arguments) == ["pretrained"]:
        _show_pretrained()
        return 0
    if arguments:
        _show(arguments[0].strip("/"))
        return 0
    for group in ("experiment", "model"):
        print(f"{group}=")
        _show(group)
        print()
    counts = groups_with_counts()
    print("Groups (number of options)")
    print("  " + ", ".join(f"{group} ({count})" for group, count in counts.items()))
    print("python -m ocrexp list GROUP shows the options of a group")
    return 0


def _show(group: str) -> None:
    options = of_group(group)
    width = max(len(option.name) for option in options)
    for option in options:
        print(f"  {option.name:{width}} {'*' if option.own else ' '} {option.summary}".rstrip())


def _show_pretrained() -> None:
    """Deployed models: name, version, language, size, license, checksum, origin and the models that they fit."""
    from ocrexp.weights.registry import REGISTRY

    options = {option.name for option in of_group("model")}
    rows = [("NAME", "VERSION", "READS", "MB", "LICENSE", "SHA-256", "ORIGIN", "MODEL")]
    for each in REGISTRY.values():
        largest = max(each.files.values(), key=lambda member: member.size)
        fitting = next((model for model in each.models if model in options), "none here")
        facts = (each.name, each.version, each.language, f"{each.size / 1e6:.1f}", each.license, largest.sha256[:12])
        rows.append((*facts, each.wheel.requirement, fitting))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  " + "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
    print("python -m ocrexp fetch NAME downloads one; model.pretrained=NAME starts training from it")
