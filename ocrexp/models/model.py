"""A network of parts that complete each other: (transform →) backbone → neck → head."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import paddle
from paddle import Tensor, nn
from paddle.nn import functional as F

from ocrexp.errors import ConfigError
from ocrexp.located import located, option
from ocrexp.models.cpu import conv as cpu
from ocrexp.models.cpu.upsample import TwoLevels
from ocrexp.models.hooks import (
    CompletesOutputs,
    GivesPyramid,
    HasImageSize,
    HasPositions,
    HasSizeMultiple,
    KeepsLevelsApart,
    NeedsTargets,
    StatesOutputs,
    TakesLevelsApart,
    TakesPyramid,
)
from ocrexp.models.layers import full_precision
from ocrexp.models.necks.pyramid import Pyramid
from ocrexp.models.network import Network

if TYPE_CHECKING:
    from ocrexp.models.pretrained import Coverage

Array = npt.NDArray[np.float32]


PARTS = ("transform", "backbone", "neck", "head", "auxiliary")


class OCRModel(Network):
    """Backbone, neck and head; each states its `out_channels`, from which the next is built.

    Args:
        backbone: a built layer with `out_channels` (one number or a list).
        neck: called with `in_channels=`; None: the head takes the backbone's output. Heights and widths of
            images must be multiples of its `size_multiple`, if it has one.
        head: called with `in_channels=`. A head whose `needs_targets` is true gets the targets.
        normalize: `{"mean": [b, g, r], "std": [b, g, r]}`: uint8 images become (x / 255 - mean) / std. The numbers
            are not part of the state. With one value each the images are made gray first.
        transform: a built layer from images to images in front of the backbone (TPS), or None.
        auxiliary: called with `in_channels=`; a head on the backbone's output whose tensors training gives too. None:
            there is none. PaddleOCR's models have none: its parameters come on top of theirs.

    `forward(images, targets=None)` takes uint8 [N, H, W, 3] images, normalized here on the device, or float32
    [N, 3, H, W] images that already are. Where `targets` holds `valid_width` [N], what is right of these columns of a
    uint8 image becomes 0, mid-gray, which no byte equals with a mean of 0.5. It gives a dict of tensors, see the heads;
    it raises ConfigError for sizes that the neck cannot take.
    """

    def __init__(
        self,
        backbone: nn.Layer,
        neck: Callable[..., nn.Layer] | None = None,
        *,
        head: Callable[..., nn.Layer],
        normalize: Mapping[str, Sequence[float]] | None = None,
        transform: nn.Layer | None = None,
        auxiliary: Callable[..., nn.Layer] | None = None,
    ) -> None:
        super().__init__()
        self.coverage: Coverage | None = None  # of what `load_pretrained` put in, if it did
        self.new_characters: tuple[str, ...] = ()  # those that the file of weights did not know
        self.narrowed = False  # whether layers have fewer channels than their classes state (`model.widths`)
        self.transform = transform
        self.backbone = backbone
        channels: Any = backbone.out_channels
        self.auxiliary = None if auxiliary is None else _completed("auxiliary", auxiliary, channels)
        self.neck = None
        if neck is not None:
            self.neck = _completed("neck", neck, channels)
            channels = self.neck.out_channels
        self.head = _completed("head", head, channels)
        if isinstance(self.neck, KeepsLevelsApart):
            self.neck.keep_levels_apart = isinstance(self.head, TakesLevelsApart) and self.head.takes_levels_apart
        if isinstance(self.head, TakesPyramid) and self.head.takes_pyramid:
            if not isinstance(self.neck, GivesPyramid):
                raise ValueError(
                    "head.aux=true: the neck gives no levels for auxiliary maps; set head.aux=false, or choose the "
                    "neck replk_fpn or replk_pan"
                )
            self.neck.gives_pyramid = True
        self._multiple = self.neck.size_multiple if isinstance(self.neck, HasSizeMultiple) else 1
        self._needs_targets = isinstance(self.head, NeedsTargets) and self.head.needs_targets
        # Arrays, not buffers: a model that is cast to half precision takes its buffers with it.
        self._affine = None if normalize is None else _affine(normalize)
        self._affine_on: dict[str, tuple[Tensor, ...]] = {}

    def forward(self, images: Tensor, targets: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        maps, x = self._features(images, targets)
        extra: dict[str, Tensor] = self.auxiliary(maps) if self.auxiliary is not None and self.training else {}
        return {**self._headed(x, targets), **extra}

    def evaluated(
        self, images: Tensor, known: Mapping[str, Tensor], targets: Mapping[str, Tensor], rows: Tensor | None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Evaluation's outputs, as `forward(images, known)` gives them, and the outputs that the loss takes.

        Both from the same features, with the model in evaluation mode: norms have their running statistics, nothing is
        dropped. `targets` are those of the images `rows` (None: of all), and so are the outputs for the loss.
        """
        maps, x = self._features(images, known)
        outputs = self._headed(x, known)
        if rows is not None:
            maps, x = _of_rows(maps, rows), _of_rows(x, rows)
            known = {name: value.index_select(rows) for name, value in known.items()}
        given = {**known, **targets}
        if rows is None and isinstance(self.head, CompletesOutputs):
            learned = self.head.completed(x, outputs)
        else:
            with as_in_training(self.head):
                learned = self._headed(x, given)
        extra: dict[str, Tensor] = {} if self.auxiliary is None else self.auxiliary(maps)
        return outputs, {**learned, **extra}

    def _features(self, images: Tensor, targets: Mapping[str, Tensor] | None) -> tuple[Any, Any]:
        """What the backbone gives, and what the head takes."""
        x = self.prepare(images, None if targets is None else targets.get("valid_width"))
        if self.transform is not None:
            x = self.transform(x)
        self._check_size(x)
        maps = self.backbone(x)
        return maps, maps if self.neck is None else self.neck(maps)

    def _headed(self, x: Any, targets: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
        return self.head(x, targets) if self._needs_targets else self.head(x)

    def normalizes_as(self, normalize: Mapping[str, Sequence[float]]) -> bool:
        """Whether images are normalized with this mean and deviation."""
        if self._affine is None:
            return False
        return all(np.array_equal(ours, theirs) for ours, theirs in zip(self._affine, _affine(normalize), strict=True))

    @property
    def output(self) -> str:
        """Name of the main output that is deployed, as the postprocess takes it."""
        return self.outputs[0]

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of all outputs that are deployed: the head's `outputs`, or its one `output`."""
        if isinstance(self.head, StatesOutputs):
            return tuple(self.head.outputs)
        return (str(self.head.output),)

    @property
    def fixed_width(self) -> bool:
        """Whether the width of images is fixed: positions are learned, or images are rectified first."""
        learned = isinstance(self.backbone, HasImageSize) or isinstance(self.head, HasPositions)
        return self.transform is not None or learned

    def _check_size(self, x: Tensor) -> None:
        if not paddle.in_dynamic_mode():
            return  # a graph that is being exported has no sizes yet
        multiple = self._multiple
        height, width = x.shape[2:]
        if height % multiple or width % multiple:
            where = "training crops (size, in augment)" if self.training else "resized images (in preprocess)"
            raise ConfigError(
                f"the model got images of {width} × {height} pixels (width × height), but its neck needs multiples of "
                f"{multiple}; choose another size of the {where}"
            )

    def prepare(self, images: Tensor, valid_width: Tensor | None = None) -> Tensor:
        """uint8 [N, H, W, C] to normalized float32 [N, C, H, W], 0 from column `valid_width` [N] on; float images pass
        as they are."""
        if images.dtype != paddle.uint8:
            return images
        x = self._normalized(images)
        if valid_width is None:
            return x
        inside = paddle.arange(x.shape[3]) < valid_width.reshape([-1, 1])
        return x * inside.reshape([-1, 1, 1, x.shape[3]]).astype(x.dtype)

    def _normalized(self, images: Tensor) -> Tensor:
        if self._affine is None:
            raise ConfigError(
                f"{option(self, 'normalize')}: is null, but the model got uint8 images; set its mean and std"
            )
        # Transposed while it is still one byte a value.
        x = images.transpose([0, 3, 1, 2]).astype("float32")
        if x.shape[1] == 3 and self._affine[0].shape[1] == 1:
            x = (x * paddle.to_tensor(_GRAY)).sum(axis=1, keepdim=True)
        place = str(images.place)
        if place not in self._affine_on:
            self._affine_on[place] = tuple(paddle.to_tensor(value, place=images.place) for value in self._affine)
        scale_there, shift_there = self._affine_on[place]
        with full_precision():
            if cpu.applies(x):
                # A batch norm of fixed statistics: arithmetic that repeats a value over a map is slow on a CPU.
                zero, one = paddle.zeros_like(shift_there), paddle.ones_like(shift_there)
                constants = (value.flatten() for value in (zero, one, scale_there, shift_there))
                return F.batch_norm(x, *constants, training=False, epsilon=0.0)
            return x * scale_there + shift_there


def _completed(name: str, part: Callable[..., nn.Layer], channels: Any) -> nn.Layer:
    """A part built for these channels; a ValueError has its name in the model."""
    with located(name, part):
        return part(in_channels=channels)


@contextmanager
def as_in_training(head: nn.Layer) -> Iterator[None]:
    """A head that gives what the loss takes, while the layers inside it, such as dropout, stay as they are."""
    heads: list[nn.Layer] = [
        layer for layer in head.sublayers(include_self=True) if layer is head or isinstance(layer, NeedsTargets)
    ]
    before = [layer.training for layer in heads]
    for layer in heads:
        layer.training = True
    try:
        yield
    finally:
        for layer, training in zip(heads, before, strict=True):
            layer.training = training


def _of_rows(features: Any, rows: Tensor) -> Any:
    """Features of some images of a batch."""
    if isinstance(features, Tensor):
        return features.index_select(rows)
    if isinstance(features, TwoLevels | Pyramid):
        return features.index_select(rows)
    return [_of_rows(level, rows) for level in features]


# Weights of blue, green and red in gray (ITU-R BT.601, as OpenCV).
_GRAY = np.array([0.114, 0.587, 0.299], dtype=np.float32).reshape(1, 3, 1, 1)


def _affine(normalize: Mapping[str, Sequence[float]]) -> tuple[Array, Array]:
    """(x / 255 - mean) / std as x * scale + shift, each [1, C, 1, 1]."""
    if set(normalize) != {"mean", "std"}:
        raise ValueError(f"normalize: expected the keys mean and std, got {sorted(normalize)}")
    mean, std = (np.asarray(normalize[key], dtype=np.float64).reshape(1, -1, 1, 1) for key in ("mean", "std"))
    if mean.shape != std.shape or not (std > 0).all():
        raise ValueError("normalize: expected one value per image channel in mean and std, std above 0")
    scale = (1 / (255 * std)).astype(np.float32)
    shift = (-mean / std).astype(np.float32)
    return scale, shift
