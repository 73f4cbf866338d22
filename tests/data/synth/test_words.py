import numpy as np
import pytest

from ocrexp.data.synth.shaping import is_mark
from ocrexp.data.synth.words import SCRIPTS, WordMaker, core, read_words, split_of


@pytest.mark.parametrize("kind", ["word", "number", "price", "date", "code", "token", "title"])
def test_a_split_draws_only_its_own_texts(kind):
    for split in ("train", "val"):
        maker, rng = WordMaker(split), np.random.default_rng(3)
        texts = [getattr(maker, kind)(rng) for _ in range(200)]
        assert {split_of(text) for text in texts} == {split}
        assert not any(" " in text or not core(text) for text in texts)


def test_case_and_punctuation_do_not_carry_a_word_to_the_other_split():
    assert len({split_of(text) for text in ("house", "House", "HOUSE,", "(house)")}) == 1


def test_the_same_seed_gives_the_same_texts():
    draws = [[WordMaker("train").token(rng) for _ in range(50)] for rng in map(np.random.default_rng, (1, 1, 2))]
    assert draws[0] == draws[1] != draws[2]


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_makes_words_of_letters(script):
    maker, rng = WordMaker("train", [script]), np.random.default_rng(0)
    words = {maker.word(rng) for _ in range(300)}
    assert len(words) > 150 and all(len(word) > 1 and all(c.isalpha() or is_mark(c) for c in word) for word in words)


def test_an_unknown_script_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="latin_ext"):
        WordMaker("train", ["klingon"])


def test_words_of_a_file_go_to_one_split_each(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("\ufeff" + "\r\n".join(f"wort{i}" for i in range(100)) + "\r\n\r\nwort1\r\n", encoding="utf-8")
    words = read_words(path)
    assert words == [f"wort{i}" for i in range(100)]
    train, val = (WordMaker(split, words=words) for split in ("train", "val"))
    assert train.count and val.count and train.count + val.count == 100
    assert val.word(np.random.default_rng(0)) in words


def test_a_file_of_too_few_words_is_refused(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("alone\n")
    with pytest.raises(ValueError, match="words leave none"):
        read_words(path)
    with pytest.raises(ValueError, match="one word per line"):
        read_words(tmp_path / "missing.txt")
    path.write_bytes("价格 数量\n".encode("gbk"))
    with pytest.raises(ValueError, match=r"^words=.*:1: not UTF-8; .*iconv"):
        read_words(path)
