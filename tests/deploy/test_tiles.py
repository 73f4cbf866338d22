"""Large pages in tiles: the same regions as in one pass, each line once; and a word where a page is shrunk."""

from __future__ import annotations

import itertools
import logging
import tracemalloc

import cv2
import numpy as np
import pytest

from ocrexp.data.transforms.resize import DetResize
from ocrexp.deploy.tiles import Tiler, Tiling

CALLS: list[tuple[int, ...]] = []


def stripes(height: int, width: int, every: int = 100, lines: range | None = None) -> np.ndarray:
    """A white page with black bars of 24 pixels, one `every` rows."""
    page = np.full((height, width, 3), 255, np.uint8)
    for top in lines or range(40, height - 40, every):
        page[top : top + 24, width // 10 : width - width // 10] = 0
    return page


def by_position(boxes) -> np.ndarray:
    boxes = np.array([np.asarray(box) for box in boxes])
    corners = np.concatenate([boxes.min(axis=1), boxes.max(axis=1)], axis=1)
    return corners[np.lexsort((corners[:, 0], corners[:, 1]))]


def darkness(images: np.ndarray) -> np.ndarray:
    CALLS.append(images.shape)
    return images[:, :1]


def planes(images) -> np.ndarray:
    return np.stack([1 - image[..., 0].astype(np.float32)[None] / 255 for image in images])


def stitched(page: np.ndarray, tiler: Tiler) -> tuple[np.ndarray, Tiling]:
    tiling = tiler.tiling(*page.shape[:2])
    assert tiling is not None
    return tiler.stitched(page, tiling, planes, darkness), tiling


@pytest.mark.parametrize("size", [(4001, 600), (300, 5000), (2500, 2600), (961, 961), (12000, 800), (3000, 33)])
@pytest.mark.parametrize(
    "settings",
    [
        {"limit_side_len": 320, "limit_type": "max"},
        {"limit_side_len": 736, "limit_type": "min", "max_side": 960},
        {"limit_side_len": 960, "limit_type": "resize_long"},
        {"image_shape": [736, 1280]},
        {"resize_long": 900},
    ],
)
def test_tiles_cover_the_page_once_and_share_a_quarter(size, settings) -> None:
    tiling = Tiler(DetResize(**settings)).tiling(*size)
    if tiling is None:  # it is not shrunk
        new = DetResize(**settings).size(*size)
        assert all(after >= before - 16 for after, before in zip(new, size, strict=True))  # multiples of 32
        return
    painted = np.zeros(tiling.size, np.int32)

    class Counted(np.ndarray):
        def __setitem__(self, where, value):
            super().__setitem__(where, np.asarray(self)[where] + value)

    for number, (row, column) in enumerate(tiling.tiles()):
        tiling.paste(painted.view(Counted), np.ones(tiling.tile), row, column)
        assert number < len(tiling)
    assert (painted == 1).all()
    for starts, side, whole in zip((tiling.tops, tiling.lefts), tiling.tile, tiling.size, strict=True):
        assert starts[0] == 0
        assert all(start % 32 == 0 for start in starts)
        assert starts[-1] + side >= whole
        assert all(after - before <= side * 7 / 8 for before, after in itertools.pairwise(starts))
    assert tiling.tile[0] % 32 == tiling.tile[1] % 32 == 0


@pytest.mark.parametrize("size", [(4000, 640), (2017, 1003), (640, 4000)])
@pytest.mark.parametrize("scale", ["own", "enlarged"])
def test_the_stitched_map_is_that_of_the_whole_page(size, scale) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (size[0] // 9, size[1] // 9, 3), dtype=np.uint8)
    page = cv2.resize(noise, size[::-1], interpolation=cv2.INTER_CUBIC)
    settings = {"limit_side_len": 640, "limit_type": "max"}
    if scale == "enlarged":
        settings = {"limit_side_len": 1200, "limit_type": "min", "max_side": 1300}
    whole, tiling = stitched(page, Tiler(DetResize(**settings)))
    plain = DetResize(**{**settings, "max_side": None, "limit_side_len": 9999 if scale == "own" else 1200})
    sample = plain({"image": page.copy()}, np.random.default_rng(0))
    assert whole.shape == sample["image"].shape[:2]
    np.testing.assert_allclose(tiling.shape, sample["shape"])
    assert np.abs(whole - planes([sample["image"]])[0, 0]).max() < 0.06  # two ways to interpolate
    assert len(tiling) > 1


def test_all_tiles_have_one_size_and_batches_are_bounded() -> None:
    for settings, batch in (({"limit_side_len": 960, "limit_type": "max"}, None), ({"image_shape": [736, 1280]}, 3)):
        CALLS.clear()
        stitched(stripes(9000, 800), Tiler(DetResize(**settings), batch))
        assert len({shape[2:] for shape in CALLS}) == 1
        assert max(np.prod(shape) for shape in CALLS) <= 3_000_000
        if batch:
            assert set(CALLS) == {(3, 1, 736, 1280)}  # a network of one fixed size


def test_memory_is_that_of_the_map_and_a_few_tiles() -> None:
    page = np.broadcast_to(np.uint8(255), (9990, 9990, 3))
    tracemalloc.start()
    whole, _ = stitched(page, Tiler(DetResize(limit_side_len=960, limit_type="max")))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < whole.nbytes + 120e6


class TestDetector:
    @pytest.fixture(autouse=True)
    def _onnxruntime(self) -> None:
        pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'ocrexp[onnx]'")

    @pytest.mark.parametrize("size", [(3000, 500), (700, 2600), (2000, 1900)])
    def test_regions_are_those_of_one_pass_at_the_same_scale(self, make_det, size) -> None:
        from ocrexp.deploy import TextDetector

        page, folder = stripes(*size), make_det()
        whole = by_position(TextDetector(folder, det_limit_side_len=9999).detect(page).polygons)
        tiled = by_position(TextDetector(folder, tile=True).detect(page).polygons)
        assert len(tiled) == len(range(40, size[0] - 40, 100))
        np.testing.assert_allclose(tiled, whole, atol=2)

    def test_a_line_that_is_longer_than_a_tile_is_one_region(self, make_det) -> None:
        from ocrexp.deploy import TextDetector

        page = stripes(200, 6000, lines=range(80, 81))
        boxes, _ = TextDetector(make_det(), tile=True)(page)
        assert len(boxes) == 1
        assert np.abs(by_position(boxes)[0] - [600, 80, 5400, 104]).max() <= 4

    def test_more_regions_than_one_page_may_have_are_all_kept(self, make_det) -> None:
        from ocrexp.deploy import TextDetector

        page = np.full((6000, 1000, 3), 255, np.uint8)
        for top in range(20, 5970, 30):
            for left in range(20, 960, 90):
                page[top : top + 14, left : left + 60] = 0
        boxes, _ = TextDetector(make_det(), tile=True)(page)
        assert len(boxes) == len(range(20, 5970, 30)) * len(range(20, 960, 90)) > 1000

    def test_pages_that_are_not_shrunk_are_read_as_without_tiles(self, make_det) -> None:
        from ocrexp.deploy import TextDetector

        page, folder = stripes(300, 320), make_det()
        assert TextDetector(folder, tile=True)._tiler.tiling(300, 320) is None
        tiled, plain = (TextDetector(folder, tile=tile).detect(page) for tile in (True, False))
        assert tiled.scores == plain.scores
        np.testing.assert_array_equal(tiled.polygons, plain.polygons)

    def test_a_page_that_is_shrunk_by_more_than_half_is_reported(self, make_det, tmp_path, caplog) -> None:
        from ocrexp.deploy import TextDetector

        path = tmp_path / "tall.png"
        cv2.imwrite(str(path), stripes(3200, 400))
        folder = make_det()
        with caplog.at_level(logging.WARNING, "ocrexp"):
            TextDetector(folder)(stripes(600, 300))
            TextDetector(folder, tile=True)(path)
            assert not caplog.messages
            TextDetector(folder)(path)
            TextDetector(folder)(stripes(3200, 400))
        for message, name in zip(caplog.messages, (str(path), "the image"), strict=True):
            assert message.startswith(f"{name}: ")
            for word in ("400×3200", "10 %", "32 px", "3 px", "tile=True", "det_limit_side_len"):
                assert word in message
            assert "\n" not in message

    def test_the_key_to_set_is_one_that_helps(self, make_det) -> None:
        from ocrexp.deploy import TextDetector

        page = stripes(9000, 400)
        bounded = TextDetector(make_det("a", limit_side_len=736, limit_type="min", max_side=2000)).shrunk(page)
        fixed = TextDetector(make_det("b", image_shape=[736, 1280])).shrunk(page)
        for note in (bounded, fixed):
            assert "tile=True" in note
            assert "det_limit_side_len" not in note

    def test_a_system_reads_each_line_of_a_tall_page_once(self, make_det, make_rec, caplog) -> None:
        from ocrexp.deploy import TextSystem

        page = stripes(4000, 300, every=200)
        system = TextSystem(make_det(), make_rec(), tile=True)
        lines = system(page)
        assert [text for _, (text, _) in lines] == ["a" * len(lines[0][1][0])] * 20
        tops = [box[:, 1].min() for box, _ in lines]
        np.testing.assert_allclose(tops, np.arange(40, 3960, 200), atol=4)
        assert not caplog.messages
        with caplog.at_level(logging.WARNING, "ocrexp"):
            TextSystem(make_det("again"), make_rec("rec2"))(page)
        assert "300×4000" in caplog.text
        assert "8 %" in caplog.text

    def test_the_measurement_of_the_docs_counts_lines_once(self, make_det, monkeypatch, capsys) -> None:
        import re
        import runpy
        import sys
        from pathlib import Path

        script = Path(__file__).resolve().parents[2] / "scripts" / "bench_tiles.py"
        folder = make_det(limit_side_len=64)
        logger = logging.getLogger("ocrexp")
        monkeypatch.setattr(logger, "level", logger.level)
        monkeypatch.setattr(
            sys, "argv", ["x", "--det", str(folder), "--height", "2000", "--width", "400", "--repeats", "1"]
        )
        with pytest.raises(SystemExit, match="0"):
            runpy.run_path(str(script), run_name="__main__")
        plain, tiled = capsys.readouterr().out.splitlines()
        assert plain.startswith("tile=False: 0 of 19 lines")
        assert re.match("tile=True: [1-9][0-9]* of 19 lines", tiled)  # the tiny detector finds some letters
