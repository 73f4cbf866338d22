"""Optimizers, the parameters that decay, clipping, and the learning rate's batch.

Order of things within a step, as in paddle and PaddleOCR: the gradients are clipped, then an L2 term
`weight_decay * weight` is added to them (Adam, Momentum, SGD, RMSProp, Adadelta: the decay is *coupled*, it passes
through the moments and is not clipped); AdamW instead takes `lr * weight_decay * weight` off the weight itself
(*decoupled*, Loshchilov and Hutter 2019). The same number therefore means different things to Adam and AdamW.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import paddle

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Common:
    """What every optimizer takes: `decays` gives for a parameter's name (paddle's own) whether it decays."""

    groups: list[dict[str, Any]]
    lr: float
    weight_decay: float
    decays: Callable[[str], bool]
    clip: Any


class OptimizerFactory(Protocol):
    """A node at `optim.optimizer`."""

    def build(self, common: Common) -> paddle.optimizer.Optimizer: ...


@dataclass(frozen=True, kw_only=True)
class Adam:
    """Adam (Kingma and Ba 2015) with coupled L2 decay."""

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def build(self, common: Common) -> paddle.optimizer.Optimizer:
        """The paddle optimizer of these parameters."""
        import paddle

        return paddle.optimizer.Adam(
            learning_rate=common.lr, beta1=self.beta1, beta2=self.beta2, epsilon=self.epsilon,
            parameters=common.groups, grad_clip=common.clip,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class AdamW:
    """Adam with decoupled decay (Loshchilov and Hutter 2019)."""

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def build(self, common: Common) -> paddle.optimizer.Optimizer:
        """The paddle optimizer of these parameters."""
        import paddle

        parameters = [parameter for group in common.groups for parameter in group["params"]]
        return paddle.optimizer.AdamW(
            learning_rate=common.lr, beta1=self.beta1, beta2=self.beta2, epsilon=self.epsilon, parameters=parameters,
            weight_decay=common.weight_decay, apply_decay_param_fun=common.decays, grad_clip=common.clip,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Momentum:
    """SGD with momentum and coupled L2 decay; `momentum: 0.0` is plain SGD."""

    momentum: float = 0.9
    use_nesterov: bool = False

    def build(self, common: Common) -> paddle.optimizer.Optimizer:
        """The paddle optimizer of these parameters."""
        import paddle

        return paddle.optimizer.Momentum(
            learning_rate=common.lr, momentum=self.momentum, use_nesterov=self.use_nesterov, parameters=common.groups,
            grad_clip=common.clip,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RMSProp:
    """RMSProp (Tieleman and Hinton 2012) with coupled L2 decay."""

    rho: float = 0.95
    momentum: float = 0.0
    epsilon: float = 1e-6

    def build(self, common: Common) -> paddle.optimizer.Optimizer:
        """The paddle optimizer of these parameters."""
        import paddle

        return paddle.optimizer.RMSProp(
            learning_rate=common.lr, rho=self.rho, momentum=self.momentum, epsilon=self.epsilon,
            parameters=common.groups, grad_clip=common.clip,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Adadelta:
    """Adadelta (Zeiler 2012) with coupled L2 decay; its usual rate is 1."""

    rho: float = 0.95
    epsilon: float = 1e-8

    def build(self, common: Common) -> paddle.optimizer.Optimizer:
        """The paddle optimizer of these parameters."""
        import paddle

        return paddle.optimizer.Adadelta(
            learning_rate=common.lr, rho=self.rho, epsilon=self.epsilon, parameters=common.groups,
            grad_clip=common.clip,
        )  # fmt: skip


def build_optimizer(
    model: paddle.nn.Layer,
    optimizer: OptimizerFactory,
    lr: float,
    weight_decay: float = 0.0,
    no_decay_names: Sequence[str] = (),
    no_decay_1d: bool = False,
    clip_norm: float | None = None,
    clip_scope: str = "global",
    rates: Mapping[str, float] | None = None,
    later: Iterable[paddle.Tensor] = (),
) -> paddle.optimizer.Optimizer:
    """The optimizer of a model's trainable parameters.

    `no_decay_names` excludes parameters by a part of their name in `model.state_dict()`; `no_decay_1d` excludes those
    of one dimension (norms and biases). `clip_norm` limits the norm of all gradients together (`clip_scope: global`)
    or of each tensor separately (`tensor`, as PaddleOCR's `clip_norm`; its `clip_norm_global` is ours). `rates` has
    factors of the learning rate by a parameter's name in the model, on top of one that the parameter itself has
    (`ParamAttr(learning_rate=…)`). `later` are parameters that are frozen now and will learn.
    Raises ValueError when nothing is trainable, or when a name excludes nothing.
    """
    import paddle

    waiting = {id(parameter) for parameter in later}
    named = [
        (name, parameter)
        for name, parameter in model.named_parameters()
        if not parameter.stop_gradient or id(parameter) in waiting
    ]
    if all(parameter.stop_gradient for _, parameter in named):
        raise ValueError("no parameter is trainable, because all parts of the model are frozen; freeze fewer")
    if weight_decay < 0:
        raise ValueError(f"weight_decay: expected 0 or more, got {weight_decay:g}")
    for part in no_decay_names:
        if not any(part in name for name, _ in named):
            raise ValueError(
                f"no_decay_names: no trainable parameter has {part!r} in its name (such as {named[0][0]!r})"
            )

    def excluded(name: str, parameter: paddle.Tensor) -> bool:
        return (no_decay_1d and parameter.ndim <= 1) or any(part in name for part in no_decay_names)

    kept = [parameter for name, parameter in named if not excluded(name, parameter)]
    free = [parameter for name, parameter in named if excluded(name, parameter)]
    groups: list[dict[str, Any]] = []
    if kept:
        groups.append({"params": kept, "weight_decay": paddle.regularizer.L2Decay(weight_decay)})
    if free:
        groups.append({"params": free, "weight_decay": paddle.regularizer.L2Decay(0.0)})
    if not weight_decay:  # no regularizer at all, so that not even a zero is added
        groups = [{"params": kept + free}]
    decaying = {parameter.name for parameter in kept}
    common = Common(groups, lr, weight_decay, decaying.__contains__, _clip(clip_norm, clip_scope))
    own = [parameter.optimize_attr["learning_rate"] for _, parameter in named]
    built = optimizer.build(common)
    for (name, parameter), factor in zip(named, own, strict=True):  # paddle's groups have set them to 1
        parameter.optimize_attr["learning_rate"] = factor * (rates or {}).get(name, 1.0)
    return built


def hand_out_states(optimizer: paddle.optimizer.Optimizer) -> None:
    """Give restored states to their parameters now, so that other parameters can begin without one.

    paddle keeps restored states until the next update, and then refuses a parameter that has none among them. This is
    what its update does first; nothing happens where no states wait.
    """
    import paddle
    from paddle.base.layer_helper import LayerHelper

    waiting = optimizer._accumulators_holder
    if not waiting:
        return
    lists = [item["params"] if isinstance(item, dict) else [item] for item in optimizer._parameter_list]
    known = [p for group in lists for p in group if any(key.startswith(f"{p.name}_") for key in waiting)]
    optimizer.helper = LayerHelper(type(optimizer).__name__)
    optimizer._create_accumulators(paddle.static.default_main_program().global_block(), known)
    optimizer._accumulators_holder = {}


def _clip(clip_norm: float | None, scope: str) -> Any:
    import paddle

    if scope not in ("global", "tensor"):
        raise ValueError(f"clip_scope: expected global or tensor, got {scope}")
    if clip_norm is None:
        return None
    if clip_norm <= 0:
        raise ValueError(f"clip_norm: expected a norm above 0, or null, got {clip_norm:g}")
    if scope == "tensor":
        return paddle.nn.ClipGradByNorm(clip_norm)
    return paddle.nn.ClipGradByGlobalNorm(clip_norm)


def resolve_lr(lr: float, batch: int, reference_batch: int | None, scale_lr: bool) -> float:
    """The rate for a global batch of `batch` images (batch size × accumulation × devices), and a log line if it
    differs.

    A published rate belongs to the batch it was found with: `reference_batch`. With `scale_lr` the rate grows in
    proportion to the batch (Goyal et al. 2017); otherwise a differing batch is only mentioned. Raises ValueError when
    there is nothing to scale from.
    """
    if lr <= 0:
        raise ValueError(f"lr: expected a number above 0, got {lr:g}")
    if reference_batch is None:
        if scale_lr:
            raise ValueError("scale_lr=true: needs reference_batch; set it to the batch size for which lr is meant")
        return lr
    scaled = lr * batch / reference_batch
    if scale_lr:
        logger.info("learning rate %g for a batch of %d is scaled to %g for %d", lr, reference_batch, scaled, batch)
        return scaled
    if batch != reference_batch:
        logger.info(
            "the learning rate %g is meant for a batch of %d, but this run has %d; scale_lr=true would use %g",
            lr, reference_batch, batch, scaled,
        )  # fmt: skip
    return lr


def parameter_names(model: paddle.nn.Layer, keys: Iterable[str] = ()) -> dict[str, str]:
    """Name in the model's state → paddle's own name, by which optimizer states are kept."""
    wanted = set(keys)
    return {key: tensor.name for key, tensor in model.state_dict().items() if not wanted or key in wanted}
