"""The options of config groups: name, file, and the first comment of the file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ocrexp.config.paths import groups, options_of, own_folders, shipped_conf
from ocrexp.errors import ConfigError
from ocrexp.nearest import did_you_mean

HIDDEN = ("hydra", "runtime")  # not chosen for training


@dataclass(frozen=True)
class Option:
    """One option of a group; `own`: the file is the user's."""

    name: str
    path: Path
    own: bool

    @property
    def summary(self) -> str:
        """The first comment of the file that is not a directive of Hydra or where the file is."""
        for line in self.path.read_text(encoding="utf-8", errors="replace").removeprefix("\ufeff").splitlines():
            if not line.startswith("#"):
                return ""
            text = line.strip("# ").strip()
            if text and not text.startswith("@package") and not self.path.as_posix().endswith(f"/{text}"):
                return text
        return ""


def of_group(group: str) -> list[Option]:
    """The options of a group, sorted; a user's file replaces a shipped one of the same name.

    Raises ConfigError for an unknown group, with the nearest name.
    """
    known = listed_groups()
    if group not in known:
        hint = did_you_mean(group, known) or f"; groups: {', '.join(known)}"
        raise ConfigError(f"{group}: unknown config group{hint}")
    found = []
    for name in options_of(group):
        for folder in (*own_folders(), shipped_conf()):
            path = folder / group / f"{name}.yaml"
            if path.is_file():
                found.append(Option(name, path, folder != shipped_conf()))
                break
    return found


def find(group: str, name: str) -> Option:
    """One option. Raises ConfigError for an unknown option, with the nearest name."""
    options = of_group(group)
    for option in options:
        if option.name == name:
            return option
    names = [option.name for option in options]
    hint = did_you_mean(name, names) or f"; options: {', '.join(names)}"
    raise ConfigError(f"{group}={name}: unknown option of {group}{hint}")


def listed_groups() -> list[str]:
    """The groups from which a user can choose."""
    return [group for group in groups() if group not in HIDDEN and options_of(group)]


def groups_with_counts() -> dict[str, int]:
    """The number of options of each group."""
    return {group: len(options_of(group)) for group in listed_groups()}
