"""hOCR: titles, unclosed elements, words of lines, several pages."""

from pathlib import Path

import pytest
from format_reading import picture, read, real, recognized, sample, write

from ocrexp.data.formats.hocr_elements import pages_in, properties

# As Tesseract writes it: words in lines, a blank word, a header, a turned line, marks within words.
PAGE = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html><head><title>x</title><meta name='ocr-system' content='tesseract'></head><body>
<div class='ocr_page' id='page_1' title='image "in/a;b.png"; bbox 0 0 200 100; ppageno 0'>
 <div class='ocr_carea' title='bbox 1 1 9 9'><p class='ocr_par' lang='eng'>
  <span class='ocr_line' id='line_1' title="bbox 10 20 90 40; baseline 0 -5">
   <span class='ocrx_word' id='word_1' title='bbox 10 20 40 40; x_wconf 90'><strong>Q&amp;A</strong></span>
   <span class='ocrx_word' title='bbox 41 20 42 40; x_wconf 95'> </span><span class='ocrx_word' lang='deu'
    title='bbox 50 20 90 40; x_wconf 70'>l&#39;<em>&eacute;t&eacute;</em></span>
  </span>
  <span class='ocr_header' title='bbox 10 50 30 60'><span class='ocrx_word' title='bbox 10 50 30 60'>Head</span></span>
  <span class='ocr_line' title='bbox 100 10 120 90; textangle 90'><span class='ocrx_word'
   title='bbox 100 50 120 90'>up</span></span>
  <span class='ocr_line' title='bbox 130 10 140 90'><span class='ocrx_word' title='bbox 130 10 140 90'>  </span></span>
 </p></div>
