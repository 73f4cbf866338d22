"""A deployed model and ours on the same fixed image: the outputs, and what the postprocess reads off them."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ocrexp.errors import CheckpointError
from ocrexp.tasks.find import find_task
from ocrexp.tasks.gate import Compared, Rules

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from ocrexp.deploy.folder import ModelFolder
    from ocrexp.models.model import OCRModel

TOLERANCE = 1e-4  # of a probability; float32 differs by up to 1e-5 between libraries
_BOX_IOU = 0.9  # that makes two boxes the same, as in an export's gate
_DET_SIZE = (320, 320)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two models give for the fixed image.

    Args:
        difference: greatest absolute one of the outputs.
        items: number of results: boxes of a detector, labels of a classifier, best classes of a recognizer's steps.
        equal: how many of them both give exactly; the others are the same by the rules of an export.
        results: what they are, a plural noun.
    """

    difference: float
    items: int
    equal: int
    results: str

    def describe(self) -> str:
        """As a part of a line."""
        return (
            f"outputs differ by at most {self.difference:.1e} from the file's, {self.equal} of {self.items} "
            f"{self.results} exactly equal"
        )


def picture(config: DictConfig) -> npt.NDArray[np.uint8]:
    """A fixed image [1, H, W, 3] with text in it, of a size that the model takes."""
    import cv2

    shape = config.model.get("image_shape")
    height, width = _DET_SIZE if shape is None else (int(shape[0]), int(shape[1]))
    image = np.full((height, width, 3), 235, np.uint8)
    image += (np.arange(width) % 17).astype(np.uint8)[None, :, None]
    step = max(height, 16) if shape is not None else 64
    for number, base in enumerate(range(int(step * 0.7), height + 1, step)):
        text = ("Total 48.70", "INVOICE no 2613", "thank you")[number % 3]
        cv2.putText(image, text, (4, base), cv2.FONT_HERSHEY_SIMPLEX, min(step, 64) / 40, (20, 30, 40), 2, cv2.LINE_AA)
    return image[None]


@contextmanager
def evaluating(model: OCRModel) -> Iterator[None]:
    """Within it a model evaluates."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        if training:
            model.train()


def evaluated_picture(config: DictConfig, model: OCRModel) -> npt.NDArray[np.float32]:
    """What a model gives for the fixed image in evaluation."""
    import paddle

    with evaluating(model), paddle.no_grad():
        output: npt.NDArray[np.float32] = model(paddle.to_tensor(picture(config)))[model.output].numpy()
        return output


def compare(config: DictConfig, model: OCRModel, folder: ModelFolder) -> Comparison:
    """A deployed model's outputs for the fixed image beside those of ours, made for the same classes.

    Raises CheckpointError if they are not the same network's; DeployError where the library that runs the file is
    missing.
    """
    import paddle

    from ocrexp.deploy.backends.base import chosen
    from ocrexp.deploy.backends.opening import open_backend

    with evaluating(model):
        images = model.prepare(paddle.to_tensor(picture(config))).numpy()
    theirs = np.asarray(open_backend(folder, chosen(folder, "auto")).run(images))
    ours = evaluated_picture(config, model)
    difference = float("inf")
    compared, results = Compared(0, 0), ""
    if ours.shape != theirs.shape:
        what = f"the outputs have the shapes {list(theirs.shape)} and {list(ours.shape)}"
    elif not np.isfinite(theirs).all():
        what = "the file gives NaN or infinity"
    elif not (difference := float(np.abs(ours - theirs).max(initial=0.0))) <= TOLERANCE:
        what = f"they differ by {difference:.2g}, up to {TOLERANCE:g} is expected"
    else:
        compared, results = _compare_results(config, model.output, theirs, ours)
        what = compared.what if compared.different else ""
    if what:
        raise CheckpointError(
            f"{folder.path}: all layers fit the model, but its outputs on a fixed image are not the file's: {what}; "
            "choose the model that the file was made from"
        )
    return Comparison(difference, compared.items, compared.equal, results)


def _compare_results(
    config: DictConfig, output: str, theirs: npt.NDArray[Any], ours: npt.NDArray[Any]
) -> tuple[Compared, str]:
    """What the postprocess reads off both outputs, compared by the task, and what it is.

    A postprocess that needs characters would find the same text in different classes: there the best class of each step
    counts.
    """
    from ocrexp.config.build import build

    postprocess = build(config.postprocess)
    if isinstance(postprocess, functools.partial):
        steps = int(np.prod(ours.shape[:-1]))
        equal = int((ours.argmax(-1) == theirs.argmax(-1)).sum())
        return Compared(
            steps, equal, steps - equal, what=f"{steps - equal} of {steps} best classes differ"
        ), "best classes"
    task = find_task(str(config.task))
    height, width = picture(config).shape[1:3]
    facts = {"shape": np.array([[height, width, 1.0, 1.0]])}
    (expected,), (got,) = (postprocess({output: each}, facts) for each in (theirs, ours))
    rules = Rules(TOLERANCE, _BOX_IOU, 0.0, float(config.postprocess.get("box_thresh") or 0.0))
    return task.compare(expected, got, rules), task.results


def check_calibrated(source: str, before: npt.NDArray[np.float32], after: npt.NDArray[np.float32]) -> float:
    """Greatest difference that measured statistics make, which cancel but for rounding.

    Raises CheckpointError if they do not: the spread of a channel is too small for float32.
    """
    difference = float(np.abs(before - after).max(initial=0.0))
    if not difference <= TOLERANCE:
        raise CheckpointError(
            f"{source}: with the statistics of training images the outputs differ by {difference:.2g}, up to "
            f"{TOLERANCE:g} is expected; set model.pretrained_mode=fused"
        )
    return difference
