"""Which keys take a path or a text, so that `dataset.root=2024` is a folder and not a number.

Composition would tell, from the schemas and the signatures of the parts, but only after the overrides have been read.
A key that is missing here is read as Hydra reads values: it needs quotes where it has special characters.
"""

from __future__ import annotations

# Keys of the verbs themselves; "*" marks those that take several as [a,b].
OF_VERBS = {
    "train": ("name", "run_dir", "sweep_dir"),
    "resume": ("name", "run_dir"),
    "eval": ("run_dir", "checkpoint", "output"),
    "export": ("run_dir", "checkpoint", "export.dir", "export.model_name"),
    "predict": ("*images", "det", "rec", "cls", "output", "font", "rec_char_dict_path"),
    "eval-system": ("det", "rec", "cls", "output", "rec_char_dict_path"),
    "synth": ("out",),
    "bench": (
        "root", "labels", "rec_root", "rec_labels", "paddleocr", "paddleocr_source", "det", "rec", "images",
        "lines_root", "paddleocr3", "rapidocr", "output",
    ),
    "convert-config": ("config", "out"),
}  # fmt: skip
# Keys of the parts, by the node at the top and the last name.
OF_PARTS = {
    "dataset": (
        "root", "*train_labels", "*val_labels", "*train", "*val", "cache_dir", "backgrounds", "fonts", "words",
        "dictionary", "characters",
    ),
    "charset": ("path", "*characters"),
    "model": ("name", "pretrained", "pretrained_charset"),
    "logger": ("project", "entity", "name", "group", "notes", "*tags", "filename", "folder"),
    "callbacks": ("font", "folder"),
}  # fmt: skip


def is_text(verb: str, key: str) -> bool:
    """Whether the key takes a path or a text."""
    return _entry(verb, key) is not None


def takes_list(verb: str, key: str) -> bool:
    """Whether the key takes several texts as well."""
    return (_entry(verb, key) or "").startswith("*")


def _entry(verb: str, key: str) -> str | None:
    for name in OF_VERBS.get(verb, ()):
        if name.lstrip("*") == key:
            return name
    node, _, rest = key.partition(".")
    leaf = rest.rpartition(".")[2]
    for name in OF_PARTS.get(node, ()) if leaf else ():
        if name.lstrip("*") == leaf:
            return name
    return None


def key_of(override: str) -> str:
    """The key of an override as typed: `+optim.lr=1` gives `optim.lr`."""
    return override.split("=", 1)[0].lstrip("+~").split("@", 1)[0]
