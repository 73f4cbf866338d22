"""`dataset=rec_styled`: real lines and drawn words in their look as one data set."""

import cv2
import numpy as np
import pytest

from ocrexp.commands.synth import run
from ocrexp.data.batch_shares import BatchShareSampler
from ocrexp.data.dataset import TrainPipeline
from ocrexp.data.records import ListRecords, list_sizes
from ocrexp.data.synth.fonts import bundled_fonts
from ocrexp.data.synth.style.dataset import StyledRec
from ocrexp.data.synth.style.texts import LabelTexts
from ocrexp.errors import ConfigError, DataError
from tests.data.synth.style.test_measure import crop

LABELS = ["TOTAL 25.10", "TAX INVOICE", "12/03/2018", "CASH"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("real")
    (folder / "fonts").mkdir()
    for path in bundled_fonts()[:3]:
        (folder / "fonts" / path.name).symlink_to(path)
    lines = []
    for number, label in enumerate(LABELS):
        cv2.imwrite(str(folder / f"{number}.jpg"), crop(label.title(), size=22, noise=3.0))
        lines.append(f"{number}.jpg\t{label}\n")
    cv2.imwrite(str(folder / "dash.jpg"), crop("-"))
    (folder / "train_list.txt").write_text("".join(lines) + "dash.jpg\t-\n0.jpg\n")
    (folder / "val_list.txt").write_text("0.jpg\tUNSEEN Q€\n")
    return folder


def styled(root, **given) -> StyledRec:
    given = {"train_words": 24, "fonts": str(root / "fonts"), "cache_dir": str(root / "cache"), "workers": 1} | given
    return StyledRec(root, "train_list.txt", "val_list.txt", **given)


def test_drawn_words_are_the_last_training_list(root):
    data = styled(root)
    records = data.train_records()
    assert isinstance(records, ListRecords)  # so that sizes are read from headers, as those of real lists
    assert list_sizes(records, 2) == [5, 24]
    drawn = records[5:]
    assert all(set(record.texts[0]) <= set("".join(LABELS) + "-") for record in drawn)
    assert all(len(record.texts[0]) <= 25 for record in drawn)
    paper = [np.median(cv2.imread(str(record.image_path)), axis=(0, 1)) for record in drawn]
    assert np.abs(np.array(paper) - (210, 225, 240)).max() < 25  # as the real ones, in color
    assert [record.texts for record in data.val_records()] == [("UNSEEN Q€",)]
    assert "style: 1 image(s) not used, because each has fewer than 2 letters or digits" in data.report()
    sampler = BatchShareSampler(list_sizes(records, 2), [1, 2], 3, seed=0)
    lists = [[records[index % len(records)].list_index for index in batch] for batch in sampler.batches(0)]
    assert all(sorted(batch) == [0, 1, 1] for batch in lists)


def test_images_depend_on_seed_and_number_alone(root, tmp_path):
    one, two = styled(root, val_words=17), styled(root, val_words=17, workers=2, cache_dir=str(tmp_path / "other"))
    one.write(tmp_path / "one")
    two.write(tmp_path / "two")
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert len(files) == 24 + 17 + 3
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in files)
    other = styled(root, seed=1).draw("train", 3)
    again = one.draw("train", 3)
    assert other.text != again.text or other.image.shape != again.image.shape
    assert (
        cv2.imencode(".jpg", again.image, [1, again.quality])[1].tobytes()
        == (tmp_path / "one/images/train_000004.jpg").read_bytes()
    )


def test_the_verb_draws_them_without_the_real_lists(root, tmp_path, capsys):
    out = tmp_path / "drawn"
    keys = [
        f"dataset.{key}={root / value}" for key, value in (("root", ""), ("fonts", "fonts"), ("cache_dir", "cache"))
    ]
    keys += ["dataset.train_words=9", "dataset.val_labels=missing.txt", f"out={out}"]
    assert run(["dataset=rec_styled", *keys]) == 0
    assert len((out / "train_list.txt").read_text().splitlines()) == 9
    shown = capsys.readouterr()
    assert "charset=from_labels" in shown.out and "style: 1 image(s) not used" in shown.err
    assert "train: 1 bad label line(s) skipped: " in shown.err
    with pytest.raises(ConfigError, match="dataset: is not drawn; choose one of"):
        run(["dataset=rec_list", f"dataset.root={root}", f"out={tmp_path / 'other'}"])


def test_endless_words_are_new_in_every_epoch_and_begin_with_those_that_are_kept(root, monkeypatch):
    kept, endless = styled(root), styled(root, endless=True)
    monkeypatch.setattr(endless, "draw", lambda *_: pytest.fail("was drawn at the start"))
    records = endless.train_records()
    monkeypatch.undo()
    assert [record.texts for record in records] == [record.texts for record in kept.train_records()]
    pipeline = TrainPipeline(records, [], seed=0)
    first, second, same = pipeline.sample(7, 0), pipeline.sample(7, 1), pipeline.sample(7, 1)
    assert np.array_equal(first["image"], cv2.imread(str(kept.train_records()[7].image_path)))
    assert second["texts"] != first["texts"] or second["image"].shape != first["image"].shape
    assert np.array_equal(second["image"], same["image"]) and second["record"].list_index == 1
    assert kept.fingerprint()["train_sha256"] == endless.fingerprint()["train_sha256"]


def test_looks_are_measured_once_and_again_where_the_cache_is_damaged(root, monkeypatch):
    from ocrexp.data.synth.style import bank

    known = styled(root).looks
    monkeypatch.setattr(bank, "measure", lambda *_: "was measured again")
    assert [look.em for look in styled(root).looks.looks] == [look.em for look in known.looks]
    place = next((root / "cache").glob("looks-*.npz"))
    content = place.read_bytes()
    try:
        place.write_bytes(content[: len(content) // 2])
        with pytest.raises(DataError, match="was measured again"):
            _ = styled(root).looks
    finally:
        place.write_bytes(content)


def test_texts_keep_to_the_labels():
    texts = LabelTexts([*LABELS, "AB-1234"], {"form": 1}, 20, ["coffee", "sugar", "Tea", "qqq"])
    assert texts.capitals and texts.dropped == 3  # F, G, Q, U are in no label
    rng = np.random.default_rng(0)
    made = {texts.text(rng) for _ in range(200)}
    assert len(made) > 100 and {len(text) for text in made} <= set(range(1, 21))
    dates = [text for text in made if text.count("/") == 2 and " " not in text]
    assert dates and all(part.isdigit() for text in dates for part in text.split("/"))
    assert not LabelTexts(["Total"], {"label": 1}, 20).capitals


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ratios": [1]}, "ratios: expected 2 numbers"),
        ({"case": "small"}, "case: expected one of auto"),
        ({"texts": {"poem": 1}}, "texts: expected weights of label"),
        ({"variation": 2}, "variation: expected 0 to 1"),
        ({"style_root": "x"}, "style_root: expected null without style_list"),
    ],
)
def test_invalid_values(root, given, message):
    with pytest.raises(ValueError, match=message):
        styled(root, **given)
