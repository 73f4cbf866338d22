"""What a run folder's configuration may name if someone else has composed it.

A configuration composed here, from the shipped `conf/` and the user's own `./conf`, may name any `_target_` (see
authorship.py). A configuration received from someone else may not, because it would call whatever it names: it may only
name the classes of ocrexp's part folders, what the shipped `conf/` names as a part, paddle's optimizers and schedules,
and definitions of the packages that the user has named in OCREXP_TRUSTED or `trusted=`.

Nothing is imported for this check: definitions.py reads source files.
"""

from __future__ import annotations

import functools
import logging
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ocrexp.config.definitions import defines
from ocrexp.config.moved import current
from ocrexp.config.paths import shipped_conf
from ocrexp.errors import ConfigError, printable

log = logging.getLogger(__name__)

VARIABLE = "OCREXP_TRUSTED"

# Folders that contain nothing but parts: each of their public classes may be named.
_PART_FOLDERS = (
    "models.backbones", "models.necks", "models.heads", "models.transforms", "losses", "augment", "adapt",
    "postprocess", "metrics", "optim", "engine.callbacks", "data.synth.text", "data.synth.camera", "data.targets",
    "data.transforms",
)  # fmt: skip
# Here parts are beside other code: what the shipped conf/ names is a part, the rest (writers, workers, …) is not.
_MIXED_FOLDERS = ("models", "data", "charset", "loggers")
_WRITTEN_BY_OCREXP = frozenset({"ocrexp.charset.sources.from_classes"})  # a run's own characters; see inherit.py
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
_TARGET = re.compile(r"_target_: *[\"']?(ocrexp(?:\.\w+)+)", re.ASCII)
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
    if isinstance(target, str) and target in _PADDLE:
        return
    if not isinstance(target, str) or not _DOTTED.fullmatch(target):
        raise ConfigError(f"{where}: expected the dotted name of a class, got {shown!r}; do not use this run folder")
    module, _, member = target.rpartition(".")
    if module.startswith("ocrexp."):
        if _is_part(module, member, run_dir):
            return
        raise ConfigError(f"{where}: {shown} is not a part of ocrexp; do not use this run folder")
    named = [name for name in packages if module == name or module.startswith(f"{name}.")]
    if named:
        if defines(module, member, packages, run_dir):
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


def _is_part(module: str, member: str, run_dir: Path) -> bool:
    """Whether a class is in a folder of parts, or the shipped configuration names a class or function as a part."""

    def inside(folders: Sequence[str]) -> bool:
        return any(module.startswith(f"ocrexp.{folder}.") for folder in folders)

    if member.startswith("_"):
        return False
    if inside(_PART_FOLDERS):
        return defines(module, member, (), run_dir, classes_only=True)
    named = f"{module}.{member}" in _named_by_shipped_conf() | _WRITTEN_BY_OCREXP
    return named and inside(_MIXED_FOLDERS) and defines(module, member, (), run_dir)


@functools.cache
def _named_by_shipped_conf() -> frozenset[str]:
    """Every `_target_` of ocrexp's own conf/."""
    lines = (line for path in shipped_conf().rglob("*.yaml") for line in path.read_text("utf-8").splitlines())
    return frozenset(name for line in lines for name in _TARGET.findall(line.partition("#")[0]))
