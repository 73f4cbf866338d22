"""What an evaluation of recognized texts leaves: character confusions, the worst samples, accuracy by length."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ocrexp.drawing import Color, Picture, write_picture
from ocrexp.files import write_bytes
from ocrexp.metrics.confusions import Confusions
from ocrexp.metrics.rec import RecCounts
from ocrexp.report.recognition import draw_sheet
from ocrexp.report.text import line_picture, visible
from ocrexp.results import EvalSample

SHOWN_CONFUSIONS = 40  # in the picture; the table has all
WORST = 24
MOST_BARS = 40

_WHITE: Color = (255, 255, 255)
_BLACK: Color = (25, 25, 25)
_GRAY: Color = (120, 120, 120)
_BAR: Color = (0, 114, 178)
_ROW = 32
_COLUMN = 520


def write_text_report(counts: RecCounts, worst: Sequence[EvalSample], folder: Path) -> dict[str, Picture]:
    """Writes `confusions.csv`, `confusions.png`, `accuracy_by_length.png` and `worst_samples.png` into `folder`.

    `worst_samples.png` is deleted where nothing is wrong. Returns the pictures by name, RGB uint8. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_confusions(counts.confusions, folder / "confusions.csv")
    pictures = {"confusions": draw_confusions(counts.confusions)}
    if counts.samples:
        pictures["accuracy_by_length"] = draw_accuracy_by_length(counts)
    if worst:
        pictures["worst_samples"] = draw_sheet(worst[:WORST], case=counts.case)
    else:
        (folder / "worst_samples.png").unlink(missing_ok=True)
    for name, picture in pictures.items():
        write_picture(folder / f"{name}.png", picture)
    return pictures


def write_confusions(confusions: Confusions, path: Path) -> None:
    """All confusions, most frequent first: label's character, predicted one (empty: none), count, and its share of how
    often the label's character is there; code points for those that do not show."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["label", "predicted", "count", "share_of_label", "label_code", "predicted_code"])
    for label, predicted, count in confusions.most_common():
        share = f"{count / confusions.characters[label]:.4f}" if label else ""
        writer.writerow([label, predicted, count, share, _code(label), _code(predicted)])
    write_bytes(path, text.getvalue().encode("utf-8"))


def draw_confusions(confusions: Confusions, limit: int = SHOWN_CONFUSIONS) -> Picture:
    """The most frequent confusions as bars, RGB uint8: label's character → what was read, how often, and of how many.

    ∅ stands for no character: `x → ∅` was missed, `∅ → x` was read where nothing is. ␣ is the space.
    """
    rows = confusions.most_common(limit)
    title = f"{confusions.errors} wrong characters of {confusions.characters.total()}: label → read"
    header = line_picture([(title, _BLACK)], 16, None, _WHITE)
    if not rows:
        return header
    most = rows[0][2]
    half = -(-len(rows) // 2) if len(rows) > 12 else len(rows)
    columns = [rows[start : start + half] for start in range(0, len(rows), half)]
    height = half * _ROW
    panels = []
    for column in columns:
        panel = np.full((height, _COLUMN, 3), _WHITE, dtype=np.uint8)
        for number, row in enumerate(column):
            panel[number * _ROW : (number + 1) * _ROW] = _confusion_row(confusions, *row, most)
        panels.append(panel)
    body = np.hstack(panels)
    wide = max(body.shape[1], header.shape[1])
    return np.vstack([_white(header, wide), _white(body, wide)])


def _confusion_row(confusions: Confusions, label: str, predicted: str, count: int, most: int) -> Picture:
    row = np.full((_ROW, _COLUMN, 3), _WHITE, dtype=np.uint8)
    names = line_picture([(visible(label), _BLACK), (" → ", _GRAY), (visible(predicted), _BLACK)], 17, None, _WHITE)
    width = min(names.shape[1], 150)
    row[: names.shape[0], 150 - width : 150] = names[:_ROW, :width]
    length = max(2, round(count / most * (_COLUMN - 330)))
    row[8 : _ROW - 8, 160 : 160 + length] = _BAR
    of = f"  of {confusions.characters[label]}" if label else ""
    told = line_picture([(str(count), _BLACK), (of, _GRAY)], 14, None, _WHITE)
    left = 166 + length
    shown = min(told.shape[1], _COLUMN - left)
    row[2 : 2 + told.shape[0], left : left + shown] = told[: _ROW - 2, :shown]
    return row


def draw_accuracy_by_length(counts: RecCounts) -> Picture:
    """Share of right texts by the length of the label as bars, with how many labels there are, RGB uint8.

    Lengths are joined where there would be more than MOST_BARS of them.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    longest = max(counts.lengths)
    step = max(1, -(-longest // MOST_BARS))
    starts = np.arange(min(counts.lengths) // step * step, longest + 1, step)
    totals = np.array([sum(counts.lengths[n] for n in range(s, s + step)) for s in starts], dtype=np.float64)
    right = np.array([sum(counts.right_lengths[n] for n in range(s, s + step)) for s in starts], dtype=np.float64)
    present = totals > 0
    figure = Figure(figsize=(8.5, 4.8), dpi=110, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    centers = starts + (step - 1) / 2
    upper.bar(centers[present], (right[present] / totals[present]), width=0.8 * step, color="#0072B2")
    overall = right.sum() / totals.sum()
    upper.axhline(overall, color="#D55E00", linewidth=1.2)
    upper.set_ylim(0, 1.05)
    upper.set_ylabel("accuracy")
    upper.set_title(
        f"accuracy by length of the label ({overall:.3f} over all {counts.samples})", fontsize=10, loc="left"
    )
    lower.bar(centers, totals, width=0.8 * step, color="#999999")
    lower.set_ylabel("labels")
    lower.set_xlabel("characters of the label" + (f" (in steps of {step})" if step > 1 else ""))
    lower.xaxis.get_major_locator().set_params(integer=True)
    for axes in (upper, lower):
        axes.grid(True, axis="y", color="#DDDDDD", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _white(picture: Picture, width: int) -> Picture:
    fill = np.full((picture.shape[0], width - picture.shape[1], 3), _WHITE, dtype=np.uint8)
    return np.hstack([picture, fill])


def _code(character: str) -> str:
    return " ".join(f"U+{ord(point):04X}" for point in character)
