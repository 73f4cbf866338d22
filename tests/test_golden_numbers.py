"""Each golden number of PaddleOCR 2.10 is compared by a test, or stands here with the reason why it is not.

The tests read copies in `tests/golden`, or the full set in OCREXP_ORACLE, whose cases are listed here.
"""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from golden_maps import stacked_targets

from tests.losses import test_db as db_loss
from tests.models import test_against_golden as detectors
from tests.models import test_rec_against_golden as recognizers

MODELS = {*detectors.NAMES, *detectors.MODELS, *recognizers.CASES, "det_r50_vd_dcn_fce"}  # the last: polygon_detectors
# File of `pipeline`: the tests that compare it, and what holds its cases here: a copy, or the oracle itself (None).
PIPELINE: dict[str, tuple[str, tuple[str, ...] | None]] = {
    "db_loss": ("losses/test_db.py", ("losses/db_loss.json",)),
    "db_postprocess": ("postprocess/test_db.py", ("postprocess/db_postprocess.json",)),
    "det_distillation_losses": ("losses/test_distill.py", ("losses/distillation.json",)),
    "det_metric": ("metrics/test_det.py", ("postprocess/det_metric.json",)),
    "det_resize": ("data/test_resize.py", ("postprocess/det_resize.json",)),
    "lr_schedules": ("optim/test_schedules.py", ("optim/lr_schedules.json",)),
    "optimizers": ("optim/test_optimizers.py", ("optim/optimizers.json",)),
    "rec_decode": ("postprocess/test_rec.py", ("rec/rec_decode.json",)),
    "rec_encode": ("charset/test_charset.py", ("rec/rec_encode.json",)),
    "rec_losses": ("losses/test_rec.py", ("rec/rec_losses.json", "losses/distillation.json")),
    "rec_metric": ("metrics/test_rec.py", ("rec/rec_metric.json",)),
    "rec_resize": ("data/test_rec_resize.py", ("rec/resize.json",)),
    "rotate_crop": ("deploy/test_crop.py", None),
    "target_maps_real": ("data/targets/test_db.py", None),
    "target_maps_synthetic": ("data/targets/test_db.py", ("targets/target_maps_synthetic.json",)),
    "text_system": ("deploy/test_order.py", ("deploy/sorted_boxes.json",)),
}
# Sections and cases that no copy has, and why. Cases of DB's loss are compared below.
_CLIPPED = "DBPostProcess here gives regions within the image, and crops are cut from them as they are"
_ORDER = "sorted_boxes swaps neighbors only; reading order follows lines: tests of deploy/test_order.py"
NOT_COPIED = {
    "text_system/filter_tag_det_res": _CLIPPED,
    "text_system/filter_tag_det_res_only_clip": _CLIPPED,
    "text_system/order_points_clockwise": "a quad keeps the order of DBPostProcess, which db_postprocess compares",
    "text_system/sorted_boxes/random": _ORDER,
    "text_system/sorted_boxes/same_corner": _ORDER,
    "text_system/sorted_boxes/single_and_rotated": _ORDER,
    "rec_resize/text_recognizer": "as RecResizeImg with infer_mode; deploy/test_recognizer.py has the widths",
    "det_resize/normalize": "the values that its pixels are normalized with",
    "db_loss/batches": "described in losses/test_db.py",
    "rec_losses/sizes": "of its inputs",
    "rec_losses/CTC_per_row_when_log_softmax_is_given": "losses take logits only",
}


def test_every_model_of_the_oracle_is_compared(oracle: Path) -> None:
    assert {file.stem for file in (oracle / "models").glob("*.json")} == MODELS


def test_every_number_of_the_pipeline_is_compared_or_has_a_reason(oracle: Path, golden: Path) -> None:
    recorded = {file.stem: json.loads(file.read_text()) for file in (oracle / "pipeline").glob("*.json")}
    assert set(recorded) == set(PIPELINE)
    missing = set()
    for name, (module, copies) in PIPELINE.items():
        assert (golden.parent / module).is_file()
        if copies is None:
            continue
        here = {case for copy in copies for case in names_in(json.loads((golden / copy).read_text()))}
        for section, content in recorded[name].items():
            places = (
                {f"{name}/{section}/{case}" for case in set(content) - here} if isinstance(content, dict) else set()
            )
            missing |= {f"{name}/{section}"} if section not in here and f"{name}/{section}" in NOT_COPIED else places
    results = {place for place in missing if place.startswith("rec_resize/results/")}  # the copy has them as a list
    assert len(results) == len(json.loads((golden / "rec" / "resize.json").read_text())["results"])
    of_db = {place for place in missing if re.match(r"db_loss/(cases|predictions)/(real|synthetic)\.", place)}
    assert missing - results - of_db == set(NOT_COPIED)


def test_the_losses_of_db_that_have_no_copy(oracle: Path) -> None:
    info = json.loads((oracle / "pipeline" / "db_loss.json").read_text())
    with np.load(oracle / "pipeline" / "db_loss.npz") as arrays:
        wanted = dict(arrays)
    maps = {}
    for name in ("real", "synthetic"):
        with np.load(oracle / "pipeline" / f"target_maps_{name}.npz") as arrays:
            about = info["batches"][name]
            maps[name] = stacked_targets(arrays, about["members"], tuple(about["shape"][1:]))
    names = [name for name in info["cases"] if name.startswith(("real.", "synthetic.")) and db_loss.well_defined(name)]
    names = [name for name in names if not name.endswith((".CrossEntropy", ".Euclidean"))]  # no shipped file has them
    assert len(names) == 26
    for name in names:
        db_loss.compare(name, info, wanted, maps[name.partition(".")[0]])


def names_in(tree: Any, depth: int = 3) -> set[str]:
    """Keys of a tree down to a depth."""
    if not isinstance(tree, dict) or not depth:
        return set()
    return set(tree).union(*(names_in(value, depth - 1) for value in tree.values()))
