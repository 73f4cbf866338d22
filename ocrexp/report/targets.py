"""Pictures of training samples as the loss sees them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.drawing import INK, Color, Picture, captioned, draw_polygons, side_by_side
from ocrexp.report.recognition import FAINT, cell, compared, file_name, sheet
from ocrexp.report.text import Runs

# Traffic lights, not the colors of right and wrong predictions: these show what is learned.
_LEGIBLE: Color = (0, 220, 0)
_IGNORED: Color = (255, 60, 60)
# Maps of the text, their masks and titles: of DB, PSE, and EAST and SAST.
_TEXT_MAPS = (
    ("shrink_map", "shrink_mask", "shrink map"),
    ("gt_text", "mask", "text"),
    ("score_map", "training_mask", "score map"),
)


def draw_texts(samples: Sequence[Mapping[str, Any]], read: Callable[[Any], dict[str, str]]) -> list[Picture]:
    """One sheet of transformed text images, RGB uint8; `read(sample)` gives the texts of its labels, by their kind."""
    return [sheet([text_cell(sample, read(sample)) for sample in samples], columns=3)] if samples else []


def text_cell(sample: Mapping[str, Any], learned: Mapping[str, str]) -> Picture:
    """One augmented text image over its text and the text of each label; padding is drawn darker, and characters that a
    label lacks are pink."""
    image = text_image(sample)
    text = sample["texts"][0]
    lines: list[tuple[str, Runs]] = [("text", [(text, INK)])]
    for kind, said in learned.items():
        whole, pieces = compared(text, said)
        lines[0] = ("text", whole)
        lines.append((kind[:5], [*pieces, (f"   {sample['length']} characters", FAINT)]))
    return cell(image, lines, file_name(sample))


def text_image(sample: Mapping[str, Any]) -> Picture:
    """One transformed text image, RGB uint8; padding is drawn darker, behind a red line."""
    image = np.ascontiguousarray(sample["image"][..., ::-1])
    valid = int(sample.get("valid_width", image.shape[1]))
    if valid < image.shape[1]:
        image[:, valid:] //= 2
        image[:, valid : valid + 1] = _IGNORED
    return image


def draw_targets(sample: Mapping[str, Any]) -> Picture:
    """The panels of one transformed sample side by side, each under a band with its name; RGB uint8."""
    return side_by_side([captioned(picture, title) for title, picture in target_panels(sample)])


def target_panels(sample: Mapping[str, Any]) -> list[tuple[str, Picture]]:
    """Pictures of one transformed sample with their names: polygons, shrink map, threshold map, and its mask.

    Green polygons are learned, red ones are excluded from the loss. The maps lie over a darkened image: shrink map in
    green, with red where `shrink_mask` leaves pixels out; threshold map as heat inside `threshold_mask`. Maps that the
    sample does not have are not drawn.
    """
    image = np.ascontiguousarray(sample["image"][..., ::-1])
    panels = [("polygons", _with_polygons(image, sample["polygons"], sample["ignored"]))]
    dark = (image * 0.45).astype(np.uint8)
    for name, mask, title in _TEXT_MAPS:
        if name in sample:
            panel = _tint(dark, _at_size(sample[name], image) > 0, _LEGIBLE)
            panels.append((f"{title}, masked red", _tint(panel, _at_size(sample[mask], image) < 1, _IGNORED)))
    if "gt_kernels" in sample:
        panels.append(("kernels", _heat(sample["gt_kernels"].mean(axis=0, dtype=np.float32))))
    if "threshold_map" in sample:
        panels.append(("threshold map", _heat(sample["threshold_map"])))
        panels.append(("threshold map in its mask", _over(dark, sample["threshold_map"], sample["threshold_mask"])))
    return panels


def _at_size(values: npt.NDArray[Any], image: Picture) -> npt.NDArray[Any]:
    """A map, possibly with an axis of length 1 in front and smaller than the image, at the image's size."""
    height, width = image.shape[:2]
    flat = values.reshape(values.shape[-2:])
    if flat.shape == (height, width):
        return flat
    return np.asarray(cv2.resize(flat, (width, height), interpolation=cv2.INTER_NEAREST))


def _with_polygons(image: Picture, polygons: Any, ignored: Any) -> Picture:
    picture = image.copy()
    for skip, color in ((False, _LEGIBLE), (True, _IGNORED)):
        chosen = [polygon for polygon, is_ignored in zip(polygons, ignored, strict=True) if bool(is_ignored) == skip]
        draw_polygons(picture, chosen, color)
    return picture


def _tint(picture: Picture, where: npt.NDArray[np.bool_], color: Color) -> Picture:
    result = picture.copy()
    result[where] = (0.4 * result[where] + 0.6 * np.array(color)).astype(np.uint8)
    return result


def _heat(values: npt.NDArray[np.float32]) -> Picture:
    """Values 0..1 in colors, black to yellow to white."""
    heat = cv2.applyColorMap((np.clip(values, 0, 1) * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    return np.ascontiguousarray(heat[..., ::-1])


def _over(dark: Picture, values: npt.NDArray[np.float32], mask: npt.NDArray[np.uint8]) -> Picture:
    picture = dark.copy()
    inside = mask > 0
    picture[inside] = _heat(values)[inside]
    return picture
