"""Pictures of an evaluation, drawn as the type of its predictions asks for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ocrexp.metrics.rec import RecCounts
from ocrexp.report import detection, recognition
from ocrexp.report.draw import Picture
from ocrexp.report.text_report import write_text_report
from ocrexp.types import EvalResult, RecPrediction

SHEET = 30  # recognised crops on a sheet


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture, RGB uint8, and what it shows."""

    picture: Picture
    caption: str
    name: str  # for a file


def draw_samples(result: EvalResult, limit: int) -> list[Drawn]:
    """Samples of an evaluation beside their ground truth.

    Detections: a picture for each of the first `limit` images. Texts: one sheet of the first SHEET crops.
    """
    samples = result.samples
    if samples and isinstance(samples[0].prediction, RecPrediction):
        case = result.details.case if isinstance(result.details, RecCounts) else "keep"
        shown = samples[:SHEET]
        right = sum(recognition.is_right(sample, case) for sample in shown)
        sheet = recognition.draw_sheet(shown, case=case)
        return [Drawn(sheet, f"{right} of {len(shown)} read right", "sheet")]
    return [
        Drawn(detection.draw_sample(sample), detection.caption(sample), Path(sample.path).stem)
        for sample in samples[:limit]
    ]


def write_report(result: EvalResult, folder: Path) -> dict[str, Picture]:
    """What else an evaluation has to show: files in `folder`, and the pictures among them by name, RGB uint8.

    Empty for detection, whose pictures of samples say it. Raises OSError.
    """
    if isinstance(result.details, RecCounts):
        return write_text_report(result.details, result.worst, folder)
    return {}
