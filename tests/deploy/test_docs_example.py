"""The Python example of the documentation, run as it stands."""

import re
from pathlib import Path

import cv2
import numpy as np

PAGE = Path(__file__).resolve().parents[2] / "docs" / "deployment.md"


def test_the_example_runs_and_reads_a_page(make_det, make_rec, tmp_path, monkeypatch, capsys):
    make_det("det/inference")
    make_rec("rec/inference")
    page = np.full((160, 320, 3), 255, np.uint8)
    page[40:60, 30:150] = 0
    cv2.imwrite(str(tmp_path / "receipt.jpg"), page)
    for name, level in (("line1.png", 0), ("line2.png", 255)):
        cv2.imwrite(str(tmp_path / name), np.full((32, 64, 3), level, np.uint8))
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    names: dict = {}
    exec(block, names)
    assert capsys.readouterr().out.rstrip().split("]] ")[1].startswith("a ")
    assert len(names["boxes"]) == 1
    assert [text for text, _ in names["texts"]] == ["a", "b"]
