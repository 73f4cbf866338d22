"""Drawn data straight into other formats, and words of drawn pages."""

import json
from pathlib import Path

import pytest
from format_reading import read

from ocrexp.commands import synth
from ocrexp.data.images import read_bytes
from ocrexp.data.synth import entries
from ocrexp.data.synth.dataset import SynthDet
from ocrexp.data.synth.rec_dataset import SynthRec
from ocrexp.deploy import drawn
from ocrexp.deploy.drawn import DrawnOutput, write_drawn
from ocrexp.errors import ConfigError, DataError


def words(folder: Path, workers: int = 1) -> SynthRec:
    return SynthRec(str(folder / "cache"), 34, 3, workers=workers)


def pages(folder: Path) -> SynthDet:
    return SynthDet(str(folder / "cache"), 2, 1, size=320, max_words=12, illegible=1, workers=1)


def contents(folder: Path, name: str) -> list[tuple[str | None, bytes]]:
    found = []
    for entry in read(folder, name)[0]:
        assert entry.image is not None
        data = entry.image if isinstance(entry.image, bytes) else read_bytes(entry.image)
        found.append((entry.text, data))
    return found


@pytest.mark.parametrize("to", ["lmdb", "shards"])
def test_words_are_the_same_in_each_format_and_with_each_number_of_processes(tmp_path, to):
    source = words(tmp_path)
    source.write(tmp_path / "lists")
    assert write_drawn(tmp_path / "one", source, DrawnOutput(to, False, 0.0)) == []
    write_drawn(tmp_path / "two", words(tmp_path, 2), DrawnOutput(to, False, 0.0))
    expected = contents(tmp_path / "lists", "paddleocr")
    assert len(expected) == 37
    assert sorted(contents(tmp_path / "one", to)) == sorted(expected)
    assert contents(tmp_path / "two", to) == contents(tmp_path / "one", to)
    meta = json.loads((tmp_path / "one/synth.json").read_text())
    assert meta["written"]["rec"]["train"]["images"] == 34 and meta["settings"]["seed"] == 0


def test_words_are_cut_from_the_pages_whose_labels_are_written(tmp_path):
    out = tmp_path / "out"
    report = write_drawn(out, pages(tmp_path), DrawnOutput("paddleocr", True, 0.0))
    drawn_pages, crops = read(out / "det")[0], read(out / "rec")[0]
    assert len(drawn_pages) == 3
    texts = [region.text for page in drawn_pages for region in page.regions or () if not region.ignored]
    assert [crop.text for crop in crops] == texts and len(texts) > 5
    ignored = sum(region.ignored for page in drawn_pages for region in page.regions or ())
    assert ignored and len(report) == 1 and report[0].startswith(f"dropped: {ignored} × region to ignore")
    assert not list(tmp_path.glob(".out*"))


def test_a_folder_that_is_not_complete_is_never_there(tmp_path, monkeypatch):
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(drawn, "write_json", fail)
    with pytest.raises(DataError, match="No space left"):
        write_drawn(tmp_path / "out", pages(tmp_path), DrawnOutput("shards", True, 0.0))
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".out*.part"))


def test_a_folder_that_holds_something_is_not_overwritten(tmp_path, monkeypatch):
    monkeypatch.setattr(entries, "encode", None)  # nothing is drawn
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("x")
    with pytest.raises(DataError, match="exists and is not overwritten"):
        write_drawn(tmp_path / "out", pages(tmp_path), DrawnOutput("shards", False, 0.0))
    assert (tmp_path / "out/mine.txt").read_text() == "x"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["to=csv"], "to: expected one of paddleocr, lmdb, shards, got 'csv'"),
        (["dataset.level=wrod"], r"dataset.level: .* got 'wrod'; did you mean word\?"),
        (["dataset=synth_rec", "dataset.scripts=[latn]"], r"dataset.scripts: .*did you mean latin\?"),
        (["to=lmdb"], "to=lmdb: .* crops=true"),
        (["crops=true", "dataset=synth_rec"], "crops=true: .* dataset=synth_det"),
        (["crops=1"], "crops: expected true or false"),
        (["crop_margin=-1"], "crop_margin: expected a number from 0 to 1, got -1"),
    ],
)
def test_outputs_that_cannot_be_are_refused_before_drawing(tmp_path, arguments, said):
    with pytest.raises(ConfigError, match=said):
        synth.run([f"out={tmp_path / 'out'}", *arguments])
    assert not (tmp_path / "out").exists()


def test_a_corpus_that_cannot_be_used_and_an_unwritable_folder_are_wrong_input(tmp_path):
    corpus = tmp_path / "texts.jsonl"
    corpus.write_text('{"txt": "a"}\n')
    arguments = ["dataset=synth_rec", "dataset/text=corpus", f"dataset.text.corpus.path={corpus}"]
    with pytest.raises(DataError, match=r"texts.jsonl:1: has no key 'text'.*corpus.text_key=txt") as raised:
        synth.run([f"out={tmp_path / 'out'}", *arguments])
    assert raised.value.exit_code == 2
    with pytest.raises(ConfigError, match=r"out=.*: cannot be written"):
        synth.run([f"out={corpus / 'below'}"])
