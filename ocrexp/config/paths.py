"""The folders of configuration: the shipped `conf/` and the user's own `./conf`."""

from __future__ import annotations

from pathlib import Path

ROLES = ("student", "teacher", "student2")  # the networks of a model of several (model=distill)


def shipped_conf() -> Path:
    """The folder of the shipped configuration: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


_added: list[Path] = []  # folders given by --config-dir


def add_folder(folder: Path) -> None:
    """Search a folder of configuration files before ./conf, for --config-dir."""
    if folder.absolute() not in _added:
        _added.append(folder.absolute())


def user_conf() -> Path | None:
    """The user's `./conf` if it exists and is not the shipped folder itself."""
    own = Path.cwd() / "conf"
    if not own.is_dir() or own.resolve() == shipped_conf().resolve():
        return None
    return own


def own_folders() -> list[Path]:
    """The folders of the user's configuration, in order of priority."""
    return [*reversed(_added), *([own] if (own := user_conf()) else [])]


def shadowed() -> list[str]:
    """Config files of the user that replace shipped ones, as sorted relative paths."""
    shipped = shipped_conf()
    names = {path.relative_to(own) for own in own_folders() for path in own.rglob("*.yaml")}
    return sorted(str(name) for name in names if (shipped / name).is_file())


def files_of(group: str) -> str:
    """The group whose files are the options of a group: a teacher is any model (see roles.py)."""
    first, _, rest = group.partition("/")
    role, _, below = rest.partition("/")
    if first == "model" and role in ROLES:
        return f"model/{below}".rstrip("/")
    return group


def options_of(group: str) -> list[str]:
    """The options of a config group over all folders; names that begin with "_" are internal."""
    folders = [shipped_conf(), *own_folders()]
    group = files_of(group)
    found = {path.stem for folder in folders for path in (folder / group).glob("*.yaml") if path.is_file()}
    return sorted(name for name in found if not name.startswith("_"))


def groups() -> list[str]:
    """All config groups (folders that contain YAML files), such as `model` or `model/backbone`."""
    found = {
        str(path.parent.relative_to(folder))
        for folder in [shipped_conf(), *own_folders()]
        for path in folder.rglob("*.yaml")
        if path.parent != folder
    }
    return sorted(found)
