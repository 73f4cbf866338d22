"""PP-OCR's generations and SVTRv2: which of our models a backbone belongs to."""

from __future__ import annotations

from ocrexp.config.paddleocr.experiment import Experiment
from ocrexp.config.paddleocr.source import Section

# Which generation has each backbone of server models.
SERVER_GENERATIONS = {"PPHGNet_small": "ppocrv4", "PPHGNetV2_B4": "ppocrv5"}
# The recognizers of PaddleOCR's folder SVTRv2, which NRTR guides, by their backbone.
GUIDED = {"SVTRv2": "svtrv2_ch", "RepSVTR": "repsvtr_ch", "repvit_svtr": "repsvtr_ch"}


def generation(root: Section, backbone: Section) -> str:
    """The name of our models of a PP-OCR generation: PP-LCNetV3 is of v4 and v5, which have the same networks."""
    if backbone.text("name") == "PPLCNetV4":
        size = backbone.text("model_size") or backbone.text("config_name", "small")
        return f"ppocrv6_{size if size in ('tiny', 'small', 'medium') else 'small'}"
    return "ppocrv5" if "v5" in root.section("Global").text("model_name").lower() else "ppocrv4"


def take_model_size(experiment: Experiment, backbone: Section) -> None:
    """PP-LCNetV4's `model_size` by its name in early files."""
    if backbone.text("config_name"):
        experiment.take(backbone, "config_name", "model.backbone.model_size")
