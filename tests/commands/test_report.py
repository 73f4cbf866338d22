"""`ocrexp report`: one page that has everything inside, is valid whatever the runs hold, and small."""

import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_runs import HEAD, make_run, texts

from ocrexp.__main__ import main

pytest.importorskip("jinja2", reason="jinja2 is not installed: pip install 'ocrexp[report]'")
pytest.importorskip("plotly", reason="plotly is not installed: pip install 'ocrexp[report]'")

EVIL = "</script><script>alert(1)</script>\x1b[31m"
VOID = ("meta", "img", "br", "link", "input", "hr")


class Checked(HTMLParser):
    """Fails where elements are not closed in order; collects ids and what would be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.fetched: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag, attrs) -> None:
        found = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if "id" in found:
            self.ids.append(found["id"])
        self.fetched += [found[name] for name in ("src",) if found.get(name) and not found[name].startswith("data:")]
        if tag == "a":
            self.links.append(found["href"])

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag


def checked(path: Path) -> str:
    html = path.read_text(encoding="utf-8")
    page = Checked()
    page.feed(html)
    page.close()
    assert page.open == [] and page.fetched == []
    assert len(set(page.ids)) == len(page.ids)
    assert all(link[1:] in page.ids for link in page.links)
    plotted = re.search(r"^var plots = (\{.*\});$", html, flags=re.MULTILINE)
    assert plotted and all(f'"{name}":' in plotted[1] for name in page.ids if name.startswith(("curve-", "key-")))
    return html


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eight jobs of two learning rates, two models and two seeds, with pictures, one failed, one with an evil note."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "sweep"
    picture = np.random.default_rng(0).integers(0, 255, (40, 90, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "0.png"), picture)
    number = 0
    for lr in ("1e-4", "1e-2"):
        for model in ("crnn", "svtr"):
            for seed in (0, 1):
                best = 0.5 + 0.2 * (lr == "1e-4") + 0.01 * seed
                curves = "".join(f"{s},{3 / s},{lr},20,{2 / s},{best * s / 20}\n" for s in range(1, 21))
                run = make_run(
                    folder / str(number), best, [f"optim.lr={lr}", f"model={model}", f"seed={seed}"], job=True,
                    curves=curves, samples=texts([("a<b", "a<c"), ("t", "t" if seed else "")], str(tmp_path)),
                )  # fmt: skip
                (run / "config_resolved.yaml").write_text(
                    f"optim:\n  lr: {lr}\nmodel:\n  name: {model}\nrun_dir: {run}\n"
                )
                (run / "plots/predictions").mkdir(parents=True)
                cv2.imwrite(str(run / "plots/predictions/step_0000080_00.jpg"), picture)
                cv2.imwrite(str(run / "plots/predictions/step_0000100_00.jpg"), picture)
                (run / "plots/confusions.csv").write_text("label,predicted,count,share,a,b\nO,0,7,0.1,,\n")
                number += 1
    return folder


def test_page_of_a_sweep(sweep: Path, capsys: pytest.CaptureFixture) -> None:
    (sweep / "5/status.json").write_text('{"state": "failed", "error": "out of memory"}')
    (sweep / "1/environment.json").write_text(
        '{"python": "3.12.1", "git": {"commit": "abc123", "diff": "+<b>new</b>"}}'
    )
    assert main(["report", "sweep"]) == 0
    assert "page: sweep/report.html" in capsys.readouterr().out
    html = checked(sweep / "report.html")
    for part in (
        "Best: 1 with accuracy 0.7100 (optim.lr=1e-4, model=crnn, seed=1).", "out of memory", "curve-val-accuracy",
        '"type":"log"', '"type":"parcoords"', "Importance of the keys", "git checkout abc123",
        "python -m ocrexp optim.lr=1e-4 model=crnn seed=1", "+&lt;b&gt;new&lt;/b&gt;", "a&lt;",
        '<td class="fold differs">svtr</td>', "1 of 2 images are not right",
    ):  # fmt: skip
        assert part in html, part
    assert "run_dir</code>" not in html  # a place is no difference
    assert 'src="https://' not in html and "<link" not in html
    assert main(["report", "sweep"]) == 0  # its own page is replaced


def test_page_of_one_run_and_of_damaged_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "a", curves="10,nan,0.1,inf,,\n")
    assert main(["report", "a", "output=one.html"]) == 0
    assert "NaN" not in checked(tmp_path / "one.html").split("var plots = ")[1].split(";\n")[0]
    empty = make_run(tmp_path / "b", None, [f'"model={EVIL}"'.replace("\x1b", "\\x1b")], error=EVIL, notes=[EVIL])
    (empty / "metrics.csv").write_text(HEAD.replace("val/accuracy", "val/x</script>"))
    (empty / "config_resolved.yaml").write_text("a: [")
    (empty / "samples.jsonl").write_text(
        '{"step": 1, "images": 1}\n{"path": "/x/\\udcff.png", "hits": 0, "of": 1, "label": ""}'
    )
    make_run(
        tmp_path / "c", 0.2, ["model=x"], samples=[{"path": "y", "hits": 0, "of": 3, "truth": [[1, 2]], "found": 3}]
    )
    assert main(["report", "a", "b", "c", "output=two.html"]) == 0
    html = checked(tmp_path / "two.html")
    assert "<script>alert(1)" not in html and "\x1b" not in html
    assert html.count("<script>") == html.count("</script>") == 3


def test_pictures_stay_within_their_size(sweep: Path) -> None:
    assert main(["report", "sweep", "output=small.html", "pictures_mb=0.01", "limit=3"]) == 0
    html = checked(sweep.parent / "small.html")
    assert "pictures are omitted" in html and "5 more are in the table only" in html
    pictures = sum(map(len, re.findall(r"data:image/jpeg;base64,[^\"]*", html)))
    assert pictures * 3 / 4 <= 10_000
    assert len(html) < 6e6


def test_another_file_is_not_replaced(sweep: Path, capsys: pytest.CaptureFixture) -> None:
    (sweep / "report.html").write_text("<p>mine</p>")
    assert main(["report", "sweep"]) == 2
    assert "exists and is not a page of ocrexp" in capsys.readouterr().err
    assert main(["report", "sweep", "worst=-1"]) == 2
    assert "worst: expected a whole number, 0 or more" in capsys.readouterr().err
    assert main(["report"]) == 2
