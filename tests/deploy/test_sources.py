"""Images are found wherever they are named, in a stable order, and every page is one."""

import builtins

import cv2
import numpy as np
import pytest

from ocrexp.deploy.sources import find_sources, read_source
from ocrexp.errors import DataError
from ocrexp.types import UnusableSample


@pytest.fixture
def folder(tmp_path):
    """page2.png, page10.png, sub/deep.jpg, .hidden.png, notes.txt."""
    (tmp_path / "sub").mkdir()
    for name in ("page2.png", "page10.png", "sub/deep.jpg", ".hidden.png"):
        cv2.imwrite(str(tmp_path / name), np.full((20, 30, 3), 90, np.uint8))
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


def names(sources, folder):
    return [source.name.removeprefix(f"{folder}/") for source in sources]


def test_a_folder_gives_its_images_in_natural_order(folder):
    assert names(find_sources(str(folder)), folder) == ["page2.png", "page10.png"]
    assert names(find_sources(str(folder), recursive=True), folder) == ["page2.png", "page10.png", "sub/deep.jpg"]


def test_several_sources_keep_their_order_and_name_an_image_once(folder):
    given = [str(folder / "page10.png"), str(folder / "*.png"), str(folder)]
    assert names(find_sources(given), folder) == ["page10.png", "page2.png"]
    assert names(find_sources(str(folder / "**" / "*.jpg")), folder) == ["sub/deep.jpg"]


def test_paths_on_standard_input_and_one_that_is_gone(folder):
    lines = [f"{folder}/page10.png\n", "\n", f"{folder}/gone.png\n", f"{folder}/sub\n"]
    sources = find_sources("-", stdin=lines)
    assert names(sources, folder) == ["page10.png", "gone.png", "sub/deep.jpg"]
    with pytest.raises(UnusableSample, match="missing"):
        read_source(sources[1])


def test_a_name_with_brackets_is_a_file_before_it_is_a_pattern(folder):
    odd = folder / "scan [1].png"
    cv2.imwrite(str(odd), np.zeros((5, 5, 3), np.uint8))
    assert names(find_sources(str(odd)), folder) == ["scan [1].png"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("nowhere.jpg", "there is no such file or folder"),
        ("*.webp", "nothing matches this pattern"),
        ("sub/empty", "no image or PDF in this folder$"),
        ("outer", "add recursive=true"),
    ],
)
def test_what_names_no_image_is_said_in_one_line(folder, given, message):
    (folder / "sub" / "empty").mkdir()
    (folder / "outer" / "inner").mkdir(parents=True)
    with pytest.raises(DataError, match=message):
        find_sources(str(folder / given))


def test_standard_input_without_a_path():
    with pytest.raises(DataError, match="standard input holds no path"):
        find_sources("-", stdin=["\n"])


def test_each_page_of_a_pdf_is_an_image_at_the_dpi_asked_for(tmp_path):
    pdfium = pytest.importorskip("pypdfium2")
    document = pdfium.PdfDocument.new()
    document.new_page(144, 72)
    document.new_page(72, 144)
    document.save(tmp_path / "book.pdf")
    sources = find_sources(str(tmp_path))
    assert names(sources, tmp_path) == ["book.pdf#1", "book.pdf#2"]
    assert [read_source(source, dpi=100).shape for source in sources] == [(100, 200, 3), (200, 100, 3)]


def test_a_damaged_pdf_is_one_broken_image(tmp_path):
    pytest.importorskip("pypdfium2")
    (tmp_path / "bad.pdf").write_bytes(b"%PDF-1.4 nothing more")
    (source,) = find_sources(str(tmp_path))
    with pytest.raises(UnusableSample, match="PDF cannot be opened"):
        read_source(source)


def test_a_pdf_without_pypdfium2_names_the_extra(tmp_path, monkeypatch):
    (tmp_path / "book.pdf").write_bytes(b"%PDF-1.4")
    real_import = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "pypdfium2":
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DataError, match=r"pip install 'ocrexp\[pdf\]'"):
        find_sources(str(tmp_path))


def test_every_page_of_a_tiff_is_read(tmp_path):
    pages = [np.full((20, 30, 3), colour, np.uint8) for colour in (10, 200)]
    cv2.imwritemulti(str(tmp_path / "fax.tif"), pages)
    cv2.imwrite(str(tmp_path / "one.tif"), pages[1])
    sources = find_sources(str(tmp_path))
    assert names(sources, tmp_path) == ["fax.tif#1", "fax.tif#2", "one.tif"]
    assert [int(read_source(source)[0, 0, 0]) for source in sources] == [10, 200, 200]
