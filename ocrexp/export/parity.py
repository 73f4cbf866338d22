"""The parity gate: an export succeeds only if it gives the results of the trained model.

The same images are compared twice with the trained model as its evaluation runs it. First the networks: images prepared
by the evaluation go through each exported format, and the outputs through the evaluation's postprocess. Then the
deployment: the image files go through the runtime that users deploy, which knows only the export's `inference.yml`.
This detects another mean, size or dictionary than in training.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ocrexp.export.comparison import ComparisonCounts, metric_failures
from ocrexp.export.network import channels
from ocrexp.tasks.gate import Rules
from ocrexp.types import IMAGE_FACTS, Batch

if TYPE_CHECKING:
    from ocrexp.export.samples import Samples
    from ocrexp.export.trained import Trained

Floats = npt.NDArray[Any]


@dataclass
class ParityResult:
    """The gate's result.

    Args:
        failures: one line each; empty: the export is good.
        lines: a summary, one line per format.
        report: the content of `parity.json`.
    """

    failures: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)


@dataclass
class _Side:
    """A format under test."""

    name: str
    folder: Path
    network: Any  # the backend
    networks: ComparisonCounts
    files: ComparisonCounts
    network_metric: Any
    files_metric: Any

    @property
    def backend(self) -> str:
        return "onnx" if self.name == "onnx" else "paddle"


class Gate:
    """Compares exported formats with the trained model.

    Args:
        trained: the trained model.
        folders: folders by format name, each with its files and its `inference.yml`.
        samples: the images.
        rules: the tolerances.
    """

    def __init__(self, trained: Trained, folders: Mapping[str, Path], samples: Samples, rules: Rules) -> None:
        from ocrexp.deploy.backends.opening import open_backend

        self._parts = trained.parts
        self._samples = samples
        self._rules = rules
        self._model = trained.model()
        self._kind = self._model.output
        self._task = trained.task
        self._postprocess = self._task.deployed_postprocess(trained.parts.postprocess, self._kind, trained.charset)
        self._metric = trained.parts.new_metric()
        self._sides = [
            _Side(
                name,
                folder,
                open_backend(folder, backend="onnx" if name == "onnx" else "paddle"),
                ComparisonCounts(rules),
                ComparisonCounts(rules),
                trained.parts.new_metric(),
                trained.parts.new_metric(),
            )
            for name, folder in folders.items()
        ]

    def run(self) -> ParityResult:
        """Run both comparisons."""
        images = 0
        expected: list[tuple[str, Any, Any]] = []
        for part, outputs, predictions in self._trained():
            images += len(predictions)
            self._metric.update(predictions, part["references"])
            expected += zip(part["paths"], predictions, part["references"], strict=True)
            for side in self._sides:
                self._compare_network(side, part, outputs, predictions)
        for side in self._sides:
            side.network = None  # a predictor occupies memory
            gc.collect()
            self._compare_files(side, expected)
        return self._outcome(images)

    def _trained(self) -> Iterator[tuple[Batch, dict[str, Floats], list[Any]]]:
        """Batches with the network's input under `input`, the trained model's outputs and its predictions."""
        import paddle

        with paddle.no_grad():
            for part in self._samples.batches(self._parts):
                known = {name: paddle.to_tensor(part[name]) for name in IMAGE_FACTS if name in part}
                images = paddle.to_tensor(part["image"])
                part["input"] = self._model.prepare(images, known.get("valid_width")).numpy()
                outputs = {name: value.numpy() for name, value in self._model(images, targets=known or None).items()}
                yield part, outputs, self._postprocess(outputs, part)

    def _compare_network(self, side: _Side, part: Batch, outputs: dict[str, Floats], predictions: list[Any]) -> None:
        names = self._model.outputs
        got = dict(zip(names, map(np.asarray, side.network.run_all(part["input"])), strict=True))
        side.networks.add_numbers(*self._task.comparable(outputs, got[self._kind], self._kind))
        for name in names[1:]:
            side.networks.add_numbers(outputs[name], got[name])
        found = self._postprocess(got, part) if all(np.isfinite(value).all() for value in got.values()) else None
        if found is None:
            return  # counts as an infinite difference
        side.network_metric.update(found, part["references"])
        for path, one, other in zip(part["paths"], predictions, found, strict=True):
            side.networks.add(self._task.compare(one, other, self._rules), path)

    def _compare_files(self, side: _Side, expected: list[tuple[str, Any, Any]]) -> None:
        found = self._task.run_export(side.folder, side.backend, [_raw(path) for path, _, _ in expected])
        for (path, one, reference), other in zip(expected, found, strict=True):
            side.files.add(self._task.compare(one, other, self._rules), path)
            side.files_metric.update([other], [reference])

    def _outcome(self, images: int) -> ParityResult:
        outcome = ParityResult()
        config = self._parts.config
        measured = None if self._samples.drawn else _values(self._metric.compute())
        outcome.report = {
            "images": images,
            "of": "drawn images, because the validation list is not available"
            if self._samples.drawn
            else "validation list",
            **({"why_drawn": self._samples.why} if self._samples.drawn else {}),
            "tolerance": vars(self._rules),
            "input_channels": channels(config),
            "trained": {"metric": measured},
            "formats": {},
        }
        for side in self._sides:
            failures = []
            reports = {}
            for what, tally, metric in (
                ("network", side.networks, side.network_metric),
                ("files", side.files, side.files_metric),
            ):
                values = None if measured is None else _values(metric.compute())
                wrong = tally.failures()
                if measured is not None and values is not None:
                    wrong += metric_failures(measured, values, self._rules.metric)
                failures += [f"{side.name}, {_MEANING[what]}: {line}" for line in wrong]
                reports[what] = {**tally.report(), "metric": values}
            outcome.failures += failures
            outcome.report["formats"][side.name] = {"holds": not failures, **reports}
            outcome.lines.append(self._line(side, measured, not failures))
        if images == 0:
            outcome.failures.append("no image could be compared; check the validation list")
        outcome.report = {"holds": not outcome.failures, "failures": outcome.failures, **outcome.report}
        return outcome

    def _line(self, side: _Side, measured: dict[str, float] | None, holds: bool) -> str:
        line = (
            f"parity {side.name}: {'holds' if holds else 'FAILS'}, max difference {side.networks.max_difference:.1e}, "
            f"{self._task.results} exactly equal {side.networks.equal}/{side.networks.items}, "
            f"from files {side.files.equal}/{side.files.items}"
        )
        if measured is not None:
            main = self._metric.main
            got = side.files_metric.compute()[main]
            line += f", {main} {got:.4f} (trained {measured[main]:.4f})"
        return line


_MEANING = {
    "network": "on the evaluation's images",
    "files": "from the files, with inference.yml's preprocessing and characters",
}


def _raw(path: str) -> Any:
    from ocrexp.data.images import read_image
    from ocrexp.data.lmdb_file import is_entry

    return read_image(Path(path)) if is_entry(Path(path)) else path


def _values(metrics: dict[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in metrics.items() if "/" not in name}
