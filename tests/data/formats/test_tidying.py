"""What is done to the entries of every format, and what writers count that they do not hold."""

# ruff: noqa: E501  # contents of files

import json
from pathlib import Path
from typing import Any

import cv2
import pytest
from format_reading import picture, read, write
from PIL import Image

from ocrexp.data.format_lists import DetFormat
from ocrexp.data.formats.entries import Account, Entry, ReadOptions, Region
from ocrexp.data.formats.folder import Folder
from ocrexp.data.formats.registry import FORMATS
from ocrexp.data.formats.selection import Filters, Origin, read_all
from ocrexp.data.formats.shapes import box
from ocrexp.data.formats.writer import WriteOptions
from ocrexp.data.formats.writing import PartWriters

OTHER_SIZE = "image of another size than its label states, to which the coordinates were scaled"
OTHER_SHAPE = "image whose label states a size of another shape; check whether its regions fit"


def entries_of(folder: Path, name: str, **options: Any) -> tuple[list[Entry], Account]:
    """As convert reads them."""
    account = Account()
    origin = Origin(Folder(folder), FORMATS[name], None)
    return list(read_all([origin], ReadOptions(**options), Filters(), account)), account


def coco(folder: Path, width: int, height: int) -> None:
    label = {
        "id": 1,
        "image_id": 0,
        "bbox": [20, 40, 100, 40],
        "segmentation": [[20, 40, 120, 40, 120, 80, 20, 80, 20, 40]],
    }
    image = {"id": 0, "file_name": "1.png", "width": width, "height": height}
    write(folder / "a.json", json.dumps({"images": [image], "annotations": [label], "categories": []}))


def test_coordinates_of_a_larger_copy_are_scaled_to_the_file(tmp_path: Path) -> None:
    picture(tmp_path / "1.png")
    coco(tmp_path, 400, 201)  # a pixel of rounding
    (entry,), account = entries_of(tmp_path, "coco")
    ((region),) = entry.regions or []
    assert region.points == [pytest.approx(p, abs=0.3) for p in box(10, 20, 60, 40)]  # without the repeated first point
    assert entry.size == (200, 100)
    assert account.changed[OTHER_SIZE].places == [f"{tmp_path}/a.json: image 0: 400 × 201, file 200 × 100"]
    line = DetFormat(tmp_path, "coco", val_split=0.5, train_labels="a.json").read(tmp_path / "a.json").line(0)
    assert line.polygons[0].tolist() == [pytest.approx(p, abs=0.3) for p in box(10, 20, 60, 40)]


def test_a_size_of_another_shape_is_counted_and_changes_nothing(tmp_path: Path) -> None:
    picture(tmp_path / "1.png")
    coco(tmp_path, 100, 200)
    (entry,), account = entries_of(tmp_path, "coco")
    assert [region.points for region in entry.regions or []] == [box(20, 40, 120, 80)]
    assert account.changed[OTHER_SHAPE].count == 1 and OTHER_SIZE not in account.changed


def test_the_size_of_an_image_with_a_rotation_is_that_which_is_displayed(tmp_path: Path) -> None:
    image = Image.new("RGB", (100, 200))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "1.png", exif=exif, format="JPEG")
    coco(tmp_path, 200, 100)
    (entry,), account = entries_of(tmp_path, "coco")
    assert entry.size == (200, 100) and not set(account.changed) & {OTHER_SIZE, OTHER_SHAPE}


PAGE = (
    '<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15"><Page imageFilename="1.png" imageWidth='
    '"200" imageHeight="100"><TextRegion id="r"><Coords points="0,0 99,0 99,99 0,99 0,0"/>{}<TextEquiv><Unicode>all</Unicode>'
    "</TextEquiv></TextRegion></Page></PcGts>"
)
LINE = '<TextLine id="l"><Coords points="10,20 60,20 60,40 10,40"/>{}<TextEquiv><Unicode>a b</Unicode></TextEquiv></TextLine>'
WORD = '<Word id="w"><Coords points="10,20 30,20 30,40 10,40"/><TextEquiv><Unicode>a</Unicode></TextEquiv></Word>'


@pytest.mark.parametrize(
    ("content", "level", "expected"),
    [
        (LINE.format(WORD), "word", [("a", False)]),
        (LINE.format(""), "word", [("a b", True)]),
        (LINE.format(""), "line", [("a b", False)]),
        ("", "line", [("all", True)]),
    ],
)
def test_what_is_not_divided_at_a_level_is_ignored(tmp_path: Path, content: str, level: str, expected: Any) -> None:
    write(tmp_path / "1.xml", PAGE.format(content))
    (entry,), account = read(tmp_path, "page_xml", level=level)
    assert [(region.text, region.ignored) for region in entry.regions or []] == expected
    assert sum(count.count for count in account.changed.values()) == sum(ignored for _, ignored in expected)


def test_entities_without_words_are_ignored_at_the_level_of_words(tmp_path: Path) -> None:
    form = [
        {"id": 0, "text": "a b", "box": [10, 20, 60, 40], "words": []},
        {"id": 1, "text": "c", "box": [70, 20, 90, 40], "words": [{"text": "c", "box": [70, 20, 90, 40]}]},
    ]
    write(tmp_path / "1.json", json.dumps({"form": form}))
    (entry,), account = read(tmp_path, "funsd")
    assert [(region.text, region.ignored) for region in entry.regions or []] == [("a b", True), ("c", False)]
    assert account.changed["entity without words, marked to be ignored"].count == 1


