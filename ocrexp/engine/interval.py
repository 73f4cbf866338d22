"""Sums over the steps between two log lines."""

from __future__ import annotations

from dataclasses import dataclass, field

import paddle

from ocrexp.engine.step import StepReport


@dataclass
class Interval:
    """Losses stay on the device until `losses` reads them all at once."""

    steps: int = 0
    images: int = 0
    seconds: float = 0.0
    waited: float = 0.0
    parts: dict[str, paddle.Tensor] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)

    def add(self, report: StepReport, waited: float, seconds: float) -> None:
        """Count one step."""
        self.steps += 1
        self.images += report.images
        self.seconds += seconds
        self.waited += waited
        for name, value in report.parts.items():
            value = value.astype("float32").mean()
            self.parts[name] = self.parts[name] + value if name in self.parts else value
            self._counts[name] = self._counts.get(name, 0) + 1

    def losses(self) -> dict[str, float]:
        """Means over the steps, `train/loss` first and its parts as `train/loss_<part>`."""
        values = paddle.stack(list(self.parts.values())).numpy()
        means = {name: float(value) / self._counts[name] for name, value in zip(self.parts, values, strict=True)}
        named = {"train/loss": means.pop("loss")}
        return named | {f"train/loss_{name.removeprefix('loss_')}": value for name, value in means.items()}
