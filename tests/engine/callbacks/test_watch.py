"""The line about the curves goes to the console and to status.json; a healthy run has none."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from standins import FakeLoader, make_trainer

from ocrexp.engine.callbacks.watch import CurveWatch
from ocrexp.engine.status import read_status, write_status
from ocrexp.loggers.csv import CSVLogger

HEAD = "step,train/loss,val/loss,val/hmean\n"


class Run:
    main_metric = "hmean"

    def __init__(self, folder: Path) -> None:
        self.run_dir = folder


def rows(rise: float) -> str:
    """Ten evaluations; the validation loss rises by `rise` from step 400 on."""
    lines = []
    for number in range(1, 31):
        step = 33 * number if number % 3 else 100 * number // 3
        val = f"{max(3 - step / 150, 0.6) + rise * max(step - 400, 0) / 600:.3f},0.700" if number % 3 == 0 else ","
        lines.append(f"{step},{3 * 0.9**number:.4f},{val}\n")
    return HEAD + "".join(lines)


def test_the_line_is_printed_and_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "metrics.csv").write_text(rows(2.0))
    write_status(tmp_path, state="running", step=1000, best_value=0.7)
    with caplog.at_level(logging.INFO):
        CurveWatch().on_fit_end(Run(tmp_path), "done")
    status = read_status(tmp_path)
    assert status is not None and status["state"] == "running" and status["best_value"] == 0.7
    (note,) = status["notes"]
    assert note.startswith("overfitting since step 400: val/loss rose from 0.6")
    assert note in caplog.text
    write_status(tmp_path, state="done")
    assert (read_status(tmp_path) or {})["notes"] == [note]
    (tmp_path / "metrics.csv").write_text(HEAD)  # the run was resumed from an earlier step
    CurveWatch().on_fit_end(Run(tmp_path), "done")
    assert (read_status(tmp_path) or {})["notes"] == []


def test_a_run_without_curves_has_no_line(tmp_path: Path) -> None:
    CurveWatch().on_fit_end(Run(tmp_path), "failed")
    assert list(tmp_path.iterdir()) == []


def wrong_from_epoch_6(batch, epoch, number):
    """Labels that nothing can learn, so that the loss rises and stays."""
    return {**batch, "target": batch["target"] + (40 * (-1) ** number if epoch >= 6 else 0)}


@pytest.mark.parametrize(("spoil", "kind"), [(None, []), (wrong_from_epoch_6, ["divergence"])])
def test_real_runs(tmp_path: Path, spoil: Callable | None, kind: list[str]) -> None:
    make_trainer(
        tmp_path, lr=0.003, loader=FakeLoader(spoil=spoil), logger=CSVLogger(), callbacks={"watch": CurveWatch()},
        max_epochs=12,
    ).fit()  # fmt: skip
    status = read_status(tmp_path)
    assert status is not None and status["state"] == "done"
    assert [note.split()[0] for note in status.get("notes", [])] == kind
