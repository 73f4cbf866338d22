"""Settings that suit a data set: widths of images, characters, sides of pages, batches by aspect."""

from __future__ import annotations

import math

import numpy as np

from ocrexp.data.checking.plan import DataFindings

_MOST = 0.95  # share of the images that a setting is to fit
_STEP = 8  # pixels: widths that are proposed are multiples
_SQUEEZED = 0.05  # share of images from which a wider shape is proposed
_SPREAD = 3.0  # ratio of the 95th to the 25th percentile of aspects from which batches by aspect pay
_FEW = 10  # occurrences of a character
_HEIGHT = 8.0  # pixels of a region after the resize


def advise(findings: DataFindings) -> None:
    """Add settings, and why, to the findings."""
    if findings.plan.task == "rec":
        _widths(findings)
        _characters(findings)
    elif findings.plan.task == "det":
        _sides(findings)
    lists = {one.split for one in findings.entries}
    if "val" not in lists and findings.plan.val_split is None:
        findings.advice.append(("dataset.val_split=0.1", "there is no validation list"))


def _widths(findings: DataFindings) -> None:
    table, shape = findings.images, findings.plan.image_shape
    if table is None or shape is None or not table.usable().any():
        return
    usable = table.usable()
    aspects = table.width[usable] / table.height[usable]
    wanted = float(np.quantile(aspects, _MOST))
    squeezed = float((aspects * shape[0] > shape[1] * 1.01).mean())
    findings.facts["images wider than the model's"] = round(squeezed, 4)
    low, high = float(np.quantile(aspects, 0.25)), wanted
    if findings.plan.several_sizes:
        return
    if squeezed > _SQUEEZED:
        width = math.ceil(wanted * shape[0] / _STEP) * _STEP
        why = f"{100 * squeezed:.0f} % of the images are wider than {shape[1]} at height {shape[0]} and are squeezed"
        findings.advice.append((f"model.image_shape=[{shape[0]},{width}]", f"{why}; this width fits 95 %"))
    if high > _SPREAD * max(low, 1e-6):
        sizes = sorted({math.ceil(float(np.quantile(aspects, q)) * shape[0] / 32) * 32 for q in (0.33, 0.67, 0.98)})
        listed = ",".join(f"[{shape[0]},{width}]" for width in sizes)
        setting = f"loader=multi_scale loader.multi_scale.sizes=[{listed}] loader.multi_scale.by_ratio=true"
        setting += " loader.multi_scale.fix_batch=true" if findings.plan.streamed else ""
        why = f"aspects from {low:.1f} to {high:.1f} (middle half to 95 %): batches of similar images need less padding"
        findings.advice.append((setting, why))


def _characters(findings: DataFindings) -> None:
    rare = [character for character, count in findings.characters if count < _FEW]
    findings.facts["different characters"] = len(findings.characters)
    if rare:
        findings.facts[f"characters with fewer than {_FEW} occurrences"] = "".join(rare[:100])
    refused = findings.problems.of("text-outside-charset")
    if refused:
        missing = {problem.what.partition(" ")[0].strip("'") for problem in refused}
        if missing == {""} or all(problem.what.startswith("' '") for problem in refused):
            findings.advice.append(("charset.use_space_char=true", "the space is the only character that is missing"))
        else:
            why = f"{len(refused)} characters of the labels are not in the charset"
            findings.advice.append(("charset=from_labels", why))


def _sides(findings: DataFindings) -> None:
    """The side of the resize at which 95 % of the legible regions are large enough."""
    resized = next((one for one in findings.histograms if one.name == "resized"), None)
    if resized is None:
        return
    small = resized.quantiles["0.05"]
    if 0 < small < _HEIGHT:
        factor = _HEIGHT / small
        why = f"5 % of the legible regions are lower than {small:.1f} pixels after the resize"
        findings.advice.append(
            (f"preprocess.resize.limit_side_len × {factor:.2f}", f"{why}; then they have {_HEIGHT:g}")
        )
    spread = resized.quantiles["0.95"] / max(small, 1e-6)
    if spread > 8:
        why = f"heights of regions differ by a factor of {spread:.0f}: training has to show all of them"
        findings.advice.append(("augment.warp.scale=[0.5,3.0]", why))
