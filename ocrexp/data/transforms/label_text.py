"""Labels of an evaluation as the model's charset writes them."""

from __future__ import annotations

import numpy as np

from ocrexp.charset.charset import Charset
from ocrexp.types import Sample


class NormalizedTexts:
    """Replaces an evaluation sample's texts by their normalized form, which readings have too.

    Args:
        charset: of the model.
    """

    def __init__(self, charset: Charset) -> None:
        self._charset = charset

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        del rng
        sample["texts"] = [self._charset.normalize_label(text) for text in sample["texts"]]
        return sample
