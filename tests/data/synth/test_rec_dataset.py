import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from omegaconf import OmegaConf

from ocrexp.config.build import build
from ocrexp.config.compose import compose
from ocrexp.data.dataset import TrainPipeline
from ocrexp.data.synth import cache
from ocrexp.data.synth.drawn import write_dataset
from ocrexp.data.synth.fonts import bundled_fonts
from ocrexp.data.synth.rec_dataset import SynthRec
from ocrexp.data.synth.rec_texts import PRINTABLE
from ocrexp.errors import ConfigError, DataError

SMALL = {"train_words": 60, "val_words": 12}
CLEAN = {"difficulty": 0, "textured": 0}


def _source(folder: Path, **keys) -> SynthRec:
    return SynthRec(cache_dir=str(folder), **{**SMALL, **keys})


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> SynthRec:
    return _source(tmp_path_factory.mktemp("cache"), workers=2)


def test_records_name_readable_images_and_one_text_each(drawn):
    train, val = drawn.train_records(), drawn.val_records()
    assert (len(train), len(val)) == (60, 12)
    for number, record in enumerate(train, 1):
        image = cv2.imread(str(record.image_path))
        assert image.shape[0] >= 8 and image.shape[1] >= 4
        assert record.source.endswith(f"train_list.txt:{number}")
        assert len(record.texts) == 1 and set(record.texts[0]) <= set(PRINTABLE)
        assert record.polygons == () and record.draw is None
    assert not {record.texts for record in train} & {record.texts for record in val}


def test_the_lists_are_paddleocr_recognition_lists(drawn):
    for split, count in (("train", 60), ("val", 12)):
        lines = (drawn.folder / f"{split}_list.txt").read_text(encoding="utf-8").splitlines()
        assert len(lines) == count
        for line in lines:
            name, text = line.split("\t")
            assert (drawn.folder / name).is_file() and text


def test_the_number_of_processes_does_not_change_a_byte(drawn, tmp_path):
    assert _files(_source(tmp_path, workers=1).folder) == _files(drawn.folder)


def test_a_drawn_folder_is_reused_and_every_setting_has_its_own(drawn):
    before = (drawn.folder / "synth.json").stat().st_mtime_ns
    again = _source(drawn.folder.parent)
    assert again.folder == drawn.folder and (again.folder / "synth.json").stat().st_mtime_ns == before
    assert again.fingerprint() == drawn.fingerprint()
    tiny = {"train_words": 2, "val_words": 1}
    others = [{"seed": 1}, {"difficulty": 0.5}, {"characters": "abc"}, {"texts": {"word": 1}}, {"max_length": 9}]
    names = {_source(drawn.folder.parent, **tiny, **other).folder.name for other in others}
    assert len(names) == len(others) and drawn.folder.name not in names


def test_an_image_depends_on_its_numbers_alone(tmp_path):
    first, again = _source(tmp_path), _source(tmp_path)
    words = [first.draw("train", 0), first.draw("train", 1), first.draw("val", 0), first.draw("train", 0, epoch=1)]
    assert len({word.image.tobytes() for word in words}) == 4
    numbers = (("train", 0, 0), ("train", 1, 0), ("val", 0, 0), ("train", 0, 1))
    for (split, index, epoch), word in reversed(list(zip(numbers, words, strict=True))):  # another order
        repeated = again.draw(split, index, epoch)
        assert repeated.text == word.text == again.text(split, index, epoch)
        assert np.array_equal(repeated.image, word.image) and repeated.quality == word.quality
    assert not np.array_equal(_source(tmp_path, seed=1).draw("train", 0).image, words[0].image)


@pytest.mark.parametrize("look", [{}, {"curved": 1.0}, {"slant": 1.0, "max_angle": 20}, {"perspective": 0.4}])
def test_no_text_is_cut(tmp_path, look):
    """The ink of a text that is drawn plainly reaches no border, however it is bent and turned."""
    quiet = dict.fromkeys(("degrade", "strokes", "neighbours", "effects", "textured", "low_contrast"), 0)
    source = _source(tmp_path, **{**quiet, "margin": (0, 0), "max_angle": 0, **look})
    for index in range(150):
        word = source.draw("train", index)
        image = word.image.astype(int)
        ground = image[0, 0]
        border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
        assert np.abs(border - ground).max() <= 0.45 * np.abs(image - ground).max(), (index, word.text)
        assert np.abs(image - ground).max() > 60, (index, word.text)


