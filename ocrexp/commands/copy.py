"""`ocrexp copy GROUP=OPTION [to=NAME]`: copy a shipped configuration file to the user's `./conf`, to edit it there.

`ocrexp copy wandb-sweep` copies a file that is not one of Hydra's: the definition of a sweep of W&B.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from ocrexp.command_line import command
from ocrexp.config.options import find, listed_groups
from ocrexp.config.paths import shipped_conf
from ocrexp.errors import ConfigError, printable
from ocrexp.nearest import did_you_mean

SUMMARY = "Copy a shipped experiment, or another option, to your ./conf to edit it"
USAGE = """
Usage
  python -m ocrexp copy experiment=quickstart              to conf/experiment/quickstart.yaml
  python -m ocrexp copy experiment=quickstart to=receipts  to conf/experiment/receipts.yaml
  python -m ocrexp copy model=db_mbv3 to=conf/model/mine.yaml
  python -m ocrexp copy wandb-sweep                        to wandb_sweep.yaml, for `wandb sweep`

Copies the file of an option to ./conf in the current folder, where it wins over a shipped one of the same name. An
existing file is never overwritten. `ocrexp list GROUP` shows the options."""

FILES = {"wandb-sweep": Path(__file__).with_name("wandb_sweep.yaml")}


def run(arguments: Sequence[str]) -> int:
    """Copy the file and print where it is and how to use it; returns 0."""
    chosen, to = _read(arguments)
    group, _, name = chosen.partition("=")
    source = FILES[chosen] if chosen in FILES else find(group, name).path
    target = _file_target(source, to) if chosen in FILES else _target(group, name, to)
    if shipped_conf().resolve() in (target.parent / "x").resolve().parents:
        raise ConfigError(f"{target}: is in the shipped configuration; run the command in another folder")
    content = source.read_bytes()
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        # "x" is the check: of two commands at once, one gets the file
        with target.open("xb") as file:
            file.write(content)
    except FileExistsError:
        raise ConfigError(
            f"{printable(str(target))}: exists and is not overwritten; choose another name with to=NAME"
        ) from None
    print(f"copied: {printable(str(target))}")
    if chosen in FILES:
        print(f"use it: wandb sweep --project NAME {shlex.quote(printable(str(target)))}")
    elif target.parent == Path("conf") / group:
        print(f"use it: {printable(command('train', {group: target.stem}))}")
    return 0


def _read(arguments: Sequence[str]) -> tuple[str, str | None]:
    """The choice `GROUP=OPTION` and the value of `to`."""
    to, chosen = None, []
    for item in arguments:
        if item in FILES:
            chosen.append(item)
            continue
        key, equals, value = item.partition("=")
        if not equals or item.startswith("-"):
            raise ConfigError(f"copy: expected GROUP=OPTION [to=NAME], got '{item}'; write: copy experiment=quickstart")
        if key == "to":
            if not value:
                raise ConfigError("to: expected a name or a path that ends in .yaml, got nothing")
            to = value
        elif key not in (known := listed_groups()):
            raise ConfigError(
                f"{key}: is not a config group{did_you_mean(key, known) or '; groups: ' + ', '.join(known)}"
            )
        else:
            chosen.append(item)
    if len(chosen) != 1:
        raise ConfigError("copy: expected one GROUP=OPTION; write: copy experiment=quickstart")
    return chosen[0], to


def _file_target(source: Path, to: str | None) -> Path:
    if to is not None and Path(to).suffix != ".yaml":
        raise ConfigError(f"to={to}: expected a path that ends in .yaml; write to={to}.yaml")
    return Path(source.name) if to is None else Path(to).expanduser()


def _target(group: str, name: str, to: str | None) -> Path:
    """The path of the copy, from a name in ./conf or a path."""
    if to is None:
        return Path("conf") / group / f"{name}.yaml"
    path = Path(to).expanduser()
    if path.suffix in (".yaml", ".yml") or os.sep in to:
        if path.suffix != ".yaml":
            raise ConfigError(
                f"to={to}: expected a path that ends in .yaml, which Hydra reads; write to={path.with_suffix('.yaml')}"
            )
        return path
    return Path("conf") / group / f"{to}.yaml"
