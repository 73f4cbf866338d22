"""Reads the arguments of a class or function from its source without importing it, so that errors are reported fast.

Arguments that the source does not state explicitly (decorators, metaclasses, names made at run time) are unknown here;
they are checked after the part has been imported.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union

_DEEPEST = 12  # imports and base classes that are followed
_PLAIN_BASES = ("ABC", "object", "Protocol", "Generic")
_NAMES: dict[str, Any] = {
    "int": int, "float": float, "bool": bool, "str": str, "Any": Any, "None": None, "dict": dict, "list": list,
    "tuple": tuple, "Sequence": Sequence, "Mapping": Mapping, "Path": Path, "Iterable": Iterable,
    "Collection": Collection,
}  # fmt: skip


@dataclass(frozen=True)
class Signature:
    """Named arguments: whether each is required, and its type if it is simple; `takes_any`: accepts any others."""

    required: dict[str, bool]
    hints: dict[str, Any]
    takes_any: bool = False


class _Unknown(Exception):
    """The source does not state it explicitly."""


@dataclass(frozen=True)
class _Module:
    """A module's source, and the package that its relative imports start from."""

    package: tuple[str, ...]
    body: dict[str, ast.stmt]


def read_signature(target: str) -> Signature | None:
    """The arguments of `module.Class` or `module.function`; None if its source does not state them explicitly."""
    module, _, name = target.rpartition(".")
    try:
        where, node = _find(module, name, 0)
        return _of_class(where, node, 0) if isinstance(node, ast.ClassDef) else _of_function(where, node, method=False)
    except _Unknown:
        return None


def read_constant(target: str, name: str, base: str) -> tuple[bool, Any]:
    """(True, value) of a class's own or inherited constant, if the class descends from the class named `base`."""
    module, _, of_class = target.rpartition(".")
    try:
        return True, _constant(*_find(module, of_class, 0), name, base, 0)
    except _Unknown:
        return False, None


def _constant(where: _Module, node: ast.stmt, name: str, base: str, depth: int) -> Any:
    if not isinstance(node, ast.ClassDef):
        raise _Unknown
    values = [
        item.value
        for item in node.body
        if (isinstance(item, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in item.targets))
        or (isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name) and item.target.id == name)
    ]
    descends = node.name == base
    inherited: list[Any] = []
    for parent in () if descends else _bases(node):
        try:
            inherited.append(_constant(*_find_here(where, parent, depth + 1), name, base, depth + 1))
        except _Unknown:
            continue
    if not descends and not inherited:
        raise _Unknown
    if not values:
        return inherited[0] if inherited else None
    if not isinstance(values[-1], ast.Constant):
        raise _Unknown
    return values[-1].value


@cache
def _module(name: str) -> _Module:
    """The top-level definitions of a module. Raises _Unknown if its source is not found or cannot be read."""
    first, *rest = name.split(".")
    try:
        spec = importlib.util.find_spec(first)  # a name without dots imports nothing
    except (ImportError, ValueError):
        raise _Unknown from None
    if spec is None:
        raise _Unknown
    places = [Path(place) for place in spec.submodule_search_locations or ()]
    path = Path(spec.origin) if spec.origin else None
    for part in rest:
        folders = [place / part for place in places if (place / part).is_dir()]
        files = [place / f"{part}.py" for place in places if (place / f"{part}.py").is_file()]
        packages = [folder / "__init__.py" for folder in folders if (folder / "__init__.py").is_file()]
        path, places = next(iter([*packages, *files]), None), folders
    if path is None or path.suffix != ".py":
        raise _Unknown
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        raise _Unknown from None
    names = name.split(".")
    return _Module(tuple(names if path.name == "__init__.py" else names[:-1]), dict(_definitions(tree)))


def _definitions(tree: ast.Module) -> Iterator[tuple[str, ast.stmt]]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, node
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    yield target.id, node


def _find(module: str, name: str, depth: int) -> tuple[_Module, ast.stmt]:
    if not module:
        raise _Unknown
    return _find_here(_module(module), name, depth)


def _find_here(where: _Module, name: str, depth: int) -> tuple[_Module, ast.stmt]:
    """A definition, through imports from one module to the next."""
    node = where.body.get(name)
    if node is None or depth > _DEEPEST:
        raise _Unknown
    if not isinstance(node, ast.ImportFrom):
        return where, node
    original = next(alias.name for alias in node.names if (alias.asname or alias.name) == name)
    package = where.package[: len(where.package) - node.level + 1] if node.level else ()
    return _find(".".join([*package, *([node.module] if node.module else [])]), original, depth + 1)


