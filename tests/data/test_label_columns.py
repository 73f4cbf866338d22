"""Tabs and characters that no image shows, in recognition and classification lists: counted, and nothing lost."""

import pytest

from ocrexp.data.rec_labels import read_rec_label_file


def read(tmp_path, *labels):
    path = tmp_path / "list.txt"
    path.write_text("".join(f"{i}.jpg\t{label}\n" for i, label in enumerate(labels)), encoding="utf-8")
    file = read_rec_label_file(path)
    assert not file.problems
    return [line.texts[0] for line in file], [line.replace(str(path), "L") for line in file.notes.lines()]


def test_a_third_column_is_named(tmp_path):
    texts, (line,) = read(tmp_path, "x", "hello\t0.98", "two words\t0.5\tmore", "last")
    assert texts == ["x", "hello", "two words", "last"]
    assert line.startswith("2 label(s) contain U+0009 (tab), the first at L:2; is there a third column?")


def test_tabs_at_the_end_and_doubled_ones(tmp_path):
    texts, lines = read(tmp_path, "hello\t", "\tworld", "\t\tfar\t0.5", "plain")
    assert texts == ["hello", "world", "far", "plain"]
    assert [line.partition(";")[0] for line in lines] == [
        "1 label(s) end with U+0009 (tab), the first at L:1",
        "2 label(s) begin with U+0009 (tab), the first at L:2",
        "1 label(s) contain U+0009 (tab), the first at L:3",
    ]


@pytest.mark.parametrize(
    ("character", "name"),
    [
        ("\u200b", "U+200B (zero width space)"),
        ("\ufeff", "U+FEFF (byte order mark)"),
        ("\u00a0", "U+00A0 (no-break space)"),
        ("\u00ad", "U+00AD (soft hyphen)"),
        ("\u200e", "U+200E (left-to-right mark)"),
        ("\u2060", "U+2060 (word joiner)"),
        ("\u2009", "U+2009 (thin space)"),
        ("\u202f", "U+202F (narrow no-break space)"),
        ("\u2028", "U+2028 (line separator)"),
        ("\u3000", "U+3000 (ideographic space)"),
        ("\u200d", "U+200D (zero width joiner)"),
        ("\u3164", "U+3164 (hangul filler)"),
        ("\x07", "U+0007 (control character)"),
        ("\x1b", "U+001B (control character)"),
        ("\x7f", "U+007F (control character)"),
        ("\ufffd", "U+FFFD (replacement character)"),
    ],
)
def test_what_no_image_shows_is_named_once(tmp_path, character, name):
    texts, (line,) = read(tmp_path, "plain", f"a{character}b{character}c", f"x{character}y")
    assert texts[1] == f"a{character}b{character}c"  # the label stays as it is
    assert line.startswith(f"2 label(s) contain {name}, the first at L:2; ")


@pytest.mark.parametrize(
    "text",
    [
        "می\u200cخواهم",  # Persian
        "क्\u200dष क्\u200cष",  # Devanagari
        "ශ්\u200dරී",  # Sinhala
        "👩\u200d💻",
        "東京\u3000大阪",
        "\u06dd١",  # is drawn
        "two words",
        "e\u0301",
    ],
)
def test_joiners_and_spaces_that_belong_there_are_not(tmp_path, text):
    assert read(tmp_path, "plain", text) == (["plain", text], [])


def test_spaces_at_the_ends_are_kept_and_counted(tmp_path):
    texts, (line,) = read(tmp_path, "plain", "end ", " begin")
    assert texts == ["plain", "end ", " begin"]
    assert line.startswith("2 label(s) begin or end with a space (U+0020), the first at L:2")


def test_several_kinds_at_once_with_places_beside_bad_lines(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes("a.jpg\tx\nbroken\n\nb.jpg\ta\u200bb\t1\nc.jpg\t\u00a0c\n".encode())
    file = read_rec_label_file(path)
    assert [problem.line for problem in file.problems] == [2]
    assert sorted(line.partition(";")[0].replace(str(path), "L") for line in file.notes.lines()) == [
        "1 label(s) contain U+0009 (tab), the first at L:4",
        "1 label(s) contain U+00A0 (no-break space), the first at L:5",
        "1 label(s) contain U+200B (zero width space), the first at L:4",
    ]
