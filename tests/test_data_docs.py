"""The commands of docs/data.md that check data run as they are written there; its tutorial: tests/deploy."""

import json
import re
import shlex
from pathlib import Path

import lmdb
import planted
import pytest

from ocrexp.__main__ import main
from ocrexp.commands import check_data

PAGE = Path(__file__).resolve().parents[1] / "docs/data.md"
TEXT = PAGE.read_text(encoding="utf-8").partition("## Check a data set")[2]
BLOCKS = re.findall(r"```bash\n(.*?)```", TEXT, flags=re.DOTALL)
LINES = [line for block in BLOCKS for line in block.splitlines() if "check-data" in line]


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A folder with the data that the page names."""
    folder = tmp_path_factory.mktemp("start")
    lists = planted.clean_rec(folder / "DATA")
    lists.add("train_list.txt", "train/Visa2.png\tVisa ")
    planted.write_png(folder / "DATA/train/Visa2.png", planted.draw("Visa", 77))
    lists.write()
    for split in ("training", "validation"):
        path = folder / "data_lmdb_release" / split
        path.mkdir(parents=True)
        with lmdb.open(str(path), map_size=1 << 20) as env, env.begin(write=True) as batch:
            batch.put(b"image-000000001", planted.jpeg_of(planted.draw(split, 1)))
            batch.put(b"label-000000001", split.encode())
            batch.put(b"num-samples", b"1")
    return folder


@pytest.mark.parametrize("line", LINES)
def test_command_runs(start, monkeypatch, line):
    monkeypatch.chdir(start)
    monkeypatch.setattr(check_data.ModelSteps, "of", lambda self, charset: lambda width: width // 4)  # without paddle
    arguments = shlex.split(line)[3:]
    assert main([*arguments, "output=out", "overwrite=true", "workers=1"]) in (0, 1)
    found = json.loads((start / "out/check_data.json").read_text())
    assert found["facts"]["train images"] >= 1
    if "fix" in line:
        (written,) = found["fixed"].values()
        assert Path(written).read_text().splitlines()[-1] == "train/Visa2.png\tVisa"


def test_the_page_has_commands():
    assert len(LINES) >= 5
