"""Where the values of a trial come from: drawn from a seed and the trial's number alone, whatever process asks.

So a search that is killed and continued asks for the same values, and two processes never draw the same ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from ocrexp.runs.search.options import SearchOptions
from ocrexp.runs.search.space import Space

WARM_START = "warm_start"  # attribute of a trial that is an earlier run: its folder


def make_sampler(options: SearchOptions, space: Space) -> BaseSampler:
    """The sampler that the options name."""
    startup = options.startup_trials
    if options.sampler == "grid":
        return GridSampler(space)
    if options.sampler == "cmaes":
        return PerTrial(options.seed, lambda seed: CmaEsSampler(seed, options.seed, startup))
    if options.sampler == "random":
        return PerTrial(options.seed, lambda seed: RandomSampler(seed))
    return PerTrial(options.seed, lambda seed: TPESampler(seed=seed, n_startup_trials=startup, constant_liar=True))


def own_trials(study: Study) -> list[FrozenTrial]:
    """The trials that this search has asked for, in their order; earlier runs of a warm start are none of them."""
    return [trial for trial in study.get_trials(deepcopy=False) if WARM_START not in trial.user_attrs]


def short(value: Any, kind: BaseDistribution) -> Any:
    """A number of an interval with four digits, as people write it; it is in names of runs and in tables."""
    if not isinstance(kind, FloatDistribution) or kind.step is not None:
        return value
    return min(kind.high, max(kind.low, float(f"{value:.4g}")))


class PerTrial(BaseSampler):
    """A new sampler for each trial, seeded by the trial's number."""

    def __init__(self, seed: int, make: Callable[[int], BaseSampler]) -> None:
        self._seed = seed
        self._make = make
        self._sampler = make(seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        mixed = np.random.SeedSequence([self._seed, trial.number]).generate_state(1)
        self._sampler = self._make(int(mixed[0]))
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        values = self._sampler.sample_relative(study, trial, search_space)
        return {name: short(value, search_space[name]) for name, value in values.items()}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        value = self._sampler.sample_independent(study, trial, param_name, param_distribution)
        return short(value, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        self._sampler.after_trial(study, trial, state, values)


class GridSampler(BaseSampler):
    """Every combination once: the n-th trial of the search has the n-th one, whatever process asks for it."""

    def __init__(self, space: Space) -> None:
        self._space = space

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:  # noqa: ARG002
        return {name: axis.distribution() for name, axis in self._space.axes.items()}

    def sample_relative(
        self,
        study: Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],  # noqa: ARG002
    ) -> dict[str, Any]:
        place = sum(other.number < trial.number for other in own_trials(study))
        return self._space.point(place % self._space.size())

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        raise NotImplementedError(f"{param_name} is no key of the grid")


class CmaEsSampler(BaseSampler):
    """CMA-ES over the numbers, uniform draws for the other keys; of the package cmaes.

    Optuna's own sampler keeps its state in the study as a pickle, which would run code from a study of someone else.
    This one repeats the generations from the trials' results, which takes milliseconds.

    Args:
        seed: of the values of this trial.
        study_seed: of the distribution, the same for all trials of the study.
        startup: trials with uniform draws before the first generation.
    """

    def __init__(self, seed: int, study_seed: int, startup: int) -> None:
        self._seed = seed
        self._study_seed = study_seed
        self._startup = startup
        self._uniform = RandomSampler(seed)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:  # noqa: ARG002
        done = _complete(study)
        if len(done) < max(1, self._startup):
            return {}
        return {name: kind for name, kind in done[0].distributions.items() if _is_number(kind)}

    def sample_relative(
        self,
        study: Study,
        trial: FrozenTrial,  # noqa: ARG002
        search_space: dict[str, BaseDistribution],
    ) -> dict[str, Any]:
        if len(search_space) < 2:
            return {}
        from cmaes import CMA

        sign = -1.0 if study.directions[0].name == "MAXIMIZE" else 1.0
        done = [(to_unit(each.params, search_space), sign * float(each.values[0])) for each in _complete(study)]
        start = min(done[: max(1, self._startup)], key=lambda entry: entry[1])[0]
        bounds = np.tile([0.0, 1.0], (len(search_space), 1))
        optimizer = CMA(mean=start, sigma=1 / 6, bounds=bounds, seed=self._study_seed)
        size = optimizer.population_size
        results = done[max(1, self._startup) :]
        for first in range(0, len(results) - size + 1, size):
            if optimizer.should_stop():
                break
            optimizer.tell(results[first : first + size])
        optimizer.reseed_rng(self._seed)
        return from_unit(optimizer.ask(), search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._uniform.sample_independent(study, trial, param_name, param_distribution)


def _complete(study: Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def _is_number(kind: BaseDistribution) -> bool:
    return not isinstance(kind, CategoricalDistribution) and not kind.single()


def to_unit(params: dict[str, Any], space: dict[str, BaseDistribution]) -> npt.NDArray[np.float64]:
    """Numbers as places between 0 and 1, on a logarithmic scale where the key has one."""
    places = []
    for name, kind in space.items():
        low, high = _ends(kind)
        place = (_scale(kind, float(params[name])) - low) / (high - low)
        places.append(min(1.0, max(0.0, place)))
    return np.asarray(places)


def from_unit(places: npt.NDArray[np.float64], space: dict[str, BaseDistribution]) -> dict[str, Any]:
    """The inverse of `to_unit`, rounded to values that the keys can have."""
    params: dict[str, Any] = {}
    for place, (name, kind) in zip(places, space.items(), strict=True):
        low, high = _ends(kind)
        at = low + float(place) * (high - low)
        value = math.exp(at) if _log(kind) else at
        smallest, largest = kind.low, kind.high
        if (step := kind.step) is not None:
            value = smallest + round((value - smallest) / step) * step
        value = min(largest, max(smallest, value))
        params[name] = round(value) if isinstance(kind, IntDistribution) else float(value)
    return params


def _log(kind: BaseDistribution) -> bool:
    return bool(kind.log)


def _scale(kind: BaseDistribution, value: float) -> float:
    return math.log(value) if _log(kind) else value


def _ends(kind: BaseDistribution) -> tuple[float, float]:
    return _scale(kind, kind.low), _scale(kind, kind.high)