def _bases(node: ast.ClassDef) -> list[str]:
    names = []
    for base in node.bases:
        plain = base.value if isinstance(base, ast.Subscript) else base
        if isinstance(plain, ast.Attribute):
            names.append("")  # such as nn.Layer: unknown
        elif isinstance(plain, ast.Name) and plain.id not in _PLAIN_BASES:
            names.append(plain.id)
    return names


def _of_class(where: _Module, node: ast.ClassDef, depth: int) -> Signature:
    own = {item.name: item for item in node.body if isinstance(item, ast.FunctionDef)}
    if node.keywords or "__new__" in own:
        raise _Unknown
    made = [_called(decorator) for decorator in node.decorator_list]
    if made and made != ["dataclass"]:
        raise _Unknown
    if "__init__" in own:
        return _of_function(where, own["__init__"], method=True)
    parents = _bases(node)
    if not made:
        if not parents:
            return Signature({}, {})
        parent, base = _find_here(where, parents[0], depth + 1)
        if len(parents) > 1 or not isinstance(base, ast.ClassDef):
            raise _Unknown
        return _of_class(parent, base, depth + 1)
    inherited = [_of_class(*_class_here(where, name, depth + 1), depth + 1) for name in parents]
    required = {key: value for signature in inherited for key, value in signature.required.items()}
    hints = {key: value for signature in inherited for key, value in signature.hints.items()}
    for item in node.body:
        if not isinstance(item, ast.AnnAssign) or not isinstance(item.target, ast.Name):
            continue
        text = ast.unparse(item.annotation)
        if "ClassVar" in text or "InitVar" in text or text == "KW_ONLY" or "init=" in ast.unparse(item.value or item):
            raise _Unknown
        given = item.value
        required[item.target.id] = given is None or (
            isinstance(given, ast.Call) and _called(given) == "field"
            and not any(word.arg in ("default", "default_factory") for word in given.keywords)
        )  # fmt: skip
        hints |= _hinted(where, item.target.id, item.annotation)
    return Signature(required, hints)


def _class_here(where: _Module, name: str, depth: int) -> tuple[_Module, ast.ClassDef]:
    found, node = _find_here(where, name, depth)
    if not isinstance(node, ast.ClassDef):
        raise _Unknown
    return found, node


def _called(node: ast.expr) -> str:
    plain = node.func if isinstance(node, ast.Call) else node
    return plain.attr if isinstance(plain, ast.Attribute) else plain.id if isinstance(plain, ast.Name) else "?"


def _of_function(where: _Module, node: ast.stmt, *, method: bool) -> Signature:
    if not isinstance(node, ast.FunctionDef) or node.decorator_list:
        raise _Unknown
    arguments = node.args
    plain = arguments.args[1:] if method else arguments.args
    if method and not arguments.args:
        raise _Unknown
    without_default = len(plain) - min(len(arguments.defaults), len(plain))
    required = {argument.arg: position < without_default for position, argument in enumerate(plain)}
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        required[argument.arg] = default is None
    hints: dict[str, Any] = {}
    for argument in (*plain, *arguments.kwonlyargs):
        hints |= _hinted(where, argument.arg, argument.annotation)
    return Signature(required, hints, arguments.kwarg is not None or bool(arguments.posonlyargs))


def _hinted(where: _Module, name: str, annotation: ast.expr | None) -> dict[str, Any]:
    if annotation is None:
        return {}
    try:
        return {name: _hint(where, annotation, 0)}
    except (_Unknown, TypeError, KeyError):
        return {}


def _hint(where: _Module, node: ast.expr, depth: int) -> Any:
    """The type that an annotation of plain names means."""
    if depth > _DEEPEST:
        raise _Unknown
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            return _hint(where, ast.parse(node.value, mode="eval").body, depth + 1)
        if node.value is None:
            return None
    if isinstance(node, ast.Name):
        if node.id in _NAMES:
            return _NAMES[node.id]
        named, found = _find_here(where, node.id, depth)
        if isinstance(found, ast.Assign):
            return _hint(named, found.value, depth + 1)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return Union[_hint(where, node.left, depth + 1), _hint(where, node.right, depth + 1)]  # noqa: UP007
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if node.value.id == "Literal" and all(isinstance(item, ast.Constant) for item in items):
            return Literal[tuple(item.value for item in items if isinstance(item, ast.Constant))]
        inner = [
            ... if isinstance(item, ast.Constant) and item.value is ... else _hint(where, item, depth + 1)
            for item in items
        ]
        return _NAMES[node.value.id][tuple(inner) if len(inner) > 1 else inner[0]]
    raise _Unknown
