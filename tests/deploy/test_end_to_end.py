"""Real (tiny) models behind `predict` and `eval-system`, and many images through them in order."""

import json
import threading
import time

import cv2
import numpy as np
import pytest

from ocrexp.__main__ import main
from ocrexp.config.compose import compose
from ocrexp.deploy.end_to_end import in_order
from ocrexp.deploy.settings import RuntimeSettings, settings_from
from ocrexp.errors import ConfigError


@pytest.fixture
def pages(tmp_path):
    """Four white pages of one, two, three and four black patches in rows."""
    folder = tmp_path / "pages"
    folder.mkdir()
    for count in (1, 2, 3, 4):
        page = np.full((160, 200, 3), 255, np.uint8)
        for row in range(count):
            page[10 + 36 * row : 30 + 36 * row, 20:120] = 0
        cv2.imwrite(str(folder / f"{count}.png"), page)
    return folder


def predicted(folder):
    rows = [json.loads(line) for line in (folder / "predictions.jsonl").read_text("utf-8").splitlines()]
    for row in rows:
        row.pop("seconds", None)
    return rows


@pytest.fixture
def onnx_models(make_det, make_rec):
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    return [f"det={make_det()}", f"rec={make_rec()}"]


def test_pages_regions_and_lines_whatever_the_workers(onnx_models, pages, tmp_path):
    kinds = {"pages": onnx_models, "regions": onnx_models[:1], "lines": onnx_models[1:]}
    found = {}
    for kind, models in kinds.items():
        for workers in (1, 2):
            out = tmp_path / f"{kind}{workers}"
            assert main(["predict", f"images={pages}", f"output={out}", f"workers={workers}", *models]) == 0
            found[kind, workers] = predicted(out)
        assert found[kind, 1] == found[kind, 2]
    assert [len(row["boxes"]) for row in found["regions", 1]] == [1, 2, 3, 4]
    tops = [box[0][1] for box in found["regions", 1][3]["boxes"]]
    assert tops == sorted(tops)
    assert [row["texts"] for row in found["pages", 1]] == [["a"], ["a"] * 2, ["a"] * 3, ["a"] * 4]
    assert found["pages", 1][2]["boxes"] == found["regions", 1][2]["boxes"]
    assert all(len(row["texts"]) == 1 and "boxes" not in row for row in found["lines", 1])


def test_predictions_of_the_models_score_fully_against_themselves(onnx_models, pages, tmp_path, capsys):
    assert main(["predict", f"images={pages}", f"output={tmp_path / 'out'}", *onnx_models]) == 0
    labels = (tmp_path / "out" / "labels.txt").read_text("utf-8")
    (tmp_path / "val_list.txt").write_text(labels, "utf-8")
    arguments = [*onnx_models, f"dataset.root={tmp_path}", f"output={tmp_path / 'eval'}"]
    assert main(["eval-system", *arguments]) == 0
    metrics = json.loads((tmp_path / "eval" / "eval_system.json").read_text())["metrics"]
    assert metrics["hmean"] == metrics["det_hmean"] == metrics["rec_accuracy"] == 1.0
    assert not (tmp_path / "eval" / "worst").exists()


def test_lines_are_turned_by_a_classifier_without_a_detector_too(make_rec, make_cls, line, tmp_path):
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    image = line("aaab", height=48, width=48)
    for name, pixels in (("upright.png", image[:, ::-1]), ("turned.png", image)):
        cv2.imwrite(str(tmp_path / name), pixels)
    arguments = [f"images=[{tmp_path / 'upright.png'},{tmp_path / 'turned.png'}]", f"rec={make_rec()}"]
    for name, more, expected in (("as_is", [], ["ba", "ab"]), ("cls", [f"cls={make_cls()}"], ["ba", "ba"])):
        out = tmp_path / f"{name}_out"
        assert main(["predict", *arguments, *more, f"output={out}"]) == 0
        assert [row["texts"][0] for row in predicted(out)] == expected


def test_a_damaged_model_is_one_line(onnx_models, pages, tmp_path, capsys):
    (tmp_path / "det" / "inference.onnx").write_bytes(b"")
    assert main(["predict", f"images={pages}", f"output={tmp_path / 'out'}", *onnx_models]) == 2
    said = capsys.readouterr().err
    assert len(said.strip().splitlines()) == 1
    assert "empty (0 bytes)" in said
    assert not (tmp_path / "out").exists()


def test_a_fetched_model_is_given_by_its_name_and_brings_its_dictionary(make_det, make_rec, monkeypatch):
    folders = {"ppocrv6_small_det": make_det(), "ppocrv4_rec": make_rec()}
    monkeypatch.setattr("ocrexp.deploy.settings.fetched", lambda model: folders[model.name])
    config = compose("predict", ["images=x", "det=ppocrv6_small_det", "rec=ppocrv4_rec"])
    settings = settings_from(config, RuntimeSettings).checked()
    assert [settings.det, settings.rec] == [str(folder) for folder in folders.values()]
    assert settings.rec_char_dict_path == str(folders["ppocrv4_rec"] / "dictionary.txt")


