"""Which sets of a run are on disk: `latest`, the best, those that are kept; and a disk that does not take them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from ocrexp.engine import distributed
from ocrexp.engine.checkpoint import BEST, LATEST
from ocrexp.engine.nonfinite import WeightsCheck
from ocrexp.engine.saving import Saver
from ocrexp.engine.state import TrainState
from ocrexp.engine.step import Stepper
from ocrexp.errors import CheckpointError

logger = logging.getLogger(__name__)


class Keeper:
    """Saves the sets of a run, and knows whether what is on disk is up to date.

    Args:
        saver: writes a set.
        stepper: has the weights.
        check: raises TrainingError for weights that are not finite.
        clock: seconds of the whole run.
    """

    def __init__(self, saver: Saver, stepper: Stepper, check: WeightsCheck, clock: Callable[[], float]) -> None:
        self.latest_is_fresh = False  # false as soon as anything that it contains has changed
        self._saver = saver
        self._stepper = stepper
        self._check = check
        self._clock = clock
        self._unsaved_best = False
        self._failed_saves = 0  # in a row

    def save_latest(self, state: TrainState, kept_name: str | None, final: bool = False) -> None:
        """Save `latest`, and keep it under another name as well where there is one."""
        self.latest_is_fresh = self._save(LATEST, state, final)
        if self.latest_is_fresh and kept_name is not None and distributed.is_main():
            self._saver.store.keep(kept_name)

    def save_best(self, state: TrainState) -> None:
        """Save the weights as those of the best evaluation."""
        self._unsaved_best = not self._save(BEST, state)

    def saved_best(self, state: TrainState) -> Path:
        """The file of the best weights; raises CheckpointError where they are not what the run says that they are."""
        store = self._saver.store
        found = store.load(BEST)
        if found is None or self._unsaved_best or found.step != state.best_step:
            if (which := self._stepper.nonfinite_weight()) is not None:
                raise self._check.error(state, which)
            there = "no best weights exist" if found is None else f"only those of step {found.step} exist"
            raise CheckpointError(
                f"{store.folder}: the best weights, of step {state.best_step}, are missing ({there}); "
                f"see the warnings above, and use checkpoint={LATEST}, which is saved"
            )
        return store.folder / f"{BEST}.pdparams"

    def _save(self, name: str, state: TrainState, final: bool = False) -> bool:
        """Whether it is saved. A full disk is reported and training continues; raises CheckpointError if `final`."""
        self._check(state)
        state.seconds = self._clock()
        try:
            saved = self._saver.save(name, state)
            self._failed_saves = 0
            return saved
        except OSError as error:
            line = f"checkpoint {name} could not be saved at step {state.step}: {error.strerror or error}"
            if final:
                raise CheckpointError(
                    f"{line}; the earlier checkpoints are valid, free some space and resume"
                ) from error
            self._failed_saves += 1
            if self._failed_saves.bit_count() == 1:  # 1, 2, 4, 8, …: a disk stays full for many steps
                logger.warning("%s; the earlier checkpoints are valid, training continues", line)
            return False
