"""What the parts of a model may offer beside `forward` and `out_channels`; a part without them has the default."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from paddle import Tensor, nn

if TYPE_CHECKING:
    from ocrexp.models.heads.class_axes import ClassAxis


@runtime_checkable
class NeedsTargets(Protocol):
    """A head that is called with the targets too, where `needs_targets` is true."""

    needs_targets: bool


@runtime_checkable
class WritesTokens(Protocol):
    """A head of characters, or its class: `token_kind` names its tokens, see `charset.codecs`; None: no characters."""

    token_kind: str | None


@runtime_checkable
class StatesOutputs(Protocol):
    """A head that is deployed with several outputs: their names, the main one first. Default: `(head.output,)`."""

    outputs: tuple[str, ...]


@runtime_checkable
class CompletesOutputs(Protocol):
    """A head that computes training's outputs from its input and evaluation's outputs, cheaper than from scratch."""

    def completed(self, x: Any, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]: ...


@runtime_checkable
class HasClasses(Protocol):
    """A head whose parameters have an axis of classes, for a change of characters."""

    def class_axes(self) -> dict[str, ClassAxis]: ...


@runtime_checkable
class DropsBranches(Protocol):
    """A layer with branches that only training needs; an export drops them."""

    def drop_training_branches(self) -> None: ...


@runtime_checkable
class Fuses(Protocol):
    """A layer that has a smaller form with the same results in evaluation; an export takes it."""

    def fuse(self) -> None: ...


@runtime_checkable
class NeedsOpset(Protocol):
    """A layer that ONNX can express from this version of its operators on; an export raises its own to it."""

    onnx_opset: int


class Branches(NamedTuple):
    """Branches whose sum is deployed as one convolution with bias.

    Args:
        conv: of the branch that can take the deployed convolution: its kernel has the same size.
        norm: the batch norm behind it.
        others: the batch norms of the other branches; with scales and biases of 0 these add nothing.
        members: the layers that make up the branches, in the order in which they run.
        after: the batch norm over the sum; None if there is none.
        factors: one per channel of an identity that has no batch norm, x · (1 + factor): with -1 it adds nothing.
        offsets: one per channel, added beside that identity: with 0 they add nothing.
    """

    conv: nn.Layer
    norm: nn.Layer
    others: tuple[nn.Layer, ...]
    members: tuple[nn.Layer, ...]
    after: nn.Layer | None = None
    factors: Tensor | None = None
    offsets: Tensor | None = None


@runtime_checkable
class HasBranches(Protocol):
    """A layer of branches that are deployed as one convolution with bias; None if it is fused already."""

    def branches(self) -> Branches | None: ...


@runtime_checkable
class KeepsLevelsApart(Protocol):
    """A neck that can leave its two levels apart, for a head that takes them so."""

    keep_levels_apart: bool


@runtime_checkable
class TakesLevelsApart(Protocol):
    """A head that can take two levels apart."""

    @property
    def takes_levels_apart(self) -> bool: ...


@runtime_checkable
class GivesPyramid(Protocol):
    """A neck that can give its levels beside the joined map (`Pyramid`)."""

    gives_pyramid: bool


@runtime_checkable
class TakesPyramid(Protocol):
    """A head that may learn from a neck's levels too, where `takes_pyramid` is true."""

    @property
    def takes_pyramid(self) -> bool: ...


@runtime_checkable
class HasSizeMultiple(Protocol):
    """A neck for images whose height and width are multiples of a number. Default: 1."""

    size_multiple: int


@runtime_checkable
class HasImageSize(Protocol):
    """A backbone with learned positions, for images of one (height, width)."""

    image_size: tuple[int, int]


@runtime_checkable
class HasPositions(Protocol):
    """A head with learned positions of the backbone's map: their number; its images have one size."""

    positions: int


@runtime_checkable
class MasksPadding(Protocol):
    """A head that needs the share of each image that is not padding, where `masks_padding` is true."""

    masks_padding: bool


@runtime_checkable
class KnowsImageNetNames(Protocol):
    """A backbone that can take PaddleClas's ImageNet weights: their names for the first part of its own."""

    def imagenet_names(self) -> dict[str, str]: ...


def token_kind(head: Any) -> str | None:
    """Kind of tokens of a head, of its class, or of a partial of either; None if it writes none."""
    part = head.func if isinstance(head, functools.partial) else head
    return part.token_kind if isinstance(part, WritesTokens) else None
