"""Which keys take a path or a text, so that `dataset.root=2024` is a folder and not a number.

Composition would show it, from the schemas and the signatures of the parts, but only after the overrides have been
read. A key that is missing here is read as Hydra reads values: it needs quotes where it has special characters.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

# Keys of the verbs themselves; "*" marks those that take several as [a,b].
OF_VERBS = {
    "train": ("name", "run_dir", "sweep_dir", "hydra.run.dir", "hydra.sweep.dir", "hydra.sweeper.storage",
        "hydra.sweeper.study_name", "*hydra.sweeper.warm_start"),
    "resume": ("name", "run_dir"),
    "find-lr": ("name", "output", "run_dir", "sweep_dir"),
    "find-batch": ("name", "output", "run_dir", "sweep_dir"),
    "eval": ("run_dir", "checkpoint", "output"),
    "export": ("run_dir", "checkpoint", "export.dir", "export.model_name", "export.baseline"),
    "extract-student": ("run_dir", "checkpoint", "student", "output"),
    "prune": ("run_dir", "checkpoint", "output"),
    "predict": ("*images", "det", "rec", "cls", "output", "font", "rec_char_dict_path"),
    "serve": ("det", "rec", "cls", "rec_char_dict_path"),
    "eval-system": ("det", "rec", "cls", "output", "rec_char_dict_path"),
    "cut-lines": ("det", "out"),
    "check-data": ("source", "output"),
    "browse": ("report",),
    "synth": ("out",),
    "convert": ("*root", "*from", "to", "out", "image_root", "text_key", "dictionary", "split_by", "placeholder"),
    "bench": (
        "root", "labels", "rec_root", "rec_labels", "paddleocr", "paddleocr_source", "det", "rec", "images",
        "lines_root", "paddleocr3", "rapidocr", "output",
    ),
    "convert-config": ("config", "out"),
    "compare": ("*runs", "sort", "*filter", "*group", "*columns", "output", "gallery"),
    "report": ("*runs", "*filter", "output"),
    "wandb-sync": ("*runs", "project", "entity"),
}  # fmt: skip
# Keys of the parts, by the node at the top and the last name.
OF_PARTS = {
    "dataset": (
        "root", "*train_labels", "*val_labels", "*train", "*val", "cache_dir", "backgrounds", "fonts", "words",
        "dictionary", "characters", "val_split_by", "format", "level", "text_key", "image_root",
        "*path", "outlines", "style_list", "style_root",
    ),
    "charset": ("path", "*characters"),
    "model": ("name", "pretrained", "pretrained_charset", "pretrained_prefix"),
    "logger": (
        "project", "entity", "name", "group", "job_type", "notes", "*tags", "filename", "folder", "tracking_uri",
        "experiment",
    ),
    "callbacks": ("font", "folder"),
}  # fmt: skip

# Those of all these keys, by their last name, that are not paths: `~` at their beginning is a character.
_NO_PATHS = (
    "name", "model_name", "characters", "project", "entity", "group", "notes", "tags", "filename", "folder",
    "sort", "filter", "columns", "study_name", "storage", "tracking_uri", "experiment", "job_type", "source",
    "from", "to", "format", "level", "text_key", "placeholder", "student", "pretrained_prefix",
)  # fmt: skip
# Keys of parts whose values are mappings of characters.
MAPPINGS = ("charset.unknown_map",)


def is_text(verb: str, key: str) -> bool:
    """Whether the key takes a path or a text."""
    return _entry(verb, key) is not None


def is_path(verb: str, key: str) -> bool:
    """Whether the key takes a path."""
    return is_text(verb, key) and key.rpartition(".")[2] not in _NO_PATHS


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


def command(verb: str, values: Mapping[str, object]) -> str:
    """What to type into a shell to start a verb with these values: keys of paths and texts, or words such as options.

    It holds whatever characters the values have, and no control codes.
    """
    words = ["python -m ocrexp", *([verb] if verb != "train" else [])]
    return " ".join([*words, *(typed(verb, key, value) for key, value in values.items())])


def typed(verb: str, key: str, value: object) -> str:
    """`key=value` as a person types it into a shell, so that the verb takes exactly this text; None is null."""
    if value is None:
        return f"{key}=null"
    text = str(value)
    listed = takes_list(verb, key) and text[:1] == "[" and text[-1:] == "]"
    if listed or text in ("", "null") or text[:1] in "\"'~" or "${" in text:
        text = quote(text)
    return f"{key}={_shell_word(text)}"


def _shell_word(text: str) -> str:
    """The text as a part of a word of bash or zsh."""
    if re.fullmatch(r"[\w@%+:,./-]+", text):
        return text
    if not text.isprintable():
        escaped = "".join(
            character if character.isprintable() and character not in "\\'" else _escape(character)
            for character in text
        )
        return f"$'{escaped}'"
    readable = "'" in text and not re.search(r'["$`\\!]', text)
    return f'"{text}"' if readable else shlex.quote(text)


def _escape(character: str) -> str:
    """A character within `$'…'`. A byte of a file name that is not UTF-8 stays that byte."""
    code = ord(character)
    if character in "\\'":
        return f"\\{character}"
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def quote(text: str) -> str:
    """A text in Hydra's quotes, of which its parser and OmegaConf make the same text again."""
    from omegaconf.errors import GrammarParseError
    from omegaconf.grammar_parser import parse

    if "${" in text:
        try:
            parse(text)
        except GrammarParseError:
            text = text.replace("${", "\\${")
    escaped = re.sub(r"(\\*)'", lambda match: match[1] * 2 + "\\'", text)
    trailing = len(escaped) - len(escaped.rstrip("\\"))
    return f"'{escaped}{chr(92) * trailing}'"