def alto(line: str) -> str:
    return (
        "<alto><Description><MeasurementUnit>pixel</MeasurementUnit></Description><Layout><Page WIDTH='200' HEIGHT='100'>"
        f"<PrintSpace>{line}</PrintSpace></Page></Layout></alto>"
    )


def string(text: str, left: int = 10) -> str:
    return f"<String HPOS='{left}' VPOS='20' WIDTH='20' HEIGHT='20' CONTENT='{text}' SUBS_CONTENT='x'/>"


@pytest.mark.parametrize(
    ("inner", "text"),
    [
        (string("a") + string("b", 40), "a b"),
        (string("中") + string("文", 20) + "<SP/>" + string("(a)", 40), "中文 (a)"),
        (string("Dampf") + "<SP/>" + string("schif", 40) + "<HYP CONTENT='&#173;'/>", "Dampf schif-"),
        (string("schif", 40) + "<HYP CONTENT='='/>", "schif="),
    ],
)
def test_alto_has_spaces_hyphens_and_lines_without_a_box(tmp_path: Path, inner: str, text: str) -> None:
    write(tmp_path / "1.xml", alto(f"<TextLine>{inner}</TextLine>"))
    (entry,), account = read(tmp_path, "alto")
    assert [region.text for region in entry.regions or []] == [text]
    right = 60 if "40" in inner else 30
    assert (entry.regions or [])[0].points == box(40 if text == "schif=" else 10, 20, right, 40)
    assert not account.dropped


@pytest.mark.parametrize("name", ["labels/1.png.json", "1.png.json"])
def test_a_label_may_have_the_name_of_the_image_with_its_suffix(tmp_path: Path, name: str) -> None:
    image = picture(tmp_path / "1.png")
    shape = {"label": "a", "points": [[10, 20], [60, 20], [60, 40]], "shape_type": "polygon"}
    write(tmp_path / name, json.dumps({"shapes": [shape], "imagePath": "elsewhere.png"}))
    (entry,), _ = read(tmp_path, "labelme")
    assert entry.image == image


def written(folder: Path, name: str, *regions: Region) -> list[str]:
    """What a writer counts as lost or changed."""
    writer, account = FORMATS[name].writer, Account()
    assert writer is not None
    folder.mkdir()
    entry = Entry("1.png", picture(folder.parent / "1.png"), list(regions), source="here")
    PartWriters(writer, folder, folder, ["train"], WriteOptions(), account).write(
        iter([("train", entry)]), lambda _: None
    )
    return [kind for kind in account.changed if "attributes" in kind or "class" in kind]


@pytest.mark.parametrize("name", ["coco", "labelme", "label_studio", "labelimg_voc", "labelimg_yolo", "doctr", "mmocr"])
def test_attributes_that_a_format_does_not_hold_are_counted(tmp_path: Path, name: str) -> None:
    own = Region(box(10, 20, 60, 40), None, extra={"class": "plate", "color": "red", "id": 4})
    (lost,) = written(tmp_path / "a", name, own)
    kept = "" if name == "mmocr" else "plate"
    assert lost.startswith(f"other attributes of a region ({'class, ' if not kept else ''}color, id)")
    labeled = Region(box(10, 20, 60, 40), None, extra={"labels": ["plate"]})
    assert written(tmp_path / "b", name, labeled) == ([] if kept else [lost.replace("class, color, id", "labels")])
    files = [path.read_text() for path in (tmp_path / "b").rglob("*") if path.suffix in (".json", ".xml", ".txt")]
    assert any(kept in content for content in files)
    twice = Region(box(10, 20, 60, 40), None, extra={"labels": ["plate", "red"]})
    assert len(written(tmp_path / "c", name, twice)) == (0 if name == "label_studio" else 1)


def test_a_text_whose_place_a_class_takes_is_counted(tmp_path: Path) -> None:
    region = Region(box(10, 20, 60, 40), "AB 1", extra={"class": "plate"})
    assert written(tmp_path / "a", "labelimg_voc", region) == [
        "text of a region that has a class, in whose place the class is"
    ]
    assert "<name>plate</name>" in (tmp_path / "a" / "1.xml").read_text()
    assert cv2.imread(str(tmp_path / "a" / "1.png")) is not None


def test_of_images_with_one_name_the_one_below_the_same_folder_is_taken(tmp_path: Path) -> None:
    for folder in "ab":
        picture(tmp_path / "images" / folder / "img" / "1.png")
        shape = {"label": folder, "points": [[10, 20], [60, 20], [60, 40]], "shape_type": "polygon"}
        write(tmp_path / "labels" / folder / "1.json", json.dumps({"shapes": [shape], "imagePath": "1.png"}))
    entries, account = entries_of(tmp_path, "labelme")
    assert [entry.name for entry in entries] == ["images/a/img/1.png", "images/b/img/1.png"]
    assert not account.changed and not account.dropped


def test_an_image_that_two_labels_are_about_is_counted(tmp_path: Path) -> None:
    picture(tmp_path / "a" / "1.png")
    images = [
        {"id": number, "file_name": f"{folder}/1.png"} for number, folder in enumerate("ab")
    ]  # b/1.png is missing
    values = [{"id": number, "image_id": number, "bbox": [10, 20, 50, 20]} for number in (0, 1)]
    write(tmp_path / "a.json", json.dumps({"images": images, "annotations": values, "categories": []}))
    entries, account = entries_of(tmp_path, "coco")
    assert len(entries) == 2
    (place,) = account.changed["image that a label before it is about too"].places
    assert place == f"{tmp_path}/a.json: image 1: {tmp_path}/a/1.png"