def test_the_case_of_a_text_shows_in_its_crop(tmp_path):
    """A tight box around "x" or "X" would be the same picture."""
    source = _source(tmp_path, **CLEAN, margin=(0, 0), characters="xX-_", texts={"random": 1}, random_length=(1, 1))
    words = [source.draw("train", index) for index in range(60)] + [source.draw("val", index) for index in range(60)]
    heights: dict[str, set[bool]] = {"x": set(), "X": set(), "-": set(), "_": set()}
    for word in words:
        ink = np.abs(word.image.astype(int) - word.image[0, 0].astype(int)).max(axis=2) > 40
        rows = np.flatnonzero(ink.any(axis=1)) / len(ink)
        heights[word.text].add(bool(rows[0] > 0.2))
    assert heights["X"] == {False}
    assert heights["x"] == heights["-"] == heights["_"] == {True}


def test_endless_images_differ_by_epoch_and_not_otherwise(tmp_path):
    source, kept = _source(tmp_path, endless=True), _source(tmp_path)
    records = source.train_records()
    pipelines = [TrainPipeline(records, [], seed) for seed in (0, 1)]
    samples = {epoch: [pipelines[0].sample(index, epoch) for index in range(20)] for epoch in (0, 1)}
    for index in range(20):
        now, later = samples[0][index], samples[1][index]
        assert not np.array_equal(now["image"], later["image"])
        assert later["record"].texts == tuple(later["texts"])
        assert np.array_equal(pipelines[1].sample(index, 1)["image"], later["image"])
        # What is kept otherwise is epoch 0.
        record = kept.train_records()[index]
        assert np.array_equal(cv2.imread(str(record.image_path)), now["image"])
        assert list(record.texts) == now["texts"] == list(records[index].texts)
    assert sum(a["texts"] != b["texts"] for a, b in zip(samples[0], samples[1], strict=True)) >= 18
    other = samples[1][0]["others"](np.random.default_rng(0))
    assert other["texts"] == [source.text("train", other["index"], 1)]


def test_endless_stores_validation_images_only(tmp_path):
    source = _source(tmp_path, endless=True, train_words=10**5)
    assert len(source.val_records()) == 12
    assert len(list((source.folder / "images").iterdir())) == 12
    prints = source.fingerprint()
    assert prints["train_count"] == "100000"
    other = _source(tmp_path, endless=True, train_words=10**5, slant=0.1).fingerprint()
    assert other["train_sha256"] != prints["train_sha256"]


