"""Fine-tuning of a recognizer: characters, widths and lengths from the lines themselves."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ocrexp.adapt.base import Adaptation, Choices, Device
from ocrexp.charset.normalization import Normalization
from ocrexp.data.image_size import read_sizes
from ocrexp.data.records import Images, all_texts
from ocrexp.types import Record

_MOST_SIZES_READ = 20_000
_GIVEN = "ocrexp.charset.sources.from_characters"


@dataclass(kw_only=True)
class RecAdaptation(Adaptation):
    """Fits the fine-tuning of a recognizer to its lines.

    Args:
        widths: largest number of widths of training batches.
        width_step: they are multiples of it, pixels.
        most_width: largest width; longer lines are squeezed into it.
        most_length: largest number of characters of a label; longer ones are dropped and counted.

    The other arguments are those of Adaptation.
    """

    full_lr_images: int = 2000
    gpu_batch: int = 64
    widths: int = 8
    width_step: int = 32
    most_width: int = 960
    most_length: int = 200

    task = "rec"
    images = "lines"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (("widths", 1), ("width_step", 1), ("most_width", self.width_step), ("most_length", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}: expected {least} or more, got {getattr(self, name)}")

    def fit(self, records: Sequence[Record], images: int, device: Device, choices: Choices) -> None:
        """Characters, lengths and case from the labels, widths from the images' headers, then batch and rate."""
        self.fit_labels(all_texts(records), choices)
        places = np.linspace(0, len(records) - 1, min(len(records), _MOST_SIZES_READ)).astype(int).tolist()
        paths = Images(records)
        self.fit_widths(read_sizes([paths[i] for i in places]), choices)
        self.fit_steps(images, device, choices)

    def fit_labels(self, texts: Iterable[str], choices: Choices) -> None:
        """The charset, the longest label, and the case of the metric, where all labels have one."""
        normalization = Normalization(choices.value("charset.normalize"), choices.value("charset.invisible") or "keep")
        lower = bool(choices.value("charset.lower"))
        counts: Counter[str] = Counter()
        longest = lines = 0
        for text in texts:
            normal = normalization(text)
            counts.update(normal.lower() if lower else normal)
            longest, lines = max(longest, len(normal)), lines + 1
        if choices.value("charset._target_") == _GIVEN:  # a dictionary or the labels' own characters were asked for
            self._fit_charset(counts, choices)
        most = int(choices.value("targets.max_text_length") or 0)
        if longest > most:
            reason = f"the longest label has {longest} characters"
            choices.choose("targets.max_text_length", min(longest, self.most_length), reason)
        cases = {"upper" if each.isupper() else "lower" for each in counts if each.upper() != each.lower()}
        if len(cases) == 1 and not lower:
            case = cases.pop()
            reason = f"all letters of the {lines} labels are {case} case, whatever is printed"
            choices.choose("metric.case", case, reason)
            choices.choose("loss.case", "ignore", "so that the model keeps what it knows of the other case")

    def _fit_charset(self, counts: Counter[str], choices: Choices) -> None:
        characters = choices.value("charset.characters")
        known = {*characters, " "}
        new = sorted(counts.keys() - known)
        reason = f"all {len(counts)} characters of the labels are in the charset, and a space keeps its row"
        if new:
            rare = "".join(new[:20]) + ("…" if len(new) > 20 else "")
            reason = f"{len(new)} of the {len(counts)} characters of the labels are added: {rare}"
            choices.choose("charset.characters", joined([*characters, *new]), reason)
            reason = "the space of the pretrained model keeps its row"
        choices.choose("charset.use_space_char", True, reason)

    def fit_widths(self, sizes: npt.NDArray[np.float64], choices: Choices) -> None:
        """Widths of batches and of the narrowest image from (height, width) of images [n, 2], NaN where unknown."""
        shape = choices.value("model.image_shape")
        known = sizes[~np.isnan(sizes).any(axis=1)]
        if shape is None or not len(known) or choices.value("loader.multi_scale") is None:
            return
        height = int(shape[0])
        wanted = height * known[:, 1] / known[:, 0]
        widths = self.widths_of(wanted)
        middle = min(widths, key=lambda width: abs(width - float(np.median(wanted))))
        ordered = [[height, width] for width in sorted(widths, key=lambda width: width != middle)]
        longer = int((wanted > widths[-1]).sum())
        reason = f"widths of {len(known)} lines at height {height}: {np.median(wanted):.0f} in the middle"
        reason += f", {np.max(wanted):.0f} at most" + (f"; {longer} are squeezed" if longer else "")
        choices.choose("loader.multi_scale.sizes", ordered, reason)
        choices.choose("model.image_shape", [height, widths[0]], "the narrowest; longer lines keep their aspect")

    def widths_of(self, wanted: npt.NDArray[np.float64]) -> list[int]:
        """Ascending widths for lines of these widths, rounded up: of all choices the one with the least padding."""
        step = self.width_step
        most = self.most_width // step
        units, counts = np.unique(np.clip(np.ceil(wanted / step), 1, most).astype(int), return_counts=True)
        # best[i]: the least padded columns of the i narrowest units with the last of them as a width, and those widths.
        lines = np.concatenate([[0], np.cumsum(counts)])
        none: list[int] = []
        best = [(0.0, none), *((math.inf, none) for _ in units)]
        for _ in range(self.widths):
            with_i = [
                [(float(best[j][0] + (lines[i] - lines[j]) * units[i - 1]), [*best[j][1], i]) for j in range(i)]
                for i in range(len(best))
            ]
            best = [min([before, *others]) for before, others in zip(best, with_i, strict=True)]
        return [int(units[i - 1]) * step for i in best[-1][1]]


def joined(characters: Sequence[str]) -> str | list[str]:
    """A text of characters; a list where some would become one (a letter and a mark) or have several code points."""
    text = "".join(characters)
    plain = all(len(each) == 1 for each in characters) and unicodedata.normalize("NFC", text) == text
    return text if plain else list(characters)
