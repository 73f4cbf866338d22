"""The compression of an export: writes the network in integers, and judges it and the float one beside the baseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocrexp.compress.judge import JudgedNetwork, judge, lost_too_much, table
from ocrexp.compress.static import FOLDER, write_int8
from ocrexp.deploy.backends.base import chosen
from ocrexp.export.describe import checksums
from ocrexp.export.samples import validation_samples
from ocrexp.folders import scratch

if TYPE_CHECKING:
    from ocrexp.compress.settings import Compression
    from ocrexp.deploy.description import Description
    from ocrexp.export.trained import Trained


@dataclass(frozen=True)
class Verdict:
    """`failures`: why the export is refused, one line each; `lines`: the table; `report`: for `parity.json`."""

    failures: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)


def compress_and_judge(
    trained: Trained, description: Description, folder: Path, folders: Mapping[str, Path], asked: Compression
) -> Verdict:
    """Write `int8` beside the float formats where that is asked, and judge all networks.

    Args:
        trained: the run.
        description: of the float network; its `ocrexp` has `macs`.
        folder: of the export.
        folders: of the float formats.
        asked: what to do.
    """
    macs = (description.ocrexp or {})["macs"]
    entries = []
    if (baseline := asked.baseline) is not None:
        assert baseline.description is not None
        there = (baseline.description.ocrexp or {}).get("macs")
        entries.append(JudgedNetwork("baseline", baseline.path, chosen(baseline, "auto"), there))
    name = "onnx" if "onnx" in folders else next(iter(folders))
    entries.append(JudgedNetwork("float", folders[name], "onnx" if name == "onnx" else "paddle", macs))
    facts = {}
    with scratch("judged") as drawn:
        samples = validation_samples(trained.parts, asked.judged, drawn)
        if samples.drawn:
            return Verdict([f"the loss of the metric cannot be measured without validation images: {samples.why}"])
        if asked.int8:
            place = folder / FOLDER
            float_file = folders["onnx"] / "inference.onnx"
            facts = write_int8(trained, float_file, place, asked.calibration, samples, asked.max_drop).facts()
            own = {**(description.ocrexp or {}), "int8": facts, "files": checksums(place)}
            replace(description, ocrexp=own).write(place / "inference.yml")
            entries.append(JudgedNetwork(FOLDER, place, "onnx", macs))
        rows = judge(trained.parts, entries, samples)
    main = trained.parts.new_metric().main
    failures = lost_too_much(rows, main, asked.max_drop)
    report = {"images": len(samples.records), "max_drop": asked.max_drop, "networks": [row.report() for row in rows]}
    return Verdict(failures, table(rows, main), {**report, **({FOLDER: facts} if facts else {})})
