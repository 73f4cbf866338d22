"""samples.jsonl: what became of each image in the best evaluation, in the order of the list."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from standins import Closeness, FakeEvalLoader, Net, make_trainer, read_value

from ocrexp.engine.callbacks.report import EvaluationReport
from ocrexp.engine.evaluator import Evaluator
from ocrexp.engine.outcomes import ImageOutcomes
from ocrexp.engine.samples import read_samples, write_samples
from ocrexp.results import EvalResult, ImageOutcome
from ocrexp.types import Batch


class Telling(Closeness):
    def outcome(self, prediction: Any, reference: Any) -> dict[str, Any]:
        near = isinstance(prediction, float) and abs(prediction - reference) < 0.5
        return {"hits": int(near), "of": 1, "read": f"{reference:.3f}"}


class Shuffled(FakeEvalLoader):
    """As a loader that joins images of one shape: not in the order of the list."""

    def _part(self, index: int) -> Batch:
        part = super()._part(index)
        return {**part, "index": np.array([self.images - 1 - index])}


def test_the_evaluator_keeps_the_first_of_the_list() -> None:
    result = Evaluator(Shuffled(6, unreadable=(1,)), read_value, Telling(), keep_outcomes=4).run(Net())
    assert [(one.index, one.path) for one in result.outcomes] == [(i, f"image_{5 - i}.jpg") for i in range(4)]
    assert Evaluator(Shuffled(6), read_value, Telling()).run(Net()).outcomes == []
    assert Evaluator(Shuffled(6), read_value, Closeness(), keep_outcomes=4).run(Net()).outcomes == []


def test_those_of_all_processes_are_one_list() -> None:
    shares = [[ImageOutcome(index, f"{index}.jpg", {}) for index in indices] for indices in ((0, 2, 4), (1, 3))]
    outcomes = ImageOutcomes(Telling(), 10)
    outcomes.merge(shares)
    assert [one.index for one in outcomes.in_order()] == [0, 1, 2, 3, 4]


def test_a_run_leaves_those_of_its_best_evaluation(tmp_path: Path) -> None:
    evaluator = Evaluator(FakeEvalLoader(6), read_value, Telling(), keep_outcomes=5000)
    trainer = make_trainer(tmp_path, evaluator=evaluator, callbacks={"report": EvaluationReport()}, max_epochs=3)
    result = trainer.fit()
    samples = read_samples(tmp_path)
    assert samples is not None
    assert (samples.step, samples.images) == (result.best_step, 6)
    assert [Path(row["path"]).name for row in samples.rows] == [f"image_{index}.jpg" for index in range(6)]
    assert Path(samples.rows[0]["path"]).is_absolute()


def test_any_text_and_any_name_comes_back(tmp_path: Path) -> None:
    texts = ["多行\u2028\x85\n", "\udcff.jpg", 'quote " and \\']
    found = [ImageOutcome(i, text, {"hits": 1, "of": 1, "label": text}) for i, text in enumerate(texts)]
    write_samples(tmp_path, 7, EvalResult({}, [], 9, 0.1, outcomes=found))
    samples = read_samples(tmp_path)
    assert samples is not None and (samples.step, samples.images) == (7, 9)
    assert [row["label"] for row in samples.rows] == texts


def test_damaged_lines_and_files_are_left_out(tmp_path: Path) -> None:
    assert read_samples(tmp_path) is None
    good = json.dumps({"path": "a.jpg", "hits": 1, "of": 1})
    lines = ['{"step": 1, "images": 5}', good, good[:-4], "[]", '{"path": 3, "hits": 1, "of": 1}', '{"path": "b"}',
             '{"path": "c", "hits": NaN, "of": 1}']  # fmt: skip
    (tmp_path / "samples.jsonl").write_text("\n".join(lines))
    samples = read_samples(tmp_path)
    assert samples is not None and [row["path"] for row in samples.rows] == ["a.jpg"]
    for text in ("", "[]", "{", '{"step": "x", "images": 1}'):
        (tmp_path / "samples.jsonl").write_text(text)
        assert read_samples(tmp_path) is None
