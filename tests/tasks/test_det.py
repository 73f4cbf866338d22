"""Detection: what an evaluation reports of its images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ocrexp.data.sample_counts import SampleCounts
from ocrexp.data.transforms.resize import DetResize
from ocrexp.engine.evaluator import Evaluator
from ocrexp.metrics.det import DetMetric
from ocrexp.results import DetPrediction, Noted
from ocrexp.tasks.find import find_task
from ocrexp.types import Record, Sample

RNG = np.random.default_rng(0)


def evaluated(name: str, height: int, width: int, **resize: object) -> Sample:
    sample: Sample = {
        "record": Record(Path(name), (), (), ()), "index": 0, "polygons": [], "texts": [],
        "ignored": np.zeros(0, bool), "image": np.zeros((height, width, 3), np.uint8),
    }  # fmt: skip
    return DetResize(**resize)(sample, RNG)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("size", "resize", "key"),
    [
        ((4000, 300), {"limit_type": "max", "limit_side_len": 960}, "limit_side_len"),
        ((300, 4000), {"limit_type": "resize_long", "limit_side_len": 960}, "limit_side_len"),
        ((9000, 800), {"limit_type": "min", "limit_side_len": 736, "max_side": 4000}, "max_side"),
        ((9000, 800), {"limit_type": "max", "limit_side_len": 9000, "max_side": 4000}, "max_side"),
        ((3000, 1280), {"image_shape": [736, 1280]}, "image_shape"),
        ((3000, 2000), {"resize_long": 960}, "resize_long"),
    ],
)
def test_a_page_that_is_shrunk_by_more_than_half_has_a_note_with_the_key(size, resize, key) -> None:
    (batch,) = find_task("det").collate_eval([evaluated("tall.png", *size, **resize)], np.empty)
    (note,) = batch["notes"]
    assert f"{size[1]}×{size[0]}" in note
    assert f"preprocess.resize.{key} " in note
    assert "32 px" in note


@pytest.mark.parametrize("size", [(960, 960), (1919, 400), (20, 30), (30, 1000)])
def test_other_pages_have_none(size) -> None:
    (batch,) = find_task("det").collate_eval(
        [evaluated("a.png", *size, limit_type="max", limit_side_len=960)], np.empty
    )
    assert batch["notes"] == [""]


def test_an_evaluation_counts_noted_images_and_keeps_the_first() -> None:
    sizes = {"a.png": (500, 500), "b.png": (4000, 300), "c.png": (3900, 300), "d.png": (500, 500)}

    class Loader:
        counts: SampleCounts = {}  # noqa: RUF012

        def epoch(self, epoch: int, start: int = 0):
            for name, size in sizes.items():
                yield find_task("det").collate_eval(
                    [evaluated(name, *size, limit_type="max", limit_side_len=960)], np.empty
                )

        def __len__(self) -> int:
            return len(sizes)

        def close(self) -> None:
            pass

    import paddle

    class Nothing(paddle.nn.Layer):
        def forward(self, images: paddle.Tensor) -> dict[str, paddle.Tensor]:
            return {"maps": images[:, :1, :, :1].astype("float32")}

    result = Evaluator(Loader(), lambda outputs, batch: [DetPrediction([], [])], DetMetric()).run(Nothing())
    assert result.noted.count == 2
    line = result.noted.line(result.images)
    assert line.startswith("b.png: ")
    assert "2 of 4 images" in line
    assert Noted().line(4) == ""
    assert "of 4" not in Noted(1, "b.png: small").line(4)
