"""What to set where a label list, or every image of one, is not found."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ocrexp.command_line import typed
from ocrexp.data.image_names import moved_advice
from ocrexp.data.label_file import LabelFile
from ocrexp.files import exists
from ocrexp.nearest import nearest
from ocrexp.types import Record

_ENDINGS = (".txt", ".tsv", ".jsonl")
_NO_LISTS = ("filestate.txt",)  # PPOCRLabel keeps there which images it has shown
_ALIKE = 0.8  # of names: a dictionary beside the images is not the list that was meant
_SHOWN = 5
_FOLDERS = 50  # folders below the root that are looked into

Lists = Mapping[str, Sequence[str]]  # option -> lists, relative to the root
Option = Callable[[str], str]  # an option of the data set as the user sets it


def missing_list(path: Path, root: Path, lists: Lists, usual_val: str, option: Option) -> str:
    """The message for a list that does not exist: which key names it, and what there is.

    Args:
        path: the list.
        root: the folder that the lists start from.
        lists: all lists of the dataset, by key.
        usual_val: the shipped name of the validation list.
        option: gives an option as the user sets it.
    """
    part, key = next(
        ((part, key) for key, parts in lists.items() for part in parts if root / part == path),
        (path.name, "train_labels"),
    )
    said = f"{option(key)}: label file {path} does not exist"
    if not root.is_dir():
        return f"{said}, nor does its folder {root}; set {option('root')} to the folder that the lists are in"
    beside = [entry.name for entry in path.parent.iterdir() if entry.is_file()] if path.parent.is_dir() else []
    several = [name.strip() for name in path.name.split(",")]
    if len(several) > 1 and set(several) <= set(beside):
        return f"{said}; several lists are written {_set(option(key), *several)}"
    if close := nearest(path.name, [name for name in beside if name.endswith(_ENDINGS)], _ALIKE):
        return f"{said}; did you mean {_set(option(key), str(Path(part).with_name(close)))}?"
    taken = {other for parts in lists.values() for other in parts}
    found = [name for name in _lists_below(root) if name not in taken]
    some = ", ".join(found[:_SHOWN])
    one_of = f"set {_set(option(key), found[0])}" if len(found) == 1 else f"set {option(key)} to one of {some}"
    if key != "train_labels":
        null = "" if part == usual_val else f"{option(key)}=null "
        split = f"{null}{option('val_split')}=0.1 keeps a tenth of the training images for validation"
        return f"{said}; {split}, or {one_of}" if found else f"{said}; {split}, or set {option(key)} to a list"
    return f"{said}; {one_of}" if found else f"{said}; {root} contains no list; set {option('root')} or {option(key)}"


def all_missing(file: LabelFile, first: Record, root: Path, lists: Lists, option: Option) -> str:
    """The message for a list of which no image exists: the root from which its first image would be found.

    Args:
        file: the list.
        first: its first image.
        root: the folder that paths start from.
        lists: all lists of the dataset, by key: another root changes how they are written.
        option: gives an option as the user sets it.
    """
    relative = first.image_path.relative_to(root) if first.image_path.is_relative_to(root) else first.image_path
    labels = file.path
    to_set = option("root")
    said = f"none of the images of {labels} exists, the first tried was {first.image_path}"
    if not root.is_dir():
        return f"{said}; {to_set} {root} does not exist, set it to the folder that the paths are relative to"
    if advice := moved_advice(file[0].names[0], root, labels):
        return f"{said}; {advice}"
    beside = [root.resolve().parent, labels.parent]
    below = sorted(entry for entry in root.iterdir() if entry.is_dir())
    for folder in [*beside, *below]:
        if exists(folder / relative):
            return f"{said}; did you mean {_other_root(folder, root, lists, option)}?"
    for folder in [root, *below]:
        if exists(folder / relative.name):
            return f"{said}; {folder / relative.name} exists, correct the paths in the list or set {to_set}"
    return f"{said}; set {to_set} to the folder that the paths are relative to"


def _other_root(folder: Path, root: Path, lists: Lists, option: Option) -> str:
    """The keys to set for another root, with the lists that exist as paths from it."""
    words = [typed("train", option("root"), folder)]
    for key, parts in lists.items():
        if all((root / part).exists() for part in parts):
            moved = [_relative((root / part).resolve(), folder.resolve()) for part in parts]
            words.append(_set(option(key), *moved))
    return " ".join(words)


def _relative(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def _set(key: str, *parts: str) -> str:
    if len(parts) == 1:
        return typed("train", key, parts[0])
    return shlex.quote(f"{key}=[{','.join(parts)}]")


def _lists_below(root: Path) -> list[str]:
    """Files that may be lists in a folder and in the folders in it, relative to it, nearest first."""
    folders = sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    found = []
    for folder in [root, *folders[:_FOLDERS]]:
        try:
            names = sorted(entry.name for entry in folder.iterdir() if entry.is_file())
        except OSError:
            continue
        lists = [name for name in names if name.endswith(_ENDINGS) and name.lower() not in _NO_LISTS]
        found += [str((folder / name).relative_to(root)) for name in lists]
    return found
