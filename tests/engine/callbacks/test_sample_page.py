"""The page of the first samples: one file with labels, problems, variants and targets."""

import json
import logging
import re
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from ocrexp.charset.sources import from_characters
from ocrexp.data.dataset import TrainPipeline
from ocrexp.data.sampler import EpochSampler
from ocrexp.data.targets.text import TextTargets
from ocrexp.engine.callbacks.sample_page import SamplePage
from ocrexp.tasks.find import find_task
from ocrexp.types import Record

pytest.importorskip("jinja2")


class Run:
    def __init__(self, folder: Path, texts: list[str]) -> None:
        records = []
        for number, text in enumerate(texts):
            image = np.random.default_rng(number).integers(0, 255, (32, 100, 3), dtype=np.uint8)
            cv2.imwrite(str(folder / f"{number}.png"), image)
            records.append(Record(folder / f"{number}.png", (text,), source=f"list.txt:{number + 1}"))
        targets = TextTargets(from_characters("ab "), ctc_steps=8)
        self.run_dir, self.task, self.stopped = folder, find_task("rec"), ""
        self.train_loader = SimpleNamespace(
            pipeline=TrainPipeline(records, [targets], 0),
            sampler=EpochSampler([len(records)], None, 2, 0, shuffle=False),
        )

    def request_stop(self, reason: str) -> None:
        self.stopped = reason

    def data(self):
        page = (self.run_dir / "plots" / "samples.html").read_text()
        assert "http://" not in page.replace("http://www.w3.org/2000/svg", "") and "https://" not in page
        assert page.count("</script>") == 2, "no label ends the script"
        return json.loads(re.search(r"const DATA = (.*);\n", page)[1])


def test_labels_problems_variants_and_targets_are_in_one_file(tmp_path: Path) -> None:
    run = Run(tmp_path, ["a bb", "ab ", "</script>"])
    SamplePage(count=9, variants=2, stop=True).on_fit_start(run)  # type: ignore[arg-type]
    assert "debug=samples" in run.stopped
    first, space, refused = run.data()["samples"]
    assert [view["title"] for view in first["variants"]] == ["Epoch 0", "Epoch 1"]
    facts = dict(first["variants"][0]["facts"])
    assert facts["CTC steps"] == "5 needed, 8 emitted"
    assert facts["label ctc"].startswith("1 3 2 2, then 0 ×") and facts["read back ctc"] == "a bb"
    assert first["detail"]["image"].startswith("data:image/png;base64,")
    assert [one["kind"] for one in space["detail"]["problems"]] == ["text-spaces"]
    assert refused["variants"][0]["notes"][0].startswith("rejected: label: ") and refused["variants"][0]["panels"] == []


def test_what_does_not_fit_is_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = Run(tmp_path, ["ab"] * 40)
    with caplog.at_level(logging.WARNING):
        SamplePage(count=40, variants=3, max_megabytes=1).on_fit_start(run)  # type: ignore[arg-type]
    made = len(run.data()["samples"])
    assert 0 < made < 40 and f"{40 - made} of 40 samples" in caplog.text and run.stopped == ""
    assert (tmp_path / "plots" / "samples.html").stat().st_size < 1.2e6
    with pytest.raises(ValueError, match="variants must be 1 or more"):
        SamplePage(variants=0)