</div></body></html>
"""


def test_lines_are_joined_from_their_words(tmp_path: Path) -> None:
    image = picture(tmp_path / "in" / "a;b.png")
    write(tmp_path / "1.hocr", PAGE)
    assert recognized(tmp_path) == "hocr"
    (entry,), account = read(tmp_path)
    assert (entry.name, entry.image, entry.size) == ("in/a;b.png", image, (200, 100))
    first, head, up = entry.regions or []
    assert (first.text, first.language, first.extra) == ("Q&A l'été", "eng", {"id": "line_1"})
    assert first.score == pytest.approx(0.8)
    assert first.points == [(10, 20), (90, 20), (90, 40), (10, 40)]
    assert (head.text, head.points[2]) == ("Head", (30, 60))
    assert (up.text, up.points) == ("up", [(100, 90), (100, 10), (120, 10), (120, 90)])  # it reads upwards
    assert {kind: count.count for kind, count in account.dropped.items()} == {"region without a text": 1}


def test_words(tmp_path: Path) -> None:
    write(tmp_path / "1.hocr", PAGE)
    (entry,), account = read(tmp_path, level="word")
    regions = entry.regions or []
    assert [(r.text, r.language) for r in regions] == [("Q&A", "eng"), ("l'été", "deu"), ("Head", "eng"), ("up", "eng")]
    assert regions[0].points == [(10, 20), (40, 20), (40, 40), (10, 40)] and regions[0].score == 0.9
    assert regions[3].points == [(100, 90), (100, 50), (120, 50), (120, 90)]
    assert account.dropped["region without a text"].count == 2 and not account.changed


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ('image "a;b c.png"; bbox 1 2 3 4', {"image": "a;b c.png", "bbox": "1 2 3 4"}),
        ("image 'a;b.png';bbox 1 2 3 4;", {"image": "a;b.png", "bbox": "1 2 3 4"}),
        ("image it's.png; bbox 1 2 3 4; x 'y", {"image": "it's.png", "bbox": "1 2 3 4", "x": "'y"}),
        ('image "C:\\scans\\a.png"; bbox 1 2 3 4', {"image": "C:\\scans\\a.png", "bbox": "1 2 3 4"}),
        ("bbox 1 2 3 4; bbox 5 6 7 8; ppageno", {"bbox": "1 2 3 4", "ppageno": ""}),
        ("", {}),
    ],
)
def test_properties_of_titles(title: str, expected: dict[str, str]) -> None:
    assert properties(title) == expected


def line(title: str, inner: str = "a") -> str:
    return f"<div class=ocr_page title='image 1.png'><span class=ocr_line title='{title}'>{inner}</span></div>"


@pytest.mark.parametrize(
    ("page", "points"),
    [
        (line("poly 1 2 30 4 28 20 2 18; bbox 1 2 30 20"), [(1, 2), (30, 4), (28, 20), (2, 18)]),
        (line("x_bboxes 1 2 3 9 -1 -1 -1 -1 5 1 7 8"), [(1, 1), (7, 1), (7, 9), (1, 9)]),
        (line("", "<i class=ocrx_cinfo title='x_bboxes 1 2 3 9'>a</i>"), [(1, 2), (3, 2), (3, 9), (1, 9)]),
        (line("", "<i class=ocrx_word title='bbox 1 2 3 9'>a</i>"), [(1, 2), (3, 2), (3, 9), (1, 9)]),
        (line("bbox 1 2 3 9; textangle 180"), [(3, 9), (1, 9), (1, 2), (3, 2)]),
        (line("bbox 1 2 3 9; textangle 270"), [(3, 2), (3, 9), (1, 9), (1, 2)]),
        (line("bbox 1 2 3 9; textangle -90"), [(3, 2), (3, 9), (1, 9), (1, 2)]),
    ],
)
def test_outlines(tmp_path: Path, page: str, points: list[tuple[float, float]]) -> None:
    write(tmp_path / "1.html", page)
    (entry,), account = read(tmp_path, "hocr")
    (region,) = entry.regions or []
    assert (region.text, region.points) == ("a", points) and not account.dropped


@pytest.mark.parametrize(
    ("inner", "texts"),
    [
        # A block with lines is none itself, neither closed nor unclosed; text outside of words counts.
        ("<div class=ocr_caption title='bbox 0 0 9 9'><span class=ocr_line title='bbox 0 0 9 9'>a</span></div>"
         "<span class=ocr_line title='bbox 0 0 9 9'>b</span>", ["a", "b"]),
        ("<span class=ocr_line title='bbox 0 0 9 9'>a<span class=ocr_line title='bbox 0 0 9 9'>b", ["a", "b"]),
        ("<p><p><span class=ocr_line title='bbox 0 0 9 9'>a<br>b\n  c　d <b>e</b>f</span></i>", ["a b c　d ef"]),
        ("<span class=ocr_line title='bbox 0 0 9 9'>a <i class=ocrx_word>b</i>.</span>", ["a b."]),
        ("<span class=ocr_line title='bbox 0 0 9 9'>schif&shy;</span>", ["schif-"]),
        ("<span class=ocr_line title='bbox 0 0 9 9'> </span>", [None]),  # found, and not transcribed
    ],
)  # fmt: skip
def test_unclosed_elements_and_spaces(tmp_path: Path, inner: str, texts: list[str | None]) -> None:
    write(tmp_path / "1.html", f"<div class=ocr_page title='image 1.png'>{inner}</div>")
    (entry,), account = read(tmp_path, "hocr")
    assert [region.text for region in entry.regions or []] == texts
    assert not account.dropped


def test_pages_have_images_of_their_own(tmp_path: Path) -> None:
    one = "<div class=ocr_page title='image \"{}\"'><span class=ocr_line title='bbox 0 0 9 9'>{}</span></div>"
    names = ["/scans/a.png", "C:\\scans\\b.png", "unknown", "b.png"]
    write(tmp_path / "book.hocr", "".join(one.format(name, i) for i, name in enumerate(names)))
    picture(tmp_path / "book.png")  # not of several pages
    picture(tmp_path / "images" / "b.png", 9, 9)
    entries, account = read(tmp_path)
    assert [(entry.name, [r.text for r in entry.regions or []]) for entry in entries] == [
        ("a.png", ["0"]), ("images/b.png", ["1"]), ("book_3.jpg", ["2"]),
    ]  # fmt: skip
    (kind,) = account.dropped
    assert kind.startswith("page after the first of an image file")


def test_faults_are_counted_with_their_place(tmp_path: Path) -> None:
    inner = "\n".join(
        [
            "text",
            "<span class=ocr_line title='bbox 1 2 3'>a</span>",
            "<span class=ocr_line title='bbox 1 2 3 x'>a</span>",
            "<span class=ocr_line>a</span>",
            "<span class=ocrx_word title='bbox 1 2 3 9'>a</span>",
            "<span class=ocr_line title='bbox 1 2 3 9'>a</span>",
        ]
    )
    write(tmp_path / "1.html", f"<div class=ocr_page title='image 1.png'>{inner}</div>")
    write(tmp_path / "index.html", "<p>no pages</p>")
    (entry,), account = read(tmp_path, "hocr")
    assert len(entry.regions or []) == 1
    bad = account.dropped["annotation that cannot be read"]
    assert [place.rpartition("1.html:")[2] for place in bad.places] == [
        "2: ocr_line expected 4 numbers of bbox, got 3",
        "3: ocr_line expected a number, got 'x'",
        "4: ocr_line has no bbox",
    ]
    assert account.dropped["word that is in no line; read it with level=word"].count == 1
    assert account.dropped["text that is in no line or word"].count == 1
    (entry,), account = read(tmp_path, "hocr", level="word")
    assert [(r.text, r.ignored) for r in entry.regions or []] == [("a", False), ("a", True)]
    assert account.changed["ocr_line that is not divided further, marked to be ignored"].count == 1


def test_entities_of_a_document_type_are_not_expanded() -> None:
    bomb = '<!DOCTYPE html [<!ENTITY b "xx"><!ENTITY c "&b;&b;"><!ENTITY d SYSTEM "file:///etc/passwd">]>'
    (page,) = pages_in(bomb + line("bbox 1 2 3 9", "&c;&d;")).pages
    assert page.parts[0].text() == "&c;&d;"
    assert len(pages_in(line("bbox 1 2 3 9", "<b>" * 50_000)).pages) == 1


@real
def test_real_sample() -> None:
    (entry,), account = read(sample("hocr"))
    regions = entry.regions or []
    assert len(regions) == 37 and entry.size == (2488, 3507) and not account.dropped
    assert regions[22].text == "dipped suddenly down, so suddenly Alice had not a moment to think"
    assert regions[22].points == [(454, 1907), (2073, 1907), (2073, 1962), (454, 1962)]
