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

Shows shipped options and those of your own ./conf, which are marked with *. Choose one with GROUP=OPTION on the command
line; `ocrexp copy GROUP=OPTION` copies its file to your ./conf."""


def run(arguments: Sequence[str]) -> int:
    """Print the table; returns 0."""
    if len(arguments) > 1 or any("=" in item or item.startswith("-") for item in arguments):
        raise ConfigError(
            f"list: expected up to one group, got '{' '.join(arguments)}'; write: python -m ocrexp list model"
        )
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
