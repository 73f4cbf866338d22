"""Starts a training from every registered model in each mode and prints how far its outputs are from the file's.

    python scripts/compare_pretrained.py [NAME …] [--rec ROOT] [--det ROOT] [--mode MODE …]

Each model is fetched where it is not in the cache, matched and compared, as at the start of a training. Batch norms
that the file does not have get the statistics of images: of the training list of a folder (`--rec`, `--det`) or of a
few drawn ones. Then the model and the file run on the fixed image; printed are the largest difference of the outputs
and how many boxes, best classes or labels are exactly equal. The rows are those of docs/finetuning.md. Exit code 1
where a model does not agree.
"""

from __future__ import annotations

import argparse
import functools
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ocrexp.assemble import assemble, build_charset
from ocrexp.assemble.comparison import compare
from ocrexp.assemble.deployed import deployed_folder, start_from
from ocrexp.assemble.model import build_network
from ocrexp.config.compose import compose, setup_hydra
from ocrexp.errors import OcrexpError
from ocrexp.weights.fetching import fetch
from ocrexp.weights.registry import REGISTRY, Pretrained, named

DRAWN = {
    "det": ["dataset=synth_det", "dataset.train_pages=8", "dataset.val_pages=1"],
    "rec": ["dataset=synth_rec", "dataset.train_words=40", "dataset.val_words=1", "charset=en94"],
    "cls": ["dataset=synth_cls"],
}


def modes(model: Pretrained) -> list[str]:
    """Ways to train it: both where it has blocks that are fused in the file."""
    node = compose("train", [f"model={model.models[0]}", *_characters(model)]).model
    parts = [node.get(name) for name in ("backbone", "neck")]
    return ["fused", "calibrated"] if any(part is not None and "fused" in part for part in parts) else ["auto"]


def _characters(model: Pretrained) -> list[str]:
    return ["charset=en94"] if model.name.partition("_")[2].startswith("rec") else []


def row(model: Pretrained, mode: str, data: dict[str, str | None]) -> str:
    """A row of the table. Raises OcrexpError where the model does not agree with its file."""
    option = model.models[0]
    task = str(compose("train", [f"model={option}", *_characters(model)]).task)
    root = data.get(task)
    source = DRAWN[task] if root is None else [f"dataset={task}_list", f"dataset.root={root}", *_characters(model)]
    overrides = [f"model={option}", f"model.pretrained={model.name}", f"model.pretrained_mode={mode}"]
    config = compose("train", [*overrides, "trainer.device=cpu", *source])
    folder = deployed_folder(model.name)
    assert folder is not None
    start = start_from(config, folder, build_charset(config), functools.partial(build_network, config))
    trained = assemble(config, charset=start.charset).model  # with the statistics of images, and the file's classes
    found = compare(config, trained, folder)
    return (
        f"| `{model.name}` | `{option}` | {mode} | {start.taken.layers} | {len(start.taken.folded)} | "
        f"{found.difference:.0e} | {found.equal} of {found.items} {found.results} |"
    )


def rows(names: list[str], chosen: list[str] | None, data: dict[str, str | None]) -> Iterator[tuple[str, bool]]:
    """Each row, and whether the model agrees."""
    for name in names:
        model = named(name)
        fetch(model)
        for mode in modes(model):
            if chosen and mode not in chosen:
                continue
            try:
                yield row(model, mode, data), True
            except OcrexpError as error:
                yield f"| `{name}` | `{model.models[0]}` | {mode} | {error} |", False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="registered models; all by default")
    parser.add_argument("--rec", metavar="ROOT", help="a folder with a training list of lines")
    parser.add_argument("--det", metavar="ROOT", help="a folder with a training list of pages")
    parser.add_argument("--mode", nargs="+", choices=["fused", "calibrated", "auto"])
    options = parser.parse_intermixed_args()
    logging.disable(logging.INFO)
    setup_hydra()
    print(
        "| name | model | mode | layers | norms restored | difference | exactly equal |\n|---|---|---|---|---|---|---|"
    )
    good = True
    data = {"rec": options.rec, "det": options.det}
    for line, agrees in rows(options.names or list(REGISTRY), options.mode, data):
        print(line, flush=True)
        good &= agrees
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
