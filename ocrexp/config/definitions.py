"""Whether the source file of a module defines a class or function; nothing is imported for it."""

from __future__ import annotations

import ast
import functools
import importlib.util
from collections.abc import Sequence
from pathlib import Path


def defines(
    module: str, member: str, packages: Sequence[str], run_dir: Path, *, classes_only: bool = False, depth: int = 0
) -> bool:
    """Whether a module's source defines a class or function, or imports it from a given package that defines it."""
    source = _source(module, run_dir)
    if source is None or depth > 8:
        return False
    kinds: tuple[type, ...] = (ast.ClassDef,) if classes_only else (ast.ClassDef, ast.FunctionDef)
    found = False
    for statement in _statements(source):  # the last binding of the name counts
        if isinstance(statement, kinds) and statement.name == member:  # type: ignore[attr-defined]  # they have names
            found = True
        elif isinstance(statement, ast.ImportFrom):
            for alias in statement.names:
                if (alias.asname or alias.name) == member:
                    origin = _imported_from(statement, module, source)
                    inside = any(origin == name or origin.startswith(f"{name}.") for name in packages)
                    found = inside and defines(origin, alias.name, packages, run_dir, depth=depth + 1)
        elif member in _bound(statement):
            found = False
    return found


@functools.lru_cache(maxsize=256)  # a configuration often names several parts of one file
def _statements(source: Path) -> list[ast.stmt]:
    try:
        return ast.parse(source.read_bytes()).body
    except (OSError, SyntaxError, ValueError, RecursionError):
        return []


def _imported_from(statement: ast.ImportFrom, module: str, source: Path) -> str:
    if not statement.level:
        return statement.module or ""
    parts = module.split(".")
    parts = parts[: len(parts) - statement.level + (source.name == "__init__.py")]
    return ".".join([*parts, *([statement.module] if statement.module else [])])


def _bound(statement: ast.stmt) -> set[str]:
    """Names that another statement at a module's top level may bind."""
    names = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    if isinstance(statement, ast.Import):
        names |= {alias.asname or alias.name.partition(".")[0] for alias in statement.names}
    return names


def _source(module: str, run_dir: Path) -> Path | None:
    """The file of a module, found without importing it; None if it has none, or if it is in the run folder."""
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if not rest:
        file = Path(spec.origin) if spec.origin else None
        return file if file is not None and file.is_file() and _outside(file, run_dir) else None
    for folder in spec.submodule_search_locations or ():
        base = Path(folder).joinpath(*rest)
        for file in (base / "__init__.py", base.with_name(f"{base.name}.py")):
            if file.is_file():
                return file if _outside(file, run_dir) else None
    return None


def _outside(file: Path, run_dir: Path) -> bool:
    return file.suffix == ".py" and run_dir.resolve() not in file.resolve().parents
