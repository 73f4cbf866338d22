"""Pictures of recognized texts: sheets of crops with label and reading below each."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ocrexp.data.images import read_image
from ocrexp.drawing import BAND, INK, MISSED, RIGHT, WRONG, Color, Picture
from ocrexp.loggers.base import SampleRow
from ocrexp.report.text import Runs, joins, line_picture
from ocrexp.results import EvalSample, RecPrediction, RecReference
from ocrexp.types import UnusableSample

CELL_WIDTH = 420
CROP_HEIGHT = 56
TEXT_SIZE = 16
TAG_WIDTH = 58
NAME_SIZE, MOST_LETTERS = 11, 64  # of a file name: pixels of the font, letters that are shown
GAP = 8
PAPER: Color = (52, 55, 63)  # behind the cells
FAINT: Color = (150, 154, 165)


def draw_sheet(samples: Sequence[EvalSample], columns: int = 3, case: str = "keep") -> Picture:
    """Crops in rows, RGB uint8; below each its label, what was read, with the score, and the name of its file.

    What was read is green where it is the label. Where it is not, its wrong characters are orange and the label's
    missed ones are pink; spaces among them show as ␣. `case` is the metric's.
    """
    return sheet([sample_cell(sample, case) for sample in samples], columns)


def sample_cell(sample: EvalSample, case: str = "keep") -> Picture:
    """One crop with its label and what was read."""
    reference: RecReference = sample.reference
    prediction: RecPrediction = sample.prediction
    label, read = compared(reference.text, prediction.text, case)
    score = (f"   {prediction.score:.2f}", FAINT)
    lines = [("label", label), ("read", [*(read or [("nothing", WRONG)]), score])]
    return cell(crop_picture(Path(sample.path)), lines, Path(sample.path).name)


def is_right(sample: EvalSample, case: str = "keep") -> bool:
    """Whether label and reading are equal, as the metric compares them."""
    texts = (sample.reference.text, sample.prediction.text)
    label, read = (in_case(unicodedata.normalize("NFC", text), case) for text in texts)
    return label == read


def compared(label: str, read: str, case: str = "keep") -> tuple[Runs, Runs]:
    """The two texts in pieces, colored by whether their characters agree."""
    label, read = unicodedata.normalize("NFC", label), unicodedata.normalize("NFC", read)
    if in_case(label, case) == in_case(read, case):
        return [(label, INK)], [(read, RIGHT)]
    if joins(label) or joins(read):
        return [(label, INK)], [(read, WRONG)] if read else []
    from rapidfuzz.distance import Levenshtein

    left: list[tuple[str, Color]] = []
    right: list[tuple[str, Color]] = []
    for step in Levenshtein.opcodes(*(in_case(text, case, same_length=True) for text in (label, read))):
        ours, theirs = label[step.src_start : step.src_end], read[step.dest_start : step.dest_end]
        same = step.tag == "equal"
        if ours:
            left.append((ours, INK) if same else (ours.replace(" ", "␣"), MISSED))
        if theirs:
            right.append((theirs, RIGHT) if same else (theirs.replace(" ", "␣"), WRONG))
    return left, right


def in_case(text: str, case: str, same_length: bool = False) -> str:
    """The text in upper or lower case, as the metric compares it; as it is where that must not change its length."""
    if case == "keep":
        return text
    turned: str = getattr(text, case)()
    return text if same_length and len(turned) != len(text) else turned


def crop_picture(path: Path) -> Picture | str:
    """The image as RGB, or why there is none."""
    try:
        return np.ascontiguousarray(read_image(path)[..., ::-1])
    except UnusableSample as error:
        return str(error)


def sample_row(sample: EvalSample, truth: str, prediction: str) -> SampleRow:
    """The image, or a picture that states why there is none, with what is true and what was predicted."""
    crop = crop_picture(Path(sample.path))
    picture = cell(crop, []) if isinstance(crop, str) else crop
    return SampleRow(picture, sample.path, truth, prediction, float(sample.prediction.score))


def cell(crop: Picture | str, lines: Sequence[tuple[str, Runs]], name: str = "") -> Picture:
    """A crop, fitted into the cell's width and CROP_HEIGHT, over named lines and the name of its file; a text in place
    of a missing crop."""
    width = CELL_WIDTH
    panel = np.full((CROP_HEIGHT + 2 * GAP, width, 3), BAND, dtype=np.uint8)
    if isinstance(crop, str):
        line = line_picture([(crop, MISSED)], TEXT_SIZE - 3, width - GAP)
        panel[GAP : GAP + line.shape[0], GAP:] = line[: CROP_HEIGHT + GAP]
    else:
        height, crop_width = crop.shape[:2]
        factor = min(CROP_HEIGHT / height, (width - 2 * GAP) / crop_width)
        size = (max(1, round(crop_width * factor)), max(1, round(height * factor)))
        method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
        top = GAP + (CROP_HEIGHT - size[1]) // 2
        panel[top : top + size[1], GAP : GAP + size[0]] = cv2.resize(crop, size, interpolation=method)
    texts = [
        np.hstack(
            [line_picture([(f" {tag}", FAINT)], TEXT_SIZE, TAG_WIDTH), line_picture(runs, TEXT_SIZE, width - TAG_WIDTH)]
        )
        for tag, runs in lines
    ]
    if name:
        texts.append(line_picture([(f" {_middle_cut(name)}", FAINT)], NAME_SIZE, width))
    return np.vstack([panel, *texts])


def file_name(sample: Mapping[str, Any]) -> str:
    """The name of a training sample's file; "" if it has no file."""
    return Path(sample["record"].image_path).name if "record" in sample else ""


def _middle_cut(name: str) -> str:
    """A file name that fits into a cell: of a long one the beginning and the end."""
    return name if len(name) <= MOST_LETTERS else f"{name[: MOST_LETTERS // 2 - 1]}…{name[-MOST_LETTERS // 2 :]}"


def sheet(cells: Sequence[Picture], columns: int) -> Picture:
    """Cells of one size in rows, read from left to right."""
    columns = min(columns, len(cells))
    height, width = cells[0].shape[:2]
    rows = -(-len(cells) // columns)
    picture = np.full((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, 3), PAPER, dtype=np.uint8)
    for number, one in enumerate(cells):
        top = GAP + number // columns * (height + GAP)
        left = GAP + number % columns * (width + GAP)
        picture[top : top + height, left : left + width] = one
    return picture
