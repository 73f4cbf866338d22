"""`ocrexp compare` from the command line: table, test on the same images, gallery, one line for what is wrong."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_runs import make_run, texts

from ocrexp.__main__ import main
from ocrexp.commands.compare import fitting
from ocrexp.config.arguments import arrange
from ocrexp.report.tables import Column

WORDS = [("total", "total"), ("12.50", "12,50"), ("cash", "cash"), ("<b>", "<b>"), ("tax", "")] * 4


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    for index in range(len(WORDS)):
        cv2.imwrite(str(tmp_path / f"images/{index}.png"), np.full((20, 60, 3), 200, np.uint8))
    good = [(label, label) for label, _ in WORDS]
    good[0] = ("total", "tota1")
    images = str(tmp_path / "images")
    make_run(tmp_path / "runs/a", 0.95, ["optim.lr=1e-3"], samples=texts(good, images))
    make_run(
        tmp_path / "runs/b", 0.6, ["optim.lr=1e-4"], samples=texts(WORDS, images), notes=["plateau since step 3: x"]
    )
    return tmp_path


def test_table_and_test(runs: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["compare", "runs"]) == 0
    shown = capsys.readouterr().out
    assert "optim.lr" in shown and "2.50 M" in shown
    # b reads 1 that a does not, a reads 8: a sign test gives 20 / 512.
    assert "b against a on 20 common images: accuracy -0.3500" in shown
    assert "better on 1 images, worse on 8; p = 0.039: more than chance" in shown
    assert "b: plateau since step 3: x" in shown


def test_files(runs: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["compare", "runs/b", "runs/a", "format=json", "output=t.json"]) == 0
    rows = json.loads((runs / "t.json").read_text())
    assert [Path(row["folders"]).name for row in rows] == ["a", "b"]
    assert rows[1]["p"] == pytest.approx(20 / 512) and rows[1]["notes"].startswith("plateau")
    assert main(["compare", "runs", "format=csv", "output=t.json"]) == 2
    assert "exists and is not overwritten; add overwrite=true" in capsys.readouterr().err
    assert main(["compare", "runs", "filter=best>0.9", "format=markdown", "output=t.json", "overwrite=true"]) == 0
    assert (runs / "t.json").read_text().startswith("| run")
    assert main(["compare", "runs", "filter=[best>0.5, optim.lr<1e-3]", "format=csv", "paired_test=0"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("b,0.6")


def test_gallery(runs: Path, capsys: pytest.CaptureFixture) -> None:
    pytest.importorskip("jinja2", reason="jinja2 is not installed: pip install 'ocrexp[report]'")
    assert main(["compare", "runs", "gallery=page.html"]) == 0
    page = (runs / "page.html").read_text(encoding="utf-8")
    assert page.count('src="data:image/jpeg;base64,') == 9
    assert "Right in A only (8)" in page and "Right in B only (1)" in page
    assert '<span class="wrong">,</span>' in page and 'src="http' not in page
    (runs / "runs/b/samples.jsonl").unlink()
    assert main(["compare", "runs", "gallery=other.html"]) == 2
    assert "has no samples.jsonl" in capsys.readouterr().err
    assert main(["compare", "runs/a", "gallery=other.html"]) == 2
    assert "expected two runs, got 1" in capsys.readouterr().err


def test_gallery_of_detectors(runs: Path) -> None:
    pytest.importorskip("jinja2", reason="jinja2 is not installed: pip install 'ocrexp[report]'")
    box, far = [5, 5, 30, 5, 30, 15, 5, 15], [40, 5, 50, 5, 50, 15, 40, 15]
    page = {"path": str(runs / "images/0.png"), "truth": [box], "ignored": []}
    for name, found, hits in (("c", [box], 2), ("d", [far], 0)):
        row = {**page, "found": found, "hits": hits, "of": 2, "missed": 1 - hits // 2, "wrong": 1 - hits // 2}
        make_run(runs / f"det/{name}", hits / 2, best_metric="hmean", samples=[row, {**row, "path": "/not/there.png"}])
    assert main(["compare", "det", "gallery=det.html"]) == 0
    html = (runs / "det.html").read_text(encoding="utf-8")
    assert "Better in A (2)" in html and "0 found, 1 missed, 1 wrong" in html
    assert html.count('src="data:image/jpeg;base64,') == 2  # of the page that is there, one a run


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "runs: no run is named"),
        (["nowhere"], "nowhere: not found"),
        (["runs", "format=xml"], "format: expected one of table, csv"),
        (["runs", "limit=0"], "limit: expected a whole number, 1 or more"),
        (["runs", "sort=acuracy"], "sort: no run has acuracy"),
        (["runs", "filter=best>2"], "filter: none of the 2 runs fulfills"),
        (["runs", "runs=[a]"], "given as runs and as runs="),
        (["runs", "colums=[best]"], "did you mean columns?"),
    ],
)
def test_what_is_wrong_is_one_line(runs: Path, capsys: pytest.CaptureFixture, arguments: list[str], told: str) -> None:
    assert main(["compare", *arguments]) == 2
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1


def test_any_path_is_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "optim.lr=0.1,seed=1").mkdir()
    words = ["runs/it's [1]", "a,b", "optim.lr=0.1,seed=1", "sweeps/x=1/0", "sort=seconds"]
    assert arrange("compare", words) == [
        "sort=seconds", "runs=['runs/it\\'s [1]','a,b','optim.lr=0.1,seed=1','sweeps/x=1/0']",
    ]  # fmt: skip


def test_the_least_important_columns_give_way() -> None:
    columns = [Column("run", "run"), Column("best", "accuracy"), Column("gmacs", "GMACs"), Column("seconds", "time")]
    rows = [{"run": "a", "best": 0.5, "gmacs": 1.0, "seconds": 3}]
    assert fitting(columns, rows, 80) == (columns, [])
    kept, dropped = fitting(columns, rows, 28)
    assert [column.name for column in kept] == ["run", "best", "seconds"] and dropped == ["GMACs"]
