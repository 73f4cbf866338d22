"""Texts of pages from a corpus and from templates."""

import re
from pathlib import Path

import numpy as np

from ocrexp.data.synth.dataset import SynthDet
from ocrexp.data.synth.text.corpus import Corpus
from ocrexp.data.synth.text.mix import TextSources
from ocrexp.data.synth.text.page_texts import PageTexts
from ocrexp.data.synth.text.templates import Templates
from ocrexp.data.synth.words import WordMaker, belongs

LINES = [f"alpha{i} beta{i} gamma{i} delta{i}" for i in range(60)]


def corpus(folder: Path) -> Corpus:
    (folder / "texts.txt").write_text("\n".join(LINES))
    return Corpus(str(folder / "texts.txt"), unit="line")


def test_words_of_a_text_follow_each_other_and_belong_to_one_split(tmp_path):
    sources = TextSources.of({"corpus": corpus(tmp_path)})
    sources.prepare(frozenset("".join(LINES)), 60)
    for split in ("train", "val"):
        texts, rng = PageTexts(WordMaker(split), sources), np.random.default_rng(0)
        words = [(texts.title if i % 3 else texts.token)(rng) for i in range(80)]
        lines = [" ".join(words[i : i + 4]) for i in range(0, 80, 4)]
        assert set(lines) <= set(LINES) and {belongs(line) for line in lines} == {split}


def test_amounts_and_dates_are_those_of_the_templates(tmp_path):
    sources = TextSources.of({"corpus": corpus(tmp_path), "templates": Templates(locale="de_DE")})
    sources.prepare(frozenset(map(chr, range(32, 0x2100))), 60)
    texts, rng = PageTexts(WordMaker("train"), sources), np.random.default_rng(0)
    for _ in range(30):
        assert re.fullmatch(r"(EUR )?\d{1,3}(\.\d{3})*,\d\d( €)?", texts.price(rng))
        assert re.fullmatch(r"\d{1,2}\.\d{1,2}\.(\d\d|\d{4})", texts.date(rng))


def test_pages_show_the_corpus_and_do_not_depend_on_each_other(tmp_path):
    def source() -> SynthDet:
        keys = {"size": 256, "layouts": {"paragraph": 1, "receipt": 1}, "degrade": 0, "illegible": 0}
        return SynthDet(str(tmp_path), 4, 2, text={"corpus": corpus(tmp_path)}, max_length=40, **keys)

    one, other = source(), source()
    pages = [one.draw("train", index) for index in range(3)]
    texts = {region.text for page in pages for region in page.regions}
    assert len(texts & {word for line in LINES for word in line.split()}) > 10
    np.testing.assert_array_equal(other.draw("train", 2).image, pages[2].image)
    assert one.description()["max_length"] == 40
    assert "text" not in SynthDet(str(tmp_path)).description()  # the pages of made-up words keep their name
