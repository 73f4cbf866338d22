"""Encodings that are not UTF-8: named with a command that gives the text back, or not named at all."""

import shutil
import subprocess

import pytest

from ocrexp.charset.encodings import conversion, convert_wide, guess_encoding, wide_encoding

WORDS = {
    "gb18030": ["你好", "中国北京", "欢迎光临", "识别测试", "营业时间", "停车场出口", "沙县小吃"],
    "big5": ["你好", "歡迎光臨", "營業時間", "請勿吸煙", "台灣大學", "牛肉麵"],
    "cp932": ["こんにちは", "ありがとう", "東京都", "営業時間", "カタカナ"],
    "euc_jp": ["こんにちは", "ありがとう", "東京都", "営業時間", "カタカナ"],
    "cp949": ["안녕하세요", "서울특별시", "감사합니다", "전화번호", "출입금지"],
    "cp1251": ["Привет", "Москва", "Добро пожаловать", "ВЫХОД", "аптека"],
    "koi8-r": ["Привет", "Москва", "Добро пожаловать", "выход", "аптека"],
    "koi8-u": ["Привіт", "Київ", "вулиця", "їжа"],
    "cp866": ["Привет", "Москва", "Добро пожаловать", "выход", "аптека"],
    "cp1252": ["café", "Straße", "Müller", "déjà vu", "Été", "señor", "¿Qué?", "coração", "“l’été”"],
    "cp1250": ["Příliš žluťoučký kůň", "Łódź", "zażółć gęślą jaźń"],
    "iso-8859-2": ["Příliš žluťoučký kůň", "Łódź", "zażółć gęślą jaźń"],
    "cp850": ["café", "Straße", "Müller", "déjà vu", "señor"],
    "cp852": ["Příliš žluťoučký kůň", "Łódź", "zażółć gęślą jaźń"],
    "cp1253": ["Καλημέρα", "Αθήνα", "έξοδος", "ταξί"],
    "cp1254": ["İstanbul", "ağaç", "şeker", "ığdır"],
    "cp1255": ["שלום", "ירושלים", "כניסה"],
    "cp1256": ["مرحبا", "السلام", "مطعم", "شارع"],
    "cp874": ["สวัสดี", "กรุงเทพ", "ร้านอาหาร"],
}


def encoded(words, encoding):
    return [f"images/{i}.jpg\t{word}".encode(encoding) for i, word in enumerate(words)]


@pytest.mark.parametrize("encoding", WORDS)
def test_an_encoding_is_named_and_its_command_gives_the_text_back(tmp_path, encoding):
    lines = encoded(WORDS[encoding], encoding)
    guess = guess_encoding(lines)
    assert guess is not None
    assert guess.example in "\n".join(WORDS[encoding])
    path = tmp_path / "my list.txt"
    path.write_bytes(b"\n".join(lines))
    advice = conversion(path, guess)
    assert f"iconv -f {guess.iconv} -t utf-8" in advice
    if shutil.which("iconv") is None:
        pytest.skip("no iconv")
    command = advice[advice.index("iconv") :]
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
    assert path.read_text("utf-8").split("\n") == [f"images/{i}.jpg\t{word}" for i, word in enumerate(WORDS[encoding])]


@pytest.mark.parametrize(
    ("encoding", "word"),
    [
        ("gb18030", "你好"),
        ("gb18030", "有限公司"),
        ("cp949", "안녕하세요"),
        ("cp1251", "Привет"),
        ("cp932", "こんにちは"),
        ("cp1252", "café"),
    ],
)
def test_one_common_word_is_enough(encoding, word):
    line = f"a.jpg\t{word}".encode(encoding)
    guess = guess_encoding([line])
    assert guess is not None
    assert line.decode(guess.iconv) == f"a.jpg\t{word}"


def test_dictionaries_are_told_by_their_many_characters():
    """One character a line, few of them frequent."""
    hangul = [bytes([lead, trail]) for lead in range(0xB0, 0xC9) for trail in range(0xA1, 0xFF)]
    hanzi = [bytes([lead, trail]) for lead in range(0xB0, 0xD7) for trail in range(0xA1, 0xFF)]
    korean, chinese = guess_encoding(hangul), guess_encoding(hanzi)
    assert korean is not None
    assert korean.iconv == "cp949"
    assert chinese is not None
    assert chinese.iconv == "gb18030"


def test_what_decides_nothing_is_not_named():
    """Any byte is a letter of some encoding: without likely words none is proposed as the encoding."""
    assert guess_encoding([b"a.jpg\t\xff\xfe\x80\x81"]) is None
    assert guess_encoding([b"a.jpg\tcaf\xe9", "你好".encode("gb18030")]) is None  # two encodings in one file
    assert guess_encoding(["你好中国".encode("gb18030"), b"\xff\xff"]) is None  # it does not decode all lines


def test_without_a_guess_the_advice_does_not_claim_one(tmp_path):
    advice = conversion(tmp_path / "list.txt", None)
    assert "in which it was saved" in advice
    assert "GBK on Chinese Windows: iconv -f gb18030 -t utf-8" in advice


def test_a_part_of_a_file_is_converted_alone(tmp_path):
    """Lines that are UTF-8 already would be garbled by a conversion of the whole file."""
    path = tmp_path / "list.txt"
    part = encoded(WORDS["gb18030"], "gb18030")
    path.write_bytes(b"\n".join(["a.jpg\té".encode(), *part, b""]))
    advice = conversion(path, guess_encoding(part), (2, 1 + len(part)))
    command = advice[advice.index("sed") :]
    if shutil.which("iconv") is None:
        pytest.skip("no iconv")
    done = subprocess.run(["sh", "-c", command], check=True, capture_output=True)
    assert done.stdout.decode() == "".join(line.decode("gb18030") + "\n" for line in part)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf16_is_told_with_and_without_a_mark(tmp_path, encoding):
    text = "images/a.jpg\t你好\nimages/b.jpg\tword\n"
    data = text.encode(encoding)
    name = wide_encoding(data)
    assert name is not None
    assert name.replace("-", "") == encoding.replace("-", "")
    path = tmp_path / "list.txt"
    path.write_bytes(data)
    if shutil.which("iconv") is None:
        pytest.skip("no iconv")
    advice = convert_wide(path, name)
    subprocess.run(["sh", "-c", advice[advice.index("iconv") :]], cwd=tmp_path, check=True)
    assert path.read_text("utf-8") == text


@pytest.mark.parametrize(
    "data", [b"a.jpg\tword\n" * 9, b"a.jpg\two\0rd\n", b"\0" * 100 + b"a.jpg\tx", "é".encode(), b""]
)
def test_nul_bytes_alone_are_no_utf16(data):
    assert wide_encoding(data) is None
