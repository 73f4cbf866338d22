"""Where configuration lives: the shipped `conf/` and the user's own `./conf`."""

from __future__ import annotations

from pathlib import Path


def shipped_conf() -> Path:
    """Folder of the shipped configuration: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def user_conf() -> Path | None:
    """The user's `./conf` if there is one and it is not the shipped folder itself."""
    own = Path.cwd() / "conf"
    if not own.is_dir() or own.resolve() == shipped_conf().resolve():
        return None
    return own


def shadowed() -> list[str]:
    """Config files of the user's `./conf` that stand in place of shipped ones, relative and sorted."""
    own = user_conf()
    if own is None:
        return []
    shipped = shipped_conf()
    names = (path.relative_to(own) for path in own.rglob("*.yaml"))
    return sorted(str(name) for name in names if (shipped / name).is_file())


def options_of(group: str) -> list[str]:
    """The options of a config group over both folders; names that begin with "_" are internal."""
    folders = [shipped_conf(), *([own] if (own := user_conf()) else [])]
    found = {path.stem for folder in folders for path in (folder / group).glob("*.yaml")}
    return sorted(name for name in found if not name.startswith("_"))


def groups() -> list[str]:
    """All config groups (folders that hold YAML files), as `model` or `model/backbone`."""
    folders = [shipped_conf(), *([own] if (own := user_conf()) else [])]
    found = {
        str(path.parent.relative_to(folder))
        for folder in folders
        for path in folder.rglob("*.yaml")
        if path.parent != folder
    }
    return sorted(found)