def test_a_transform_that_decodes_by_itself_gets_a_drawn_image_too(tmp_path):
    class Reads:
        reads_encoded = True

        def __call__(self, sample, rng):
            assert rng is not None
            sample["image"] = sample["encoded"].decode(2)
            return sample

    pipeline = TrainPipeline(_source(tmp_path, endless=True).train_records(), [Reads()], 0)
    whole = TrainPipeline(pipeline.records, [], 0).sample(3, 2)["image"]
    assert pipeline.sample(3, 2)["image"].shape[0] == -(-whole.shape[0] // 2)


def test_write_dataset_fills_a_new_folder_even_where_words_are_endless(tmp_path):
    source = _source(tmp_path / "unused", train_words=5, val_words=2, endless=True)
    folder = write_dataset(tmp_path / "out", source)
    assert {path.name for path in folder.iterdir()} == {"images", "train_list.txt", "val_list.txt", "synth.json"}
    assert len((folder / "train_list.txt").read_text().splitlines()) == 5
    assert json.loads((folder / "synth.json").read_text())["settings"]["seed"] == 0
    assert cache.is_whole(folder) and not (tmp_path / "unused").exists()


def test_photographs_become_grounds(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    cv2.imwrite(str(folder / "blue.png"), np.full((40, 60, 3), (230, 30, 30), np.uint8))
    source = _source(tmp_path, **CLEAN, backgrounds=str(folder), background_share=1.0)
    for index in range(5):
        blue, _, red = source.draw("train", index).image[0, 0].tolist()
        assert blue > red + 150


def test_words_of_a_file_are_drawn_and_what_cannot_be_is_counted(tmp_path):
    words = tmp_path / "words.txt"
    listed = [f"wort{a}{b}" for a in "abcdefghi" for b in "jklmnopqr"]
    words.write_text("\n".join([*listed, "New York", "漢字"]), encoding="utf-8")
    keys = {"words": str(words), "texts": {"word": 1}, "punctuation": 0, "cases": {"lower": 1}}
    source = _source(tmp_path, **keys)
    assert source.report() == [
        f"2 of 83 words of {words} dropped: they have other characters than the given ones, or no font has them"
    ]
    assert {source.text("train", index) for index in range(200)} <= set(listed)
    blank = _source(tmp_path, **{**keys, "characters": PRINTABLE + " "})
    assert blank.report()[0].startswith("1 of 83 words")


def test_characters_that_no_font_has_are_reported_and_not_drawn(tmp_path):
    source = _source(tmp_path, characters="ab漢", texts={"random": 1})
    (line,) = source.report()
    assert line.startswith("1 of 3 characters") and "'漢'" in line and "fonts-noto-cjk" in line
    assert set("".join(source.text("train", index) for index in range(50))) == {"a", "b"}
    with pytest.raises(DataError, match=r"fonts=FOLDER"):
        _source(tmp_path, characters="漢字").train_records()


def test_characters_of_several_fonts_are_drawn_without_boxes(tmp_path):
    """A text is drawn by one font that has all of its characters, never with the sign of a missing glyph."""
    source = _source(tmp_path, characters="abжψ<$", texts={"random": 1})
    for index in range(100):
        text, font, _ = source._begin("train", index, 0)
        assert "cm" not in Path(font).name or not set(text) & set("жψ<$")
    assert len(bundled_fonts()) > 10


def test_characters_come_from_a_dictionary_where_one_is_given(tmp_path):
    dictionary = tmp_path / "dictionary.txt"
    dictionary.write_text("z\r\nk\r\n7\r\n", encoding="utf-8")
    source = _source(tmp_path, dictionary=str(dictionary), use_space_char=True, texts={"random": 3, "phrase": 1})
    assert source.characters == "zk7 "
    assert _source(tmp_path, characters="ab", use_space_char=True).characters == "ab "
    with pytest.raises(ConfigError, match=r"nowhere\.txt"):
        _source(tmp_path, dictionary=str(tmp_path / "nowhere.txt"))


def test_the_shipped_node_is_complete(tmp_path):
    dataset = compose("synth", ["dataset=synth_rec", "out=unused", f"dataset.cache_dir={tmp_path}"]).dataset
    source = build(dataset)  # without a charset
    assert isinstance(source, SynthRec)
    en94 = OmegaConf.load(Path(__file__).parents[3] / "conf/charset/en94.yaml").characters
    assert source.characters == en94 == PRINTABLE


@pytest.mark.parametrize(
    "keys",
    [
        {"train_words": 0},
        {"val_words": 0},
        {"seed": -1},
        {"characters": ""},
        {"characters": "aab"},
        {"characters": "a\tb"},
        {"max_length": 0},
        {"texts": {"poem": 1}},
        {"texts": {"word": 0}},
        {"cases": {"lower": -1}},
        {"random_length": (5, 2)},
        {"difficulty": 1.5},
        {"font_size": (4, 20)},
        {"margin": (0.5, 0.1)},
        {"max_angle": 90},
        {"perspective": 0.6},
        {"degrade": -0.1},
        {"backgrounds": "nowhere"},
        {"fonts": "nowhere"},
        {"scripts": ["runes"]},
        {"workers": 0},
    ],
    ids=lambda keys: "-".join(map(str, *keys.items())),
)
def test_values_that_cannot_be_used_name_their_key_in_one_line(tmp_path, keys):
    with pytest.raises(ValueError, match=f"^{next(iter(keys))}") as caught:
        _source(tmp_path, **keys)
    assert "\n" not in str(caught.value)
