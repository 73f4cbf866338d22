"""Named validation sets beside the main one: all are evaluated, logged and kept; one value decides what is best."""

import json

import pytest

from ocrexp.engine.evaluator import Evaluator
from ocrexp.engine.validation import Validation
from tests.engine.standins import Closeness, FakeEvalLoader, Net, Recorder, make_trainer, read_value


class Fixed(Closeness):
    """A metric that gives the next of some values at each evaluation."""

    def __init__(self, *values):
        super().__init__()
        self.values = iter(values)

    def compute(self):
        return {**super().compute(), self.main: next(self.values)}


def evaluator(*values):
    return Evaluator(FakeEvalLoader(2), read_value, Fixed(*values))


@pytest.mark.parametrize(
    ("best_by", "name", "value"),
    [
        (None, "{main}", 0.5),
        ("val", "{main}", 0.5),
        ("receipts", "receipts/{main}", 0.9),
        ({"val": 3, "receipts": 1}, "{main} of val and receipts", 0.6),
        ({"val": 0, "photos": 2.0}, "photos/{main}", 0.1),
    ],
)
def test_the_value_that_decides_is_named_and_weighed(best_by, name, value):
    sets = Validation(evaluator(0.5), {"receipts": evaluator(0.9), "photos": evaluator(0.1)}, best_by)
    result = sets.run(Net())
    expected = name.format(main=sets.evaluator.main)
    assert (sets.main, result.value) == (expected, pytest.approx(value))
    assert result.metrics[expected] == pytest.approx(value)
    assert result.metrics[f"receipts/{sets.evaluator.main}"] == 0.9


@pytest.mark.parametrize("best_by", ["recipts", {"val": -1}, {"val": 0}, {"val": "much"}, {}])
def test_a_choice_that_cannot_be_is_refused(best_by):
    with pytest.raises(ValueError, match="best_by"):
        Validation(evaluator(), {"receipts": evaluator()}, best_by)


def test_a_run_keeps_the_weights_that_are_best_on_the_chosen_set(tmp_path):
    recorder = Recorder()
    sets = Validation(evaluator(0.1, 0.2, 0.3), {"receipts": evaluator(0.5, 0.9, 0.4)}, "receipts")
    trainer = make_trainer(tmp_path, validation=sets, logger=recorder, max_epochs=3)
    result = trainer.fit()
    assert result.best_value == 0.9
    main = sets.evaluator.main
    status = json.loads((tmp_path / "status.json").read_text())
    assert (status["best_metric"], status["best_value"]) == (f"receipts/{main}", 0.9)
    assert status["metrics"][main] == 0.2 and status["metrics"][f"receipts/{main}"] == 0.9
    logged = [values[f"val/receipts/{main}"] for _, values in recorder.values if f"val/receipts/{main}" in values]
    assert logged == [0.5, 0.9, 0.4]
