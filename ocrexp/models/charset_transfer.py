"""Weights of a recognizer with other characters: what both know keeps its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from paddle import nn

from ocrexp.charset.charset import Charset
from ocrexp.charset.codecs import KINDS, Codec
from ocrexp.errors import CheckpointError
from ocrexp.models.hooks import HasClasses

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Transfer:
    """Arrays that fit the model, and the characters that keep their rows, start from random values, or are dropped."""

    arrays: Arrays
    kept: tuple[str, ...]
    new: tuple[str, ...]
    lost: tuple[str, ...]

    def describe(self) -> str:
        """One line."""
        parts = [f"{len(self.kept)} characters keep their rows in the head"]
        for what, characters in (("start from random values", self.new), ("are dropped", self.lost)):
            if characters:
                shown = "".join(characters[:40]) + ("…" if len(characters) > 40 else "")
                parts.append(f"{len(characters)} {what}: {shown}")
        return "; ".join(parts)


def transfer_classes(arrays: Mapping[str, npt.NDArray[Any]], model: nn.Layer, old: Charset, new: Charset) -> Transfer:
    """Rearranges the class rows of a file's head from one charset to another.

    Special tokens keep their rows. A character that the file does not know keeps the row that the model was built with.
    Classes of equal number and other order are rearranged too.

    Args:
        arrays: of the file, by the model's names.
        model: built for `new`.
        old: the charset of the file.
        new: the charset of the model.

    Raises:
        CheckpointError: the file's head does not have the classes of `old`.
    """
    moved = dict(arrays)
    state = model.state_dict()
    parts = dict(model.named_children())
    heads = {name: parts.get(name) for name in ("head", "auxiliary")}
    axes = {
        f"{part}.{name}": along
        for part, head in heads.items()
        if isinstance(head, HasClasses)
        for name, along in head.class_axes().items()
    }
    for full, along in axes.items():
        if full not in arrays:
            continue
        here, there = state[full].numpy().copy(), arrays[full]
        ours, theirs = (KINDS[along.kind](len(charset)) for charset in (new, old))
        # Layers that have a class more than the codec (NRTR) or fewer (what is never predicted).
        surplus = here.shape[along.axis] - along.offset - ours.classes
        expected = along.offset + theirs.classes + surplus
        if there.shape[along.axis] != expected:
            raise CheckpointError(
                f"{full}: the file has {there.shape[along.axis]} classes, the charset {old.source} needs {expected}; "
                "use the charset with which the file was trained"
            )
        pairs = np.array(_class_pairs(ours, theirs, new, old, surplus))
        target, source = along.offset + pairs.T
        here, there = np.moveaxis(here, along.axis, 0), np.moveaxis(there, along.axis, 0)
        here[: along.offset] = there[: along.offset]
        here[target] = there[source]
        moved[full] = np.ascontiguousarray(np.moveaxis(here, 0, along.axis))
    return Transfer(
        moved,
        kept=tuple(c for c in new.characters if c in old),
        new=tuple(c for c in new.characters if c not in old),
        lost=tuple(c for c in old.characters if c not in new),
    )


def transfer_from_any(
    arrays: Mapping[str, npt.NDArray[Any]], model: nn.Layer, old: Sequence[Charset], new: Charset
) -> Transfer:
    """`transfer_classes` from the first charset of `old` (one at least) whose number of classes the file has.

    Raises CheckpointError if none fits.
    """
    for charset in old[:-1]:
        try:
            return transfer_classes(arrays, model, charset, new)
        except CheckpointError:
            continue
    return transfer_classes(arrays, model, old[-1], new)


def _class_pairs(ours: Codec, theirs: Codec, new: Charset, old: Charset, surplus: int) -> list[tuple[int, int]]:
    """(class here, class there) of the special tokens and of the characters that both know.

    Classes of equal characters are paired from the last one on, which is the one that is learned.
    """
    places: dict[str, list[int]] = {}
    for position, character in enumerate(old.characters):
        places.setdefault(new.normalization.entry(character), []).append(position)
    pairs = [(special, special) for special in range(ours.before)]
    for position, character in reversed(list(enumerate(new.characters))):
        if found := places.get(character):
            there = found.pop() if len(found) > 1 else found[0]
            pairs.append((ours.before + position, theirs.before + there))
    behind = range(ours.after + surplus)
    return pairs + [(ours.before + len(new) + i, theirs.before + len(old) + i) for i in behind]
