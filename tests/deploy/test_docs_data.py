"""The tutorial of docs/data.md, its commands in their order, with tiny models and drawn photographs."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ppocrlabel_files import confirmed, opened

from ocrexp.__main__ import main
from ocrexp.commands import check_data
from ocrexp.data.checking.kinds import KINDS
from ocrexp.data.lists import DetLists
from ocrexp.data.rec_lists import RecLists

PAGE = Path(__file__).resolve().parents[2] / "docs" / "data.md"
TEXT = PAGE.read_text(encoding="utf-8").partition("## Check a data set")[0]
BLOCKS = re.findall(r"```bash\n(.*?)```", TEXT, flags=re.DOTALL)
COMMANDS = [shlex.split(line)[3:] for block in BLOCKS for line in block.splitlines()]
OWN = {"predict": ["workers=1", "pictures=false"], "check-data": ["workers=1", "page=false"]}


def photograph(path, turned):
    """Three dark lines on bright paper; `turned`: stored lying, with the turn that EXIF states."""
    pixels = np.full((240, 160, 3), 235, np.uint8)
    for number in range(3):
        pixels[20 + 60 * number : 44 + 60 * number, 20 : 100 + 20 * number] = 10
    pixels[-20:, -20:] = np.random.default_rng(sum(path.stem.encode())).integers(150, 255, (20, 20, 3))
    exif = Image.Exif()
    exif[0x0112] = 6 if turned else 1  # 6: a quarter turn clockwise shows it upright
    Image.fromarray(np.rot90(pixels) if turned else pixels).save(path, quality=95, exif=exif)


@pytest.fixture
def start(make_det, make_rec, tmp_path, monkeypatch):
    """The folder with the photographs; tiny models stand for the fetched ones."""
    models = {"ppocrv6_small_det": make_det(), "ppocrv6_small_rec": make_rec()}
    monkeypatch.setattr("ocrexp.deploy.settings.fetched", lambda model: models[model.name])
    (tmp_path / "photos").mkdir()
    for page in range(1, 5):
        for name in "ab":
            photograph(tmp_path / f"photos/receipt{page}_{name}.jpg", turned=name == "b")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(check_data.ModelSteps, "of", lambda self, charset: lambda width: width // 4)  # without paddle
    return tmp_path


def pages(start, split):
    return DetLists(start / "corrected", f"{split}_list.txt", f"{split}_list.txt").train_records()


def check(arguments, output):
    """Check data; drawn lines are alike, so images that both splits have are the only errors."""
    code = main(["check-data", *arguments, *OWN["check-data"], f"output={output}"])
    report = json.loads((output / "check_data.json").read_text())
    errors = {problem["kind"] for problem in report["problems"] if KINDS[problem["kind"]].severity == "error"}
    assert code == bool(errors) and errors <= {"leak-content"}


def test_from_photographs_to_the_data_of_the_trainings(start, capsys):
    trainings = [command for command in COMMANDS if command[0].startswith("experiment=")]
    for number, command in enumerate(COMMANDS):
        if command[0] == "fetch" or command in trainings:
            continue
        if command[0] == "check-data":
            check(command[1:], start / f"check{number}")
            continue
        if command[0] == "convert":  # before it, a person corrects all photographs but one
            labels = opened(start / "drafts/ppocrlabel/Cache.cach")
            assert {region["transcription"] for label in labels.values() for region in label} == {"a"}
            first, *_, last = labels
            labels[first][0]["transcription"] = "abc"
            del labels[last]
            confirmed(start / "drafts/ppocrlabel", labels)
        assert main([*command, *OWN.get(command[0], [])]) == 0, capsys.readouterr()
    said = capsys.readouterr()
    assert "dropped: 1 × image with a model's labels that nobody has confirmed" in said.err
    train, val = list(pages(start, "train")), list(pages(start, "val"))
    assert len(train) + len(val) == 7 and train and val
    of = [{re.search(r"receipt\d", record.image_path.name)[0] for record in part} for part in (train, val)]
    assert not of[0] & of[1]
    assert sum(record.texts.count("abc") for record in train + val) == 1
    for record in train + val:  # in the image as it is displayed, also of turned photographs
        corners = sorted((polygon.max(axis=0) for polygon in record.polygons), key=lambda corner: corner[1])
        np.testing.assert_allclose(corners, [[100, 44], [120, 104], [140, 164]], atol=6)
    lines = RecLists(start / "words", "train_list.txt", "val_list.txt")
    assert len(lines.train_records()) == 3 * len(train)

    assert [command[0] for command in trainings] == ["experiment=finetune_det", "experiment=finetune_rec"]
    for command in trainings:  # with the keys of the training, and its model's tiny stand-in
        check([*command, "model.pretrained=null"], start / command[0].partition("=")[2])
