"""Converts the command line as people type it to the arguments that Hydra reads.

Flags and overrides may be mixed, `--key=value` means `key=value`, and the value of a key that takes a path or a text is
not parsed: `dataset.root=/data/发票 (1)`, `name=2024`. Anything that cannot be read is refused in one line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ocrexp.command_line import is_path, key_of, quote
from ocrexp.config.agent import as_hydra_reads
from ocrexp.config.paths import add_folder, groups, options_of
from ocrexp.config.quoting import as_text
from ocrexp.config.verbs import TAKES_RUNS, VERBS
from ocrexp.errors import ConfigError
from ocrexp.nearest import nearest

VALUES = {
    "--cfg": ("job", "hydra", "all"),
    "--info": ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath"),
}
SHORT = {
    "-c": "--cfg", "-i": "--info", "-p": "--package", "-m": "--multirun", "-r": "--run", "-sc": "--shell-completion",
    "-cp": "--config-path", "-cn": "--config-name", "-cd": "--config-dir", "-h": "--help",
}  # fmt: skip
TAKES_VALUE = ("--cfg", "--package", "--config-path", "--config-name", "--config-dir", "--experimental-rerun")
ALONE = ("--run", "--multirun", "--resolve", "--shell-completion", "--hydra-help", "--info")
FLAGS = (*TAKES_VALUE, *ALONE, "--help", "--version")
ONE_OF = ("--run", "--multirun", "--cfg", "--info", "--shell-completion")
REFUSED = {
    "--config-name": "training has one primary config; move {value} to conf/experiment/ and add experiment=NAME",
    "--config-path": "put your own files into ./conf, or name their folder with --config-dir",
    "--experimental-rerun": "continue a run with `python -m ocrexp resume run_dir=DIR`",
}
_NOTHING = ("experiment=null", "debug=null", "sweep=null")  # overrides that repeat the defaults
_COMPLETION = re.compile(r"(install|uninstall|query)=(bash|fish|zsh)")
_KEY = re.compile(r"[+~]{0,2}[\w$][^\s=]*=", re.DOTALL)


@dataclass
class _Typed:
    flags: dict[str, str | None] = field(default_factory=dict)
    overrides: list[str] = field(default_factory=list)


def arrange(verb: str, arguments: Sequence[str]) -> list[str]:
    """The flags, then the overrides, whose texts are quoted where Hydra needs it.

    Raises ConfigError, in one line, for a flag that this verb does not have or a word that is not an override.
    """
    if verb == "convert-config" and "-o" in arguments:  # PaddleOCR's overrides follow it
        at = list(arguments).index("-o")
        return [*arrange(verb, arguments[:at]), *arguments[at:]]
    if verb == "train":
        arguments = as_hydra_reads(arguments)
    if verb in TAKES_RUNS:
        runs, arguments = _split_runs(arguments)
        return [*_arranged(verb, arguments), *runs]
    return _arranged(verb, arguments)


def _split_runs(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words that name runs as one override, `runs=['a','b']`, and the other words."""
    is_run = [
        word[:1] not in ("-", "+", "=") and ("=" not in word or "/" in word.partition("=")[0] or Path(word).is_dir())
        for word in arguments
    ]
    words = [word for word, run in zip(arguments, is_run, strict=True) if run]
    if words and any(key_of(word) == "runs" for word in arguments if "=" in word):
        raise ConfigError(f"runs: given as {words[0]} and as runs=…; remove one of the two")
    others = [word for word, run in zip(arguments, is_run, strict=True) if not run]
    return [f"runs=[{','.join(map(quote, words))}]"] if words else [], others


def _arranged(verb: str, arguments: Sequence[str]) -> list[str]:
    typed = _split(verb, joined(arguments))
    _check_flags(verb, typed.flags)
    typed.overrides = [item for item in typed.overrides if item not in _NOTHING]
    for override in typed.overrides:
        _check_key(override)
        if override.endswith("=") and is_path(verb, key_of(override)):
            raise ConfigError(f"{override}: the value is missing; write a path, or {override}null")
    _check_whole_nodes(typed.overrides)
    if "--shell-completion" in typed.flags and not any(map(_COMPLETION.fullmatch, typed.overrides)):
        raise ConfigError("--shell-completion: expected install=SHELL or uninstall=SHELL (bash, fish or zsh) behind it")
    if "--hydra-help" in typed.flags:  # Hydra composes its own node alone for it
        typed.overrides = [item for item in typed.overrides if key_of(item).startswith("hydra")]
    sweep = "--multirun" in typed.flags
    flags = [item for flag, value in typed.flags.items() for item in ([flag] if value is None else [flag, value])]
    return [*flags, *(as_text(verb, override, sweep) for override in typed.overrides)]


