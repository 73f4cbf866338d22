"""Parts that are frozen for the first steps of a run (`model.unfreeze_after_steps`)."""

from __future__ import annotations

from dataclasses import dataclass

from paddle import Tensor

from ocrexp.engine import distributed
from ocrexp.engine.state import TrainState
from ocrexp.engine.step import Stepper
from ocrexp.models.freezing import Frozen
from ocrexp.optim.optimizers import hand_out_states


@dataclass
class Thaw:
    """Parts that learn from a step on.

    The optimizer has their parameters from the start, without a state: until then they get no gradient. Their
    optimizer state begins at the switch, with its own count of steps. A run that is resumed behind the switch thaws at
    once, so that its steps are those of a run that was never interrupted.

    Several processes average gradients by hooks on parameters that learn when training starts. There the frozen
    parameters get gradients, which are dropped before the update: the steps are the same, but none of them is cheaper.
    """

    step: int
    frozen: Frozen
    done: bool = False

    @classmethod
    def checked(cls, after: int, frozen: Frozen | None) -> Thaw:
        """Raises ValueError for a number that cannot be, and where nothing is frozen."""
        if isinstance(after, bool) or not isinstance(after, int) or after < 1:
            raise ValueError(f"unfreeze_after_steps: expected a whole number, 1 or more, or null, got {after!r}")
        if frozen is None:
            raise ValueError(
                f"unfreeze_after_steps={after}: freeze is empty, so nothing would change; set freeze=[backbone], or "
                "unfreeze_after_steps=null"
            )
        return cls(after, frozen)

    def prepare(self) -> None:
        """Before the stepper is made: give several processes the gradients that they average."""
        if distributed.world_size() > 1:
            self.frozen.allow_gradients()

    def held(self) -> list[Tensor]:
        """The parameters whose gradients the stepper drops until then."""
        return self.frozen.parameters if distributed.world_size() > 1 else []

    def due(self, state: TrainState) -> bool:
        """Whether the parts are to learn from the next step on and do not yet."""
        return not self.done and state.step >= self.step

    def thaw(self, stepper: Stepper) -> None:
        """Let the parts learn."""
        hand_out_states(stepper.optimizer)
        self.frozen.thaw()
        self.done = True
        stepper.held = []
        stepper.collect()
