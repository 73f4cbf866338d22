"""The space of a search, from overrides: `optim.lr=tag(log,interval(1e-5,1e-2))`, `size=8,16`, `n=range(1,5)`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from ocrexp.errors import ConfigError
from ocrexp.nearest import did_you_mean

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from optuna.distributions import BaseDistribution

TAGS = ("log",)


@dataclass(frozen=True)
class Axis:
    """The values of one key: texts to choose from, or numbers between `low` and `high`, both included.

    `group`: the key chooses the option of a config group. `step`: between neighbors; None: any number in between.
    """

    key: str
    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    whole: bool = False
    log: bool = False
    group: bool = False

    @property
    def name(self) -> str:
        """The key without the marks of an override, as the study names it."""
        return self.key.lstrip("+")

    def distribution(self) -> BaseDistribution:
        """As Optuna describes it."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self.choices:
            return CategoricalDistribution(self.choices)
        if self.whole:
            return IntDistribution(int(self.low), int(self.high), log=self.log, step=int(self.step or 1))
        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)

    def override(self, value: Any) -> str:
        """The override that sets a value of this axis."""
        return f"{self.key}={value}"

    def points(self) -> list[Any]:
        """All values; raises ConfigError for an interval, which has too many."""
        if self.choices:
            return list(self.choices)
        if self.step is None and not self.whole:
            raise ConfigError(
                f"hydra.sweeper.sampler=grid: {self.key} is an interval; write its values as a list, or choose tpe"
            )
        step = self.step or 1
        count = math.floor((self.high - self.low) / step + 1e-9) + 1
        values = (self.low + number * step for number in range(count))
        return [int(value) if self.whole else value for value in values]

    def ends(self) -> list[str]:
        """Overrides that between them show whether the axis composes: all choices, or the ends of the range."""
        if self.choices:
            return [self.override(value) for value in self.choices]
        return [self.override(int(end) if self.whole else end) for end in (self.low, self.high)]

    def value_in(self, config: DictConfig, chosen: Mapping[str, Any]) -> Any | None:
        """The value of this axis that a run's configuration has; None where it has another one.

        `chosen` are the options of its groups, as Hydra recorded them.
        """
        found = chosen.get(self.name) if self.group else OmegaConf.select(config, self.name)
        if isinstance(found, DictConfig | ListConfig):
            found = OmegaConf.to_container(found, resolve=True)
        if self.choices:
            return next((text for text in self.choices if _plain(f"key={text}") == found), None)
        if isinstance(found, bool) or not isinstance(found, int | float):
            return None
        if self.whole and found != int(found):
            return None
        value = int(found) if self.whole else float(found)
        return value if self.distribution()._contains(value) else None

    def describe(self) -> str:
        """One line that two equal axes have in common."""
        if self.choices:
            return ", ".join(self.choices)
        kind = "whole " if self.whole else ""
        step = f" in steps of {self.step:g}" if self.step else ""
        return f"{kind}{self.low:g} to {self.high:g}{step}{' (log)' if self.log else ''}"


@dataclass(frozen=True)
class Space:
    """The axes of a search by name, and the overrides that all jobs have in common."""

    axes: dict[str, Axis]
    fixed: list[str]

    def job(self, params: Mapping[str, Any]) -> list[str]:
        """The overrides of a job with these values."""
        return [*self.fixed, *(axis.override(params[name]) for name, axis in self.axes.items())]

    def size(self) -> int:
        """The number of combinations; raises ConfigError where an axis is an interval."""
        return math.prod(len(axis.points()) for axis in self.axes.values())

    def point(self, number: int) -> dict[str, Any]:
        """Combination `number` of the grid; the last axis changes fastest."""
        values: dict[str, Any] = {}
        for name, axis in reversed(self.axes.items()):
            number, place = divmod(number, len(axis.points()))
            values[name] = axis.points()[place]
        return values

    def describe(self) -> dict[str, str]:
        """The axes in words."""
        return {name: axis.describe() for name, axis in self.axes.items()}