def split_flags(arranged: Sequence[str]) -> tuple[list[str], list[str]]:
    """The result of `arrange`, split into flags with their values and overrides."""
    at = 0
    while at < len(arranged) and arranged[at].startswith("--"):
        at += 2 if arranged[at] in (*TAKES_VALUE, "--info") else 1
    return list(arranged[:at]), list(arranged[at:])


def joined(words: Sequence[str]) -> list[str]:
    """Joins words whose quotes were not processed by the shell, as with `$line` or in cmd.exe.

    `dataset.root='my`, `data'` become one word, and quotes around a whole `'dataset.root=my data'` are removed.
    """
    rest, result = list(words), []
    while rest:
        word = rest.pop(0)
        whole = word[:1] in ("'", '"')
        value = word if whole else word.partition("=")[2]
        mark = value[:1]
        if mark in ("'", '"') and (len(value) == 1 or value[-1] != mark):
            end = next((at for at, later in enumerate(rest, start=1) if later.endswith(mark)), 0)
            word = " ".join([word, *rest[:end]])
            del rest[:end]
        if whole and word[-1] == mark and "=" in word:
            word = word[1:-1]
        result.append(word)
    return result


def _split(verb: str, arguments: list[str]) -> _Typed:
    typed = _Typed()
    while arguments:
        word = arguments.pop(0)
        if not word.startswith("-") or word == "-":
            typed.overrides.append(_override(word, arguments, typed.overrides[-1] if typed.overrides else ""))
            continue
        name, equals, value = word.partition("=")
        flag = SHORT.get(name, name)
        if flag in FLAGS:
            typed.flags[flag] = _flag_value(verb, name, flag, value if equals else None, arguments)
        elif name in ("-o", "--opt"):
            following = word if equals else " ".join([word, *arguments[:1]])
            raise ConfigError(f"{following}: this is PaddleOCR's way to set values; {_convert_hint('FILE.yml')}")
        elif name == "--config":
            raise _paddleocr_file(verb, word, value or (arguments[0] if arguments else "FILE.yml"))
        elif equals and _KEY.match(word.lstrip("-")):
            typed.overrides.append(word.lstrip("-"))  # W&B's agent and argparse users write --optim.lr=1e-4
        else:
            raise _unknown_flag(word, arguments)
    return typed


def _flag_value(verb: str, name: str, flag: str, value: str | None, arguments: list[str]) -> str | None:
    if flag == "--info":
        if value is None and arguments and "=" not in arguments[0] and not arguments[0].startswith("-"):
            value = arguments.pop(0)
        value = value or "all"
    elif flag in TAKES_VALUE:
        if value is None and arguments:
            value = arguments.pop(0)
        if not value:
            choices = f"one of {', '.join(VALUES[flag])}" if flag in VALUES else "a value"
            raise ConfigError(f"{name}: the value is missing; write {choices} after it")
        if flag == "--cfg" and value.lower().endswith((".yml", ".yaml")):
            raise _paddleocr_file(verb, f"{name} {value}", value)
    elif value is not None:
        raise ConfigError(f"{name}={value}: expected no value; write {name}")
    if flag in VALUES and value not in VALUES[flag]:
        raise ConfigError(f"{name}: expected one of {', '.join(VALUES[flag])}, got '{value}'")
    return value


def _convert_hint(file: str) -> str:
    return f"convert the training file first: python -m ocrexp convert-config config={file}"


def _paddleocr_file(verb: str, typed: str, file: str) -> ConfigError:
    if verb == "convert-config":
        return ConfigError(f"{typed}: write it as config={file}")
    return ConfigError(f"{typed}: this is PaddleOCR's way to name a training file; {_convert_hint(file)}")


def _unknown_flag(word: str, arguments: list[str]) -> ConfigError:
    key = word.lstrip("-")
    near = nearest(word, [*FLAGS, *SHORT], cutoff=0.75)
    if near and near != word:
        return ConfigError(f"unknown flag {word}; did you mean {near}?")
    if key and re.fullmatch(r"[\w./]+", key) and (arguments or "." in key):
        value = arguments[0] if arguments and "=" not in arguments[0] and arguments[0][:1] != "-" else "VALUE"
        return ConfigError(f"{word}: values are set without dashes; write {key}={value}")
    return ConfigError(f"unknown flag {word}; flags: {', '.join(FLAGS)}")


