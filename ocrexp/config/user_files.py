"""Reads the user's own configuration files strictly: every fault is reported with file and line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.plugins.config_source import ConfigLoadError, ConfigResult
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ocrexp import yaml_text
from ocrexp.errors import ConfigError, printable
from ocrexp.files import MOST_TEXT, read_file
from ocrexp.nearest import nearest

# Groups whose files set values anywhere in the configuration.
GLOBAL_GROUPS = ("experiment", "debug", "launcher", "sweep", "task")
_HEADER = re.compile(r"#\s*@package\s*[:=]?\s*(\S+)\s*$")
_PACKAGES = ("_global_", "_group_", "_name_", "_here_")


class UserFiles(FileConfigSource):
    """Hydra's config source of files, with one-line errors; accepts a byte order mark, and a header among comments."""

    @staticmethod
    def scheme() -> str:
        """The scheme of `ocrexp://FOLDER` in the search path."""
        return "ocrexp"

    def load_config(self, config_path: str) -> ConfigResult:
        """The content of a file. Raises ConfigError for an invalid file."""
        name = self._normalize_file_name(config_path)
        path = (Path(self.path) / name).resolve()
        if not path.exists():
            raise ConfigLoadError(f"Config not found : {path}")
        shown = _shown(Path(self.path) / name)
        text = _decoded(path, shown)
        return ConfigResult(
            config=_node(_parsed(text, shown), shown),
            path=f"{self.scheme()}://{self.path}",
            provider=self.provider,
            header={"package": _package(text, shown, config_path.partition("/")[0] if "/" in config_path else "")},
        )


def _shown(path: Path) -> str:
    try:
        return printable(str(path.relative_to(Path.cwd())))
    except ValueError:
        return printable(str(path))


def _decoded(path: Path, shown: str) -> str:
    try:
        content = read_file(path, MOST_TEXT)
    except OSError as error:
        raise ConfigError(f"{shown}: cannot be read ({error.strerror}); check its permissions") from error
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise ConfigError(f"{shown}:1: expected UTF-8, got UTF-16; save the file as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{shown}:{line}: expected UTF-8, got another encoding (such as GBK or cp1252); save the file as UTF-8"
        ) from error


def _parsed(text: str, shown: str) -> dict[Any, Any]:
    from omegaconf._utils import get_yaml_loader

    try:
        content = yaml.load(text, Loader=get_yaml_loader())  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{shown}{line}: {_problem(error)}") from error
    except yaml.reader.ReaderError as error:
        number = text.count("\n", 0, error.position) + 1
        character = f"U+{int(error.character):04X}" if isinstance(error.character, int) else repr(error.character)
        raise ConfigError(f"{shown}:{number}: the character {character} is not allowed in YAML; remove it") from error
    except yaml_text.ERRORS as error:
        raise ConfigError(f"{shown}: {yaml_text.reason(error)}; correct or quote the value") from error
    if content is None:
        raise ConfigError(f"{shown}: the file is empty; write its values, or {{}} if it sets none")
    if not isinstance(content, dict):
        kind = "a list" if isinstance(content, list) else f"only {printable(str(content)[:40])!r}"
        raise ConfigError(f"{shown}:{_first_line(text)}: expected lines of 'key: value', got {kind}")
    for entry in defaults if isinstance(defaults := content.get("defaults", []), list) else [defaults]:
        if not (isinstance(defaults, list) and isinstance(entry, str | dict)):
            raise ConfigError(
                f"{shown}: defaults: expected a list of options as '- model: db_mbv3', "
                f"got {printable(str(entry)[:40])!r}"
            )
    try:
        yaml_text.check_yaml(text.encode())  # OmegaConf writes aliases out
    except ValueError as error:
        raise ConfigError(f"{shown}: {error}; write the values out, without that alias or nesting") from error
    return content


def _node(content: dict[Any, Any], shown: str) -> DictConfig:
    """Raises ConfigError for keys and values of types that configurations do not have, as YAML's dates and sets."""
    try:
        return OmegaConf.create(content)
    except OmegaConfBaseException as error:
        key = f"{error.full_key}: " if error.full_key else ""
        raise ConfigError(
            f"{shown}: {printable(key + str(error).splitlines()[0])}; write a text in quotes, a number, a list or"
            " 'key: value' lines"
        ) from error


def _problem(error: yaml.MarkedYAMLError) -> str:
    problem = printable(str(error.problem or error.context))
    if doubled := re.match(r"found duplicate key (.*)", problem):
        return f"duplicate key '{doubled[1]}'; keep one of them"
    if "'\\t'" in problem or "\\t" in problem:
        return "a tab, which YAML does not allow for indentation; use spaces"
    context = f" {printable(error.context)}" if error.context and error.context_mark else ""
    return f"YAML syntax error{context}: {problem}; compare the indentation, colons and quotes around this line"


def _first_line(text: str) -> int:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            return number
    return 1


def _package(text: str, shown: str, group: str) -> str | None:
    """The package in the header line; None without a header.

    Raises ConfigError for a misspelled header, or if the header is missing and no part would read the values.
    """
    lines = text.splitlines()
    first = _first_line(text)
    for number, line in enumerate(lines, start=1):
        comment = line.strip()
        if not comment.startswith("#"):
            continue
        if header := _HEADER.match(comment):
            if number > first:
                raise ConfigError(f"{shown}:{number}: '{comment}' has no effect here; move it to line 1")
            near = nearest(header[1], _PACKAGES)
            if header[1].startswith("_") and near and near != header[1]:
                raise ConfigError(f"{shown}:{number}: unknown package {header[1]}; did you mean {near}?")
            return header[1]
        word = re.match(r"#+\s*(@?\s*\w+)\W*\s+(_\w+_)\s*$", comment)
        if word and number < first and nearest(word[1].lower(), ("@package",)):
            raise ConfigError(f"{shown}:{number}: unknown header '{comment}'; write '# @package {word[2]}'")
    if group in GLOBAL_GROUPS:
        raise ConfigError(
            f"{shown}:1: the values would go into '{group}', which no part reads; write '# @package _global_' as its"
            " first line"
        )
    return None