def read_space(params: Mapping[str, Any], overrides: Sequence[str], config: DictConfig) -> Space:
    """The space of `hydra.sweeper.params` and of the command line, which wins.

    An interval for a key that is a whole number in `config` (`seed=interval(1,4)`) takes whole numbers.

    Raises ConfigError, in one line, for a range that cannot be searched.
    """
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.override_parser.overrides_parser import OverridesParser

    running = GlobalHydra.instance().hydra
    loader = running.config_loader if running else None
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(
        [*(f"{key}={_text(value)}" for key, value in params.items()), *overrides]
    )
    from ocrexp.config.paths import groups

    known = groups()
    latest = {override.get_key_element(): override for override in parsed}  # the command line comes later
    axes: dict[str, Axis] = {}
    fixed: list[str] = []
    for key, override in latest.items():
        if override.is_sweep_override():
            axis = _axis(override, OmegaConf.select(config, key.lstrip("+")), override.key_or_group in known)
            axes[axis.name] = axis
        else:
            fixed.append(override.input_line or "")
    if not axes:
        raise ConfigError(
            "hydra/sweeper=ocrexp_optuna: no key to search; give one a range, as "
            "optim.lr='tag(log,interval(1e-5,1e-2))'"
        )
    return Space(axes, fixed)


def _axis(override: Override, present: Any, group: bool) -> Axis:
    from hydra.core.override_parser.types import IntervalSweep, RangeSweep

    key, typed, value = override.get_key_element(), override.input_line, override.value()
    tags = {str(tag) for tag in getattr(value, "tags", ())}
    for tag in tags:
        if tag not in TAGS:
            hint = did_you_mean(tag, TAGS) or f"; tags: {', '.join(TAGS)}"
            raise ConfigError(f"{typed}: unknown tag '{tag}'{hint}")
    log = "log" in tags
    if isinstance(value, IntervalSweep):
        low, high = value.start, value.end
        assert low is not None and high is not None
        whole = isinstance(low, int) and isinstance(high, int)  # int(interval(1,8))
        if type(present) is int and low == int(low) and high == int(high):
            whole = True
        axis = Axis(key, low=low, high=high, whole=whole, log=log)
    elif isinstance(value, RangeSweep):
        start, stop, step = value.start, value.stop, value.step
        assert start is not None and stop is not None
        count = math.ceil((stop - start) / step - 1e-9) if step else 0
        if count < 1 or step <= 0:
            raise ConfigError(f"{typed}: expected a rising range with one value or more")
        whole = all(isinstance(number, int) for number in (start, stop, step))
        if log and not (whole and step == 1):
            raise ConfigError(f"{typed}: the tag log is for intervals and for ranges of whole numbers in steps of 1")
        axis = Axis(key, low=start, high=start + (count - 1) * step, step=None if log else step, whole=whole, log=log)
    else:
        if log:
            raise ConfigError(f"{typed}: the tag log is for intervals and ranges; remove it from a list of values")
        choices = tuple(dict.fromkeys(str(item) for item in override.sweep_string_iterator()))
        if not choices:
            raise ConfigError(f"{typed}: has no value; give it one or more")
        return Axis(key, choices=choices, group=group)
    if not (math.isfinite(axis.low) and math.isfinite(axis.high)) or axis.low > axis.high:
        raise ConfigError(f"{typed}: expected two numbers, the smaller one first")
    if log and axis.low <= 0:
        raise ConfigError(f"{typed}: with the tag log, expected numbers above 0, got {axis.low:g}")
    return axis


def _text(value: Any) -> str:
    """A value of a YAML file as an override has it: a list there is a list of values to choose from."""
    if isinstance(value, list):
        return ",".join(_text(item) for item in value)
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _plain(override: str) -> Any:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    return OverridesParser.create().parse_override(override).value()
