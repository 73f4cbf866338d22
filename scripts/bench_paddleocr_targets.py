"""Times the targets of SAST, DRRG and FCENet beside PaddleOCR's on the regions of a label list, and prints JSON.

Both draw the same regions in one process, one after the other for each image; the best of some rounds counts for each,
in seconds of CPU. PaddleOCR's transforms of these methods need numpy and OpenCV only, so they are loaded from its
wheel's folder without the package; DRRG's also needs `lanms-neo` (without it DRRG is skipped).

    python scripts/bench_paddleocr_targets.py --wheel SITE_PACKAGES/paddleocr --root DATA --labels train_list.txt

What PaddleOCR's SASTProcessTrain does to an image before its targets is not timed, nor is ours.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ocrexp.data.targets.drrg import DRRGTargets
from ocrexp.data.targets.fce import FCETargets
from ocrexp.data.targets.sast import SASTTargets

Regions = tuple[list[Any], list[bool]]  # polygons float32 (n, 2) and which of them are illegible
SIZE = 640


def main() -> int:
    """Time each method and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wheel", type=Path, required=True, help="PaddleOCR 2.10's folder `paddleocr`")
    parser.add_argument("--root", type=Path, required=True, help="folder of the list and its images")
    parser.add_argument("--labels", default="train_list.txt", help="label list, relative to the root")
    parser.add_argument("--images", type=int, default=30, help="the first N of the list")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    pages = _pages(options.root, options.labels, options.images)
    found = {"images": len(pages), "regions": sum(len(polygons) for polygons, _ in pages), "size": SIZE}
    for name, (ours, theirs) in _methods(options.wheel / "ppocr/data/imaug").items():
        times = np.zeros(2)
        for page in pages:
            times += [min(_seconds(run, page) for _ in range(options.rounds)) for run in (ours, theirs)]
        own, other = (times / len(pages) * 1000).round(2).tolist()
        found[name] = {"ms": own, "paddleocr_ms": other, "times_as_fast": round(other / own, 2)}
    print(json.dumps(found))
    return 0


def _pages(root: Path, labels: str, count: int) -> list[Regions]:
    """Regions of the first images as quadrilaterals, scaled to the canvas."""
    pages = []
    for line in (root / labels).read_text(encoding="utf-8").splitlines()[:count]:
        name, regions = line.split("\t")
        image = cv2.imread(str(root / name))
        scale = SIZE / max(image.shape[:2])
        entries = [entry for entry in json.loads(regions) if len(entry["points"]) == 4]
        polygons = [np.array(entry["points"], np.float32) * np.float32(scale) for entry in entries]
        pages.append((polygons, [entry["transcription"] in ("###", "*") for entry in entries]))
    return pages


def _methods(folder: Path) -> dict[str, tuple[Callable[[Regions], Any], Callable[[Regions], Any]]]:
    sast = _load(folder / "sast_process.py").SASTProcessTrain(image_shape=[SIZE, SIZE], min_text_size=4)
    fce = _load(folder / "fce_targets.py").FCENetTargets()
    methods = {"sast": (_ours(SASTTargets()), _sast(sast)), "fce": (_ours(FCETargets()), _theirs(fce))}
    if importlib.util.find_spec("lanms"):
        utility = types.ModuleType("ppocr.utils.utility")
        utility.check_install = _installed  # type: ignore[attr-defined]
        sys.modules |= {name: types.ModuleType(name) for name in ("ppocr", "ppocr.utils")} | {utility.__name__: utility}
        drrg = _load(folder / "drrg_targets.py").DRRGTargets
        for name in ("vector_sin", "vector_cos"):
            setattr(drrg, name, _as_float(getattr(drrg, name)))
        methods["drrg"] = (_ours(DRRGTargets()), _theirs(drrg()))
    return methods


def _installed(*names: str) -> None:
    """In place of PaddleOCR's check of a package, which `_methods` has looked for."""
    del names


def _as_float(method: Callable[..., Any]) -> Callable[..., float]:
    """OpenCV 5 takes no numpy number as a color."""
    return lambda *arguments: float(method(*arguments))


def _load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _ours(targets: Any) -> Callable[[Regions], Any]:
    image, rng = np.zeros((SIZE, SIZE, 3), np.uint8), np.random.default_rng(0)
    return lambda page: targets({"image": image, "polygons": page[0], "ignored": np.array(page[1])}, rng)


def _theirs(targets: Any) -> Callable[[Regions], Any]:
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    return lambda page: targets({"image": image, "polys": list(page[0]), "ignore_tags": list(page[1])})


def _sast(targets: Any) -> Callable[[Regions], Any]:
    def run(page: Regions) -> None:
        size = (SIZE, SIZE)
        polygons, ignored, _ = targets.check_and_validate_polys(np.stack(page[0]), np.array(page[1]), size)
        targets.generate_tcl_label(size, polygons, ignored, 0.25)
        targets.generate_tvo_and_tco(size, polygons, ignored, tcl_ratio=0.3, ds_ratio=0.25)

    return run


def _seconds(run: Callable[[Regions], Any], page: Regions) -> float:
    start = time.process_time()
    run((list(page[0]), list(page[1])))
    return time.process_time() - start


if __name__ == "__main__":
    raise SystemExit(main())