def test_results_come_in_the_order_of_the_items_with_few_ahead():
    running, most, started = 0, 0, []
    lock = threading.Lock()

    def work(item):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            started.append(item)
        time.sleep(0.02 if item % 3 == 0 else 0.001)
        with lock:
            running -= 1
        return item * item

    results = in_order(range(40), work, threads=3)
    assert next(results) == 0
    assert len(started) <= 7
    assert list(results) == [item * item for item in range(1, 40)]
    assert 1 < most <= 3


def test_leaving_the_loop_leaves_the_rest_undone():
    done = []
    results = in_order(range(1000), done.append, threads=2)
    next(results)
    results.close()
    assert len(done) <= 5


@pytest.mark.parametrize("name", ["a b.jpg", "it's (1).png", "50%,{x}.png", "tab=#1.pdf", "back\\slash", "end\\", "ü$"])
def test_any_file_name_can_be_typed_as_it_is(name):
    from ocrexp.config.arguments import arrange
    from ocrexp.config.compose import compose

    assert compose("predict", arrange("predict", [f"images={name}", "dpi=100"])).images == name


def test_lists_and_quotes_are_left_to_hydra():
    from ocrexp.config.arguments import arrange
    from ocrexp.config.compose import compose

    given = ["images=[a.jpg,'b c.jpg']", "output=null", "rec='x y'"]
    config = compose("predict", arrange("predict", given))
    assert config.images == ["a.jpg", "b c.jpg"]
    assert config.output is None
    assert config.rec == "x y"
    with pytest.raises(ConfigError):
        compose("predict", ["images=a (1).jpg"])


@pytest.fixture
def tall_pages(tmp_path):
    """Five pages of 20 black bars on 300×4000 pixels, and one small page, with a detection list of all."""
    folder = tmp_path / "tall"
    folder.mkdir()
    lines = []
    for name, height in (("small", 300), *((f"tall{number}", 4000) for number in range(5))):
        page = np.full((height, 300, 3), 255, np.uint8)
        regions = []
        for top in range(40, height - 40, 200):
            page[top : top + 24, 30:270] = 0
            corners = [[30, top], [270, top], [270, top + 24], [30, top + 24]]
            regions.append({"transcription": "a", "points": corners})
        cv2.imwrite(str(folder / f"{name}.png"), page)
        lines.append(f"tall/{name}.png\t{json.dumps(regions)}\n")
    (tmp_path / "val_list.txt").write_text("".join(lines), "utf-8")
    return folder


def test_pages_that_are_shrunk_are_named_and_tiles_find_their_lines(onnx_models, tall_pages, tmp_path, capsys):
    for models in (onnx_models[:1], onnx_models):
        found = {}
        for tile in ("false", "true"):
            out = tmp_path / f"{tile}{len(models)}"
            assert main(["predict", f"images={tall_pages}", f"output={out}", f"tile={tile}", *models]) == 0
            found[tile] = [len(row["boxes"]) for row in predicted(out)]
            noted = [line for line in capsys.readouterr().err.splitlines() if "shrunk" in line]
            assert len(noted) == (3 if tile == "false" else 0)
            for number, line in enumerate(noted):
                for word in (f"tall{number}.png: ", "300×4000", "8 %", "32 px become 3 px", "tile=true"):
                    assert word in line
        assert found["true"] == [2, *[20] * 5]
        assert sum(found["false"]) < 20


def test_further_pages_that_are_shrunk_are_counted(onnx_models, tall_pages, tmp_path, capsys):
    assert main(["predict", f"images={tall_pages}", "output=-", onnx_models[0]]) == 0
    assert "5 of 6 images" in capsys.readouterr().err


def test_an_evaluation_reports_shrunk_pages_once_and_reads_them_in_tiles(onnx_models, tall_pages, tmp_path, capsys):
    recall = {}
    for tile in ("false", "true"):
        out = tmp_path / f"eval_{tile}"
        arguments = [f"dataset.root={tmp_path}", f"output={out}", f"tile={tile}", "pictures=0"]
        assert main(["eval-system", *onnx_models, *arguments]) == 0
        recall[tile] = json.loads((out / "eval_system.json").read_text())["metrics"]["det_recall"]
        noted = [line for line in capsys.readouterr().err.splitlines() if "shrunk" in line]
        assert len(noted) == (tile == "false")
        assert all("tall0.png" in line and "5 of 6 images" in line and "tile=true" in line for line in noted)
    assert recall["true"] == 1.0
    assert recall["false"] < 0.2


def test_tiles_without_a_detector_are_refused(onnx_models, pages, tmp_path, capsys):
    assert main(["predict", f"images={pages}", f"output={tmp_path / 'out'}", "tile=true", onnx_models[1]]) == 2
    said = capsys.readouterr().err
    assert "tile=true" in said
    assert "det=" in said
