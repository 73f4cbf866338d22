"""Decides whether a run folder's configuration was composed by this user, and what it may name.

A configuration composed here, from the shipped `conf/` and the user's own `./conf`, may name any `_target_`. A
configuration received from someone else may not, because it would call whatever it names. So a run folder contains a
signature of the texts of its configuration, made with a secret key in the user's cache. A text with a valid signature
is the user's own, even if the folder is moved. Any other text may only name the classes of ocrexp's part folders,
paddle's optimizers and schedules, and definitions of the packages that the user has named in OCREXP_TRUSTED or
`trusted=`.

Nothing is imported for this check: it reads source files.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import hmac
import importlib.util
import json
import logging
import os
import re
import secrets
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ocrexp import files, folders
from ocrexp.config.moved import current
from ocrexp.errors import ConfigError, printable

log = logging.getLogger(__name__)

VARIABLE = "OCREXP_TRUSTED"
SIGNATURES = Path(".hydra") / "signatures.json"
_COMPOSED = "OCREXP_COMPOSED"  # digest of the resolved text that the parent process has composed
_KEY = "trust.key"
_KEPT_SIGNATURES = 16

# Modules with ocrexp's parts; a name that ends with a dot is a package.
_PART_MODULES = (
    "models.model", "models.backbones.", "models.necks.", "models.heads.", "models.transforms.", "losses.", "augment.",
    "adapt.", "postprocess.", "metrics.", "optim.", "loggers.", "engine.callbacks.", "data.lists", "data.rec_lists",
    "data.cls_lists", "data.lmdb", "data.synth.dataset", "data.synth.rec_dataset", "data.synth.cls_dataset",
    "data.targets.", "data.transforms.",
)  # fmt: skip
_PART_FUNCTIONS = frozenset(
    f"ocrexp.charset.sources.from_{what}" for what in ("characters", "classes", "dictionary", "labels")
)
_PADDLE_OPTIMIZERS = (
    "Adadelta", "Adagrad", "Adam", "Adamax", "AdamW", "ASGD", "Lamb", "LBFGS", "Momentum", "NAdam", "RAdam", "RMSProp",
    "Rprop", "SGD",
)  # fmt: skip
_PADDLE_SCHEDULES = (
    "CosineAnnealingDecay", "CosineAnnealingWarmRestarts", "CyclicLR", "ExponentialDecay", "InverseTimeDecay",
    "LinearLR", "LinearWarmup", "MultiStepDecay", "NaturalExpDecay", "NoamDecay", "OneCycleLR", "PiecewiseDecay",
    "PolynomialDecay", "ReduceOnPlateau", "StepDecay",
)  # fmt: skip
_PADDLE = frozenset(
    {f"paddle.optimizer.{name}" for name in _PADDLE_OPTIMIZERS}
    | {f"paddle.optimizer.lr.{name}" for name in _PADDLE_SCHEDULES}
)
_RESOLVERS = frozenset({"first", "mapping", "oc.select"})  # these resolvers read only other keys or their own text
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII)


def trusted_packages(given: Sequence[str] | str | None = None) -> tuple[str, ...]:
    """The packages that the user trusts: `trusted=[mypkg]` of a verb, and OCREXP_TRUSTED=mypkg,other.

    Raises ConfigError for names that are not package names, and for Python's and ocrexp's own packages.
    """
    keys = [given] if isinstance(given, str) else list(given or ())
    named = [("trusted", str(name)) for name in keys]
    named += [(VARIABLE, name) for name in os.environ.get(VARIABLE, "").split(",")]
    packages = []
    for where, name in ((where, name.strip()) for where, name in named if name.strip()):
        if not all(part.isidentifier() for part in name.split(".")):
            raise ConfigError(
                f"{where}: expected names of packages, got {printable(name)!r}; write {where}=mypkg,other"
            )
        if not _can_be_named(name):
            raise ConfigError(f"{where}: {name} cannot be trusted as a whole; name your own package")
        packages.append(name)
    return tuple(dict.fromkeys(packages))


def _can_be_named(package: str) -> bool:
    top = package.partition(".")[0]
    return top not in sys.stdlib_module_names and top not in ("ocrexp", "paddle", "hydra", "omegaconf", "numpy", "cv2")


# Signatures.


def sign(run_dir: Path, *texts: str) -> None:
    """Record that this user composed the texts, before they are written into the folder.

    Without a writable cache the run still works; `resume` then asks for the trusted packages.
    """
    os.environ[_COMPOSED] = _digest(texts[-1])  # for ranks and sweep jobs, which need no cache
    try:
        key = _key(create=True)
        if key is None:
            return
        known = [*_signatures(run_dir), *(_signature(key, text) for text in texts)]
        files.write_json(run_dir / SIGNATURES, list(dict.fromkeys(known))[-_KEPT_SIGNATURES:])
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home folder
        log.debug("the run is not signed: %s", error)


def is_own(run_dir: Path, text: str) -> bool:
    """Whether this user composed the text, in this process or in its parent."""
    if os.environ.get(_COMPOSED) == _digest(text):
        return True
    try:
        key = _key(create=False)
    except (OSError, RuntimeError):
        key = None
    if key is None:
        return False
    expected = _signature(key, text)
    return any(hmac.compare_digest(expected, found) for found in _signatures(run_dir))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _signature(key: bytes, text: str) -> str:
    return hmac.new(key, b"ocrexp run configuration\n" + text.encode(), hashlib.sha256).hexdigest()


def _signatures(run_dir: Path) -> list[str]:
    try:
        found = json.loads(files.read_file(run_dir / SIGNATURES, 100_000))
    except (OSError, ValueError, RecursionError):
        return []
    return [item for item in found if isinstance(item, str) and item.isascii()] if isinstance(found, list) else []


def _key(create: bool) -> bytes | None:
    """This user's secret; None if it does not exist, or if others can read or write it."""
    path = folders.cache_folder() / _KEY
    if create and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = files.temporary_name(path)
        temporary.unlink(missing_ok=True)  # from a killed process that had the same id
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(32))
            with contextlib.suppress(FileExistsError):  # another run has created the key first: use that one
                os.link(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    if not path.is_file():
        return None
    status = path.stat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077:
        return None
    key = path.read_bytes()
    return key if len(key) == 32 else None


# What a configuration of someone else may name.


def admit(config: dict[Any, Any], path: Path, run_dir: Path, packages: Sequence[str]) -> None:
    """Reduce a configuration of someone else to harmless values, in place.

    Values that use the environment or other resolvers become `???`, and `trainer.launch_args`, which names programs,
    becomes empty; each with a warning. Raises ConfigError for a `_target_` that is not allowed.
    """
    for node, key, where in _values(config, ""):
        value = node[key]
        if key == "_target_":
            _admit_target(value, f"{path}: {where}", run_dir, packages)
        elif isinstance(value, str) and "${" in value and (resolver := _refused_resolver(value)):
            log.warning(
                "%s: %s uses the resolver %s, which is not run for a configuration of someone else; set %s=…",
                path,
                where,
                resolver,
                where,
            )
            node[key] = "???"
    trainer = config.get("trainer")
    if isinstance(trainer, dict) and trainer.get("launch_args"):
        log.warning("%s: trainer.launch_args is ignored; set it on the command line if you need it", path)
        trainer["launch_args"] = []


def _values(node: Any, where: str) -> Iterator[tuple[Any, Any, str]]:
    """Every entry of a tree of dicts and lists, as (container, key, dotted key)."""
    if isinstance(node, dict):
        for key in list(node):
            full = f"{where}.{key}" if where else str(key)
            yield node, key, full
            yield from _values(node[key], full)
    elif isinstance(node, list):
        for position, item in enumerate(node):
            yield node, position, f"{where}[{position}]"
            yield from _values(item, f"{where}[{position}]")


def _refused_resolver(text: str) -> str | None:
    """The name of the first forbidden resolver in an interpolation; None if there is none."""
    from omegaconf.errors import GrammarParseError
    from omegaconf.grammar_parser import OmegaConfGrammarParser, parse

    def names(tree: Any) -> Iterator[str]:
        if isinstance(tree, OmegaConfGrammarParser.InterpolationResolverContext):
            yield tree.resolverName().getText()
        for child in getattr(tree, "children", None) or ():
            yield from names(child)

    try:
        return next((printable(name) for name in names(parse(text)) if name not in _RESOLVERS), None)
    except (GrammarParseError, RecursionError):
        return "that cannot be read"


def _admit_target(target: Any, where: str, run_dir: Path, packages: Sequence[str]) -> None:
    shown = printable(str(target))[:100]
    if isinstance(target, str):
        target = current(target)
    if isinstance(target, str) and (target in _PART_FUNCTIONS or target in _PADDLE):
        return
    if not isinstance(target, str) or not _DOTTED.fullmatch(target):
        raise ConfigError(f"{where}: expected the dotted name of a class, got {shown!r}; do not use this run folder")
    module, _, member = target.rpartition(".")
    if module.startswith("ocrexp."):
        inner = module.removeprefix("ocrexp.")
        part = any(inner == name or (name.endswith(".") and inner.startswith(name)) for name in _PART_MODULES)
        if part and not member.startswith("_") and _defines(module, member, (), run_dir, classes_only=True):
            return
        raise ConfigError(f"{where}: {shown} is not a part of ocrexp; do not use this run folder")
    named = [name for name in packages if module == name or module.startswith(f"{name}.")]
    if named:
        if _defines(module, member, packages, run_dir):
            return
        raise ConfigError(
            f"{where}: expected a class or function that {named[0]} defines in its own files outside of the run "
            f"folder, got {shown}; name the module that defines it"
        )
    top = module.partition(".")[0]
    advice = (
        f"if you trust this package, set {VARIABLE}={top} or add trusted=[{top}]"
        if _can_be_named(top)
        else "do not use this run folder"
    )
    raise ConfigError(
        f"{where}: {shown} is not a part of ocrexp, and you did not compose this configuration here; {advice}"
    )


def _defines(
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
                    found = inside and _defines(origin, alias.name, packages, run_dir, depth=depth + 1)
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
