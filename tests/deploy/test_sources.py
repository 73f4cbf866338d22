"""Images are found wherever they are named, in a stable order, and every page is one."""

import builtins
import os

import cv2
import numpy as np
import pytest

from ocrexp.data.images import limit_pixels, pixel_limit
from ocrexp.deploy.sources import Skipped, find_sources, read_source
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
        ("nowhere.jpg", "file or folder not found"),
        ("*.webp", "no file matches this pattern"),
        ("sub/empty", "this folder contains no image or PDF$"),
        ("outer", "add recursive=true"),
    ],
)
def test_what_names_no_image_is_said_in_one_line(folder, given, message):
    (folder / "sub" / "empty").mkdir()
    (folder / "outer" / "inner").mkdir(parents=True)
    with pytest.raises(DataError, match=message):
        find_sources(str(folder / given))


def test_standard_input_without_a_path():
    with pytest.raises(DataError, match="standard input contains no path"):
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


def test_files_of_a_folder_are_told_by_suffix_or_first_bytes_and_the_others_counted(tmp_path):
    done, png = cv2.imencode(".png", np.full((20, 30, 3), 90, np.uint8))
    assert done
    for name in ("scan", "b.gif", "c.dib", "d.pnm"):
        (tmp_path / name).write_bytes(png.tobytes())
    for name in ("IMG.HEIC", "notes.txt", "list.txt", "README"):
        (tmp_path / name).write_text("no image")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nothing")
    skipped = Skipped()
    sources = find_sources(str(tmp_path), skipped=skipped)
    assert names(sources, tmp_path) == ["b.gif", "c.dib", "d.pnm", "scan"]
    assert all(read_source(source).shape == (20, 30, 3) for source in sources)
    line = skipped.describe()
    for part in (
        "6 files",
        "2 .txt",
        "1 .heic",
        "1 without suffix",
        "1 pipe or device",
        "1 broken link",
        "convert HEIC",
    ):
        assert part in line
    assert Skipped().describe() == ""


def test_a_folder_without_an_image_says_what_is_in_it(tmp_path):
    (tmp_path / "IMG_1.HEIC").write_text("")
    with pytest.raises(DataError, match=r"this folder contains no image or PDF .*1 \.heic.*convert"):
        find_sources(str(tmp_path))


def test_names_that_no_file_can_have_are_one_line(tmp_path):
    for given in (f"{tmp_path}/{'x' * 300}.png", f"{tmp_path}/a\0b"):
        with pytest.raises(DataError, match=r"cannot be opened|not found"):
            find_sources(given)
    (source,) = find_sources("-", stdin=[f"{tmp_path}/{'x' * 300}.png"])
    with pytest.raises(UnusableSample, match="cannot be read"):
        read_source(source)


def test_pages_of_a_deep_or_huge_tiff(tmp_path):
    level = np.linspace(0, 4095, 200).astype(np.uint16)[None].repeat(20, 0)
    cv2.imwritemulti(str(tmp_path / "deep.tif"), [level, level // 2])
    first, second = (read_source(source) for source in find_sources(str(tmp_path)))
    assert first.max() == second.max() == 255
    before = pixel_limit()
    try:
        limit_pixels(100)
        with pytest.raises(UnusableSample, match="max_pixels to 4000"):
            read_source(find_sources(str(tmp_path))[1])
    finally:
        limit_pixels(before)