def _override(word: str, following: list[str], before: str) -> str:
    if "=" in word and not word.startswith("="):
        key, _, value = word.partition("=")
        if not value and following and "=" not in following[0] and not following[0].startswith("-"):
            raise ConfigError(f"'{word} {following[0]}': write it without spaces: {word}{following[0]}")
        if not key.strip("+~"):
            raise ConfigError(f"'{word}': expected key=value; the key is missing")
        return word
    if word.startswith("~") and len(word) > 1 and not word.startswith("~/"):
        return word
    if following and following[0].startswith("="):
        value = following[0][1:] or (following[1] if len(following) > 1 else "VALUE")
        raise ConfigError(f"'{word} {' '.join(following[:2])}': write it without spaces: {word}={value}")
    if word in VERBS:
        raise ConfigError(f"'{word}': the verb comes first: python -m ocrexp {word} …")
    if word.lower().endswith((".yml", ".yaml")):
        raise ConfigError(
            f"'{word}': expected key=value; choose an experiment in ./conf with experiment={Path(word).stem}, or for a"
            f" file of PaddleOCR {_convert_hint(word)}"
        )
    if word.startswith("="):
        raise ConfigError(f"'{word}': expected key=value; the key is missing")
    key, _, start = before.partition("=")
    example = f'{key}="{start} {word}"' if before else 'key="VALUE"'
    raise ConfigError(
        f"'{word}': expected key=value, such as optim.lr=1e-4; quote values that contain spaces: {example}"
    )


def _check_key(override: str) -> None:
    """Refuse a key that Hydra cannot read, and a group without an option."""
    key, equals, value = override.partition("=")
    bare = key.lstrip("+~").partition("@")[0]
    if not re.fullmatch(r"[A-Za-z_$][\w$-]*(?:[./:][\w$-]+|\[[^\]]*\])*", bare, re.ASCII):
        raise ConfigError(
            f"unknown key {bare}: expected names of ASCII letters with one dot between them, such as optim.lr"
        )
    if equals and not value and bare in groups():
        raise ConfigError(f"{override}: expected an option; options: {', '.join(options_of(bare))}")


def _check_whole_nodes(overrides: Sequence[str]) -> None:
    """Refuse `model.backbone=x model.backbone.scale=1`: one replaces a node, the other sets a key of it."""
    keys = [key_of(item) for item in overrides]
    for override, key in zip(overrides, keys, strict=True):
        value = override.partition("=")[2]
        below = next((other for other in keys if other.startswith(f"{key}.")), None)
        if below is None or not value or value[0] in "{$" or "${" in value or key in groups():
            continue
        from ocrexp.config.nodes import PARTS, part_expected

        if key in PARTS and value != "null":
            raise part_expected(key, PARTS[key], value)
        raise ConfigError(f"{override}: replaces {key} as a whole, so {below} cannot be set; remove one of the two")


def _check_flags(verb: str, flags: dict[str, str | None]) -> None:
    if verb != "train" and flags:
        flag = next(iter(flags))
        if flag == "--multirun":
            raise ConfigError(
                f"{flag}: only training supports sweeps (python -m ocrexp -m key=a,b); run {verb} once per value"
            )
        raise ConfigError(f"{flag}: only training has this flag, not {verb}; see python -m ocrexp {verb} -h")
    for flag, reason in REFUSED.items():
        if flag in flags:
            raise ConfigError(f"{flag} {flags[flag]}: not supported here; {reason.format(value=flags[flag])}")
    chosen = [flag for flag in ONE_OF if flag in flags]
    if len(chosen) > 1:
        raise ConfigError(f"{chosen[0]} and {chosen[1]} exclude each other; choose one of them")
    for flag in ("--resolve", "--package"):
        if flag in flags and "--cfg" not in flags:
            raise ConfigError(f"{flag}: shows a part of a configuration; add --cfg job")
    folder = flags.pop("--config-dir", None)
    if folder is not None:
        if not Path(folder).expanduser().is_dir():
            raise ConfigError(f"--config-dir {folder}: folder not found; correct the path")
        add_folder(Path(folder).expanduser())
