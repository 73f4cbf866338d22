"""The loss of a distillation: that of the task for each student, and terms between networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from paddle import Tensor

from ocrexp.losses.distill_term import Term
from ocrexp.types import AsksForCharacters

Loss = Callable[[Mapping[str, Tensor], Mapping[str, Any]], dict[str, Tensor]]


class DistillLoss:
    """own_weight · (the task's loss of each student) + the terms.

    Args:
        own: the loss of the task, as each student has it alone.
        terms: name → term; null disables one.
        own_weight: of the task's loss.

    Calling it gives `loss`, the parts of the student's own loss (`loss_student` where it has none), `loss_student2`
    where there is one, and `loss_NAME` of each term, all weighted: they add up to `loss`. Outputs without other
    networks, as in evaluation, give the student's own loss alone.
    """

    def __init__(self, own: Loss, terms: Mapping[str, Term | None], own_weight: float = 1.0) -> None:
        if own_weight < 0:
            raise ValueError(f"own_weight: expected 0 or more, got {own_weight}")
        self.own, self.own_weight = own, own_weight
        self.terms = {name: term for name, term in terms.items() if term is not None}

    def know_characters(self, entries: Sequence[str]) -> None:
        """The charset's entries, for the task's loss."""
        if isinstance(self.own, AsksForCharacters):
            self.own.know_characters(entries)

    def __call__(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        own = {name: value * self.own_weight for name, value in self.own(outputs, batch).items()}
        if not any(name.startswith("student.") for name in outputs):
            return own
        total = own.pop("loss")
        parts = own or {"loss_student": total}
        added = {}
        if second := {**_of("student2", outputs), **_of("whole.student2", outputs)}:
            added["loss_student2"] = self.own(second, batch)["loss"] * self.own_weight
        added |= {f"loss_{name}": term(outputs, batch) for name, term in self.terms.items()}
        return {"loss": sum(added.values(), start=total), **parts, **added}


def _of(network: str, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    prefix = f"{network}."
    return {name[len(prefix) :]: value for name, value in outputs.items() if name.startswith(prefix)}
