"""Learning rates of parts of a model, as factors of the one that the schedule gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ocrexp.nearest import nearest

BACKBONE = "backbone"


@dataclass(frozen=True)
class RateFactors:
    """`parameters`: factor of each parameter whose factor is not 1, by its name in the model; `groups`: factors by the
    names under which they are logged."""

    parameters: Mapping[str, float] = field(default_factory=dict)
    groups: Mapping[str, float] = field(default_factory=dict)

    def describe(self, lr: float) -> str | None:
        """The rates of the groups in one line, for the rate `lr`; None where all parts have it."""
        if not self.groups:
            return None
        shown = ", ".join(f"{name} {lr * factor:.3g} (× {factor:.3g})" for name, factor in self.groups.items())
        return f"learning rates: {shown}; other parts {lr:.3g}"


def rate_factors(
    names: Sequence[str],
    learning: Sequence[str],
    lr_scale: Mapping[str, float] | None,
    layer_decay: float | None = None,
    depths: Mapping[str, int] | None = None,
) -> RateFactors:
    """The factors of a model's parameters.

    Args:
        names: of all parameters in the model.
        learning: those that learn, now or later.
        lr_scale: part of the model, or the name of a parameter → factor; of several that cover a parameter the longest
            name counts.
        layer_decay: factor per block of the backbone: `layer_decay` for the last one, its square for the one before.
            It multiplies `lr_scale`. Necks and heads have 1 (Clark et al. 2020, ELECTRA; Bao et al. 2022, BEiT).
        depths: block of each of the backbone's parameters, from 1 at the input, see `ocrexp.models.depth`.

    Raises ValueError for a part that does not exist or does not learn, a factor that is not above 0, and a decay that
    is not within 0..1 or has no backbone of several blocks.
    """
    if lr_scale is not None and not isinstance(lr_scale, Mapping):
        raise ValueError(f"lr_scale: expected factors by part, as {{{BACKBONE}: 0.1}}, or null, got {lr_scale!r}")
    lr_scale = {str(part): factor for part, factor in (lr_scale or {}).items()}
    for part, factor in lr_scale.items():
        if isinstance(factor, bool) or not isinstance(factor, int | float):
            raise ValueError(f"lr_scale.{part}: expected a number above 0, got {factor!r}")
        if not 0 < factor < float("inf"):
            raise ValueError(
                f"lr_scale.{part}: expected a number above 0, got {factor:g}; model.freeze=[{part}] keeps a part "
                "as it is"
            )
        if not any(_covers(part, name) for name in names):
            near = _nearest_part(part, names)
            top = ", ".join(dict.fromkeys(name.partition(".")[0] for name in names))
            hint = f"did you mean {near}?" if near else f"the model's parts are {top}"
            raise ValueError(f"lr_scale: unknown part {part!r}; {hint}")
        if not any(_covers(part, name) for name in learning):
            raise ValueError(f"lr_scale.{part}: this part is frozen by model.freeze; remove it from one of them")
    blocks = _blocks(layer_decay, depths or {})
    factors: dict[str, float] = {}
    for name in learning:
        covering = [part for part in lr_scale if _covers(part, name)]
        factor = float(lr_scale[max(covering, key=len)]) if covering else 1.0
        if blocks and layer_decay is not None and name in blocks:
            factor *= layer_decay ** (1 + max(blocks.values()) - blocks[name])
        factors[name] = factor
    groups = {part: float(factor) for part, factor in lr_scale.items()}
    if blocks:
        decayed = sorted((name for name in factors if name in blocks), key=lambda name: blocks[name])
        groups.pop(BACKBONE, None)
        if decayed:
            groups |= {f"{BACKBONE}/first": factors[decayed[0]], f"{BACKBONE}/last": factors[decayed[-1]]}
    return RateFactors({name: factor for name, factor in factors.items() if factor != 1.0}, groups)


def _covers(part: str, name: str) -> bool:
    return name == part or name.startswith(f"{part}.")


def _nearest_part(part: str, names: Sequence[str]) -> str | None:
    """The part or parameter that a misspelled one is likely to mean: of the same depth, else of any."""
    pieces = [name.split(".") for name in names]
    known = list(dict.fromkeys(tuple(piece[:end]) for piece in pieces for end in range(1, len(piece) + 1)))
    same = [".".join(piece) for piece in known if len(piece) == part.count(".") + 1]
    return nearest(part, same) or nearest(part, [".".join(piece) for piece in known])


def _blocks(layer_decay: float | None, depths: Mapping[str, int]) -> dict[str, int]:
    """Block of each parameter under its name in the model; empty without a decay."""
    if layer_decay is None:
        return {}
    if not 0 < layer_decay <= 1:
        raise ValueError(f"layer_decay: expected a number above 0, up to 1, or null, got {layer_decay:g}")
    if max(depths.values(), default=0) < 2:
        raise ValueError("layer_decay: this model has no backbone of several blocks; set it to null, and use lr_scale")
    return {f"{BACKBONE}.{name}": depth for name, depth in depths.items()}
