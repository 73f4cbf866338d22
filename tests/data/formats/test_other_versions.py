"""Files as other versions and settings of the programs write them than those that the other tests read."""

# ruff: noqa: E501  # contents of files

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from format_reading import picture, read, recognized, write

from ocrexp.data.formats.addresses import base_name, is_elsewhere
from ocrexp.data.formats.folder import Folder

BOX = [(10.0, 20.0), (60.0, 20.0), (60.0, 40.0), (10.0, 40.0)]
FAR = [(110.0, 20.0), (160.0, 20.0), (160.0, 40.0), (110.0, 40.0)]
PAIRS = [list(point) for point in BOX]


def labels(folder: Path, name: str | None = None, images: tuple[str, ...] = ("1.png",)) -> tuple[list[Any], Any]:
    """Text, ignored and points of each region of the only image, and the account."""
    for image in images:
        picture(folder / image)
    (entry,), account = read(folder, name or recognized(folder))
    assert entry.image == folder / images[0]
    regions = entry.regions or []
    return [(r.text, r.ignored, [pytest.approx(point, abs=1e-6) for point in r.points]) for r in regions], account


def shape(**values: Any) -> dict[str, Any]:
    return {
        "label": "text",
        "points": PAIRS,
        "group_id": None,
        "description": "",
        "shape_type": "polygon",
        "flags": {},
    } | values


def test_labelme_and_x_anylabeling_have_rotated_boxes_classes_and_masks(tmp_path: Path) -> None:
    shapes = [
        shape(shape_type="rotation", description="Hello", direction=0.1, difficult=False, attributes={}),
        shape(shape_type="rectangle", description="Bad", difficult=True),
        shape(shape_type="oriented_rectangle", label="A B"),
        shape(),  # not typed: its label is the class of others
        shape(label="ignore", description="", flags=None),
        shape(label="AI", shape_type="mask", points=[[10, 20], [60, 40]], mask="iVBOR"),
        shape(shape_type="line", points=[[1, 1], [5, 5]]),
    ]
    write(
        tmp_path / "1.json", json.dumps({"version": "2.3.6", "shapes": shapes, "imagePath": "1.png", "imageData": None})
    )
    found, account = labels(tmp_path)
    assert found == [
        ("Hello", False, BOX), ("Bad", True, BOX), ("A B", False, BOX), (None, False, BOX), (None, True, BOX),
        ("AI", False, BOX),
    ]  # fmt: skip
    assert list(account.dropped) == ["shape that encloses nothing (line)"]
    assert list(account.changed) == ["mask, read as its box"]


EIGHT = "10,20,60,20,60,40,10,40"
LINES: list[tuple[str, str, list[Any]]] = [
    ("icdar2015", f"{EIGHT}\r\n110,20,160,20,160,40,110,40\r\n", [(None, False, BOX), (None, False, FAR)]),
    ("icdar2015", f"{EIGHT},\n{EIGHT},### \n", [(None, False, BOX), (None, True, BOX)]),
    ("icdar2017_rctw", f'\ufeff{EIGHT},0,"金氏, "1""\r\n{EIGHT},1,"难"\r\n{EIGHT},0,"###"\r\n',
     [('金氏, "1"', False, BOX), ("难", True, BOX), (None, True, BOX)]),
    ("icdar2013", "10,20,60,40,Hello, you\n10,20,60,40,12\n10,20,60,40,###\n",
     [("Hello, you", False, BOX), ("12", False, BOX), (None, True, BOX)]),
    ("total_text", "10,20,60,20,60,40,35,45,10,40,0,30\n", [(None, False, [*BOX[:3], (35, 45), BOX[3], (0, 30)])]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "expected"), LINES, ids=["no-text", "empty-text", "rctw", "box", "points"])
def test_lines_of_coordinates_with_and_without_a_text(tmp_path: Path, name: str, content: str, expected: Any) -> None:
    write(tmp_path / "gt_1.txt", content)
    assert recognized(tmp_path) == name
    found, account = labels(tmp_path)
    assert found == expected and not account.dropped


def test_detection_lists_of_mmocr_0_have_boxes_of_a_corner_and_the_size(tmp_path: Path) -> None:
    values = [
        {
            "iscrowd": 0,
            "category_id": 1,
            "bbox": [10.0, 20.0, 50.0, 20.0],
            "segmentation": [[10, 20, 60, 20, 60, 40, 10, 40]],
        },
        {"iscrowd": 1, "category_id": 1, "bbox": [110.0, 20.0, 50.0, 20.0], "segmentation": []},
    ]
    write(
        tmp_path / "instances.txt",
        json.dumps({"file_name": "1.png", "height": 100, "width": 200, "annotations": values}),
    )
    assert recognized(tmp_path) == "mmocr"
    assert labels(tmp_path)[0] == [(None, False, BOX), (None, True, FAR)]


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ("1.png Hello World of ours\n2.png two, three\n3.png Total 1,234\n4.png ONE\n",
         ["Hello World of ours", "two, three", "Total 1,234", "ONE"]),
        ("1.png WYNDHAM A,B,WYNDHAM\n2.png HOTEL A,B,HOTEL\n", ["WYNDHAM", "HOTEL"]),
    ],
    ids=["texts-with-spaces", "lexicons"],
)  # fmt: skip
def test_a_text_with_spaces_is_not_taken_for_a_word_and_a_lexicon(
    tmp_path: Path, content: str, texts: list[str]
) -> None:
    write(tmp_path / "label.txt", content)
    assert recognized(tmp_path) == "svtp"
    assert [entry.text for entry in read(tmp_path)[0]] == texts


def result(kind: str = "rectanglelabels", **values: Any) -> dict[str, Any]:
    value = {"x": 5, "y": 20, "width": 25, "height": 20, "rotation": 0, kind: ["Text"]} | values
    return {"id": "r", "type": kind, "original_width": 200, "original_height": 100, "value": value}


@pytest.mark.parametrize(
    ("address", "image"),
    [
        ("https://b.s3.amazonaws.com/x/my%20img.png?X-Amz-Signature=ab%2Fc&Expires=9.55", "my img.png"),
        ("s3://bucket/dir/a #1.png", "a #1.png"),
        ("/data/local-files/?d=dir%5Cc+d.png", "dir/c+d.png"),
        ("/data/local-files/?d=dir/c%20d.png", "dir/c d.png"),
        ("/data/upload/7/0123abcd-1.png", "1.png"),
        ("file:///C:/scans/p%23 100%.png", "p# 100%.png"),
    ],
)
def test_label_studio_finds_images_by_any_address(tmp_path: Path, address: str, image: str) -> None:
    text = {"id": "r", "type": "textarea", "value": {"text": ["a b"]}}
    task = {"id": 1, "data": {"image": address}, "annotations": [{"result": [result(), text]}]}
    write(tmp_path / "export.json", json.dumps([task | {"from_name": "l"}]))
    assert labels(tmp_path, images=(image,))[0] == [("a b", False, BOX)]


@pytest.mark.parametrize(
    "named", ["https://host.org/d/%C3%A9.png", "C:\\Users\\x\\\u00e9.png", "e\u0301.png", "\u00c9.PNG"]
)
def test_other_formats_find_images_by_any_name(tmp_path: Path, named: str) -> None:
    region = {
        "shape_attributes": {"name": "rect", "x": 10, "y": 20, "width": 50, "height": 20},
        "region_attributes": {"text": "a"},
    }
    write(tmp_path / "via.json", json.dumps({"x": {"filename": named, "size": -1, "regions": [region]}}))
    assert labels(tmp_path, images=("\u00e9.png",))[0] == [("a", False, BOX)]


def test_names_of_images_in_any_form() -> None:
    assert base_name("s3://b/d/a%20b.png?v=1.2") == "a b.png" and base_name("a%20b.png") == "a b.png"
    assert is_elsewhere("D:\\a.png") and is_elsewhere("/a.png") and is_elsewhere("gs://b/a.png")
    assert not is_elsewhere("d/a.png") and not is_elsewhere("a:b.png")


def test_of_names_that_differ_by_case_the_exact_one_is_found(tmp_path: Path) -> None:
    for name in ("d/A.png", "d/a.png", unicodedata.normalize("NFD", "d/\u00fc.png")):
        picture(tmp_path / name)
    folder = Folder(tmp_path)
    assert folder.image("A.png") == tmp_path / "d/A.png" and folder.image("a.png") == tmp_path / "d/a.png"
    assert folder.image_of("a") == tmp_path / "d/a.png" and folder.image_of("\u00fc") is not None
    assert not folder.ambiguous and folder.unlabeled() == []


def test_label_studio_min_has_names_that_users_chose(tmp_path: Path) -> None:
    box = result()["value"] | {"original_width": 200, "original_height": 100}
    task = {"image": "/data/upload/1/0123abcd-1.png", "id": 1, "rect": [box, box], "words": ["a b", "c"], "annotator": 1,
            "annotation_id": 3, "created_at": "2024", "updated_at": "2024", "lead_time": 2.0}  # fmt: skip
    write(tmp_path / "min.json", json.dumps([task]))
    assert recognized(tmp_path) == "label_studio"
    assert labels(tmp_path)[0] == [("a b", False, BOX), ("c", False, BOX)]
    write(tmp_path / "min.json", json.dumps([task | {"rect": [box], "words": "a b"}]))
    assert labels(tmp_path)[0] == [("a b", False, BOX)]


def test_label_studio_counts_what_is_not_an_outline(tmp_path: Path) -> None:
    results = [result(rectanglelabels=["Don't care"]), result("brushlabels") | {"id": "q", "value": {"format": "rle", "rle": [1]}},
               result("keypointlabels") | {"id": "k", "value": {"x": 1, "y": 1, "width": 0.2}}]  # fmt: skip
    task = {"id": 1, "data": {"image": "1.png"}, "annotations": [{"result": results}], "from_name": ""}
    write(tmp_path / "export.json", json.dumps([task]))
    found, account = labels(tmp_path)
    assert found == [(None, True, BOX)]
    assert account.dropped["result without an outline"].count == 2


def cvat(*shapes: str) -> str:
    return f'<annotations><version>1.1</version><image id="0" name="1.png" width="200" height="100">{"".join(shapes)}</image></annotations>'


def box(label: str, **attributes: str) -> str:
    inner = "".join(f'<attribute name="{name}">{value}</attribute>' for name, value in attributes.items())
    return f'<box label="{label}" xtl="10" ytl="20" xbr="60" ybr="40">{inner}</box>'


def test_cvat_has_names_in_any_case_and_labels_to_ignore(tmp_path: Path) -> None:
    mask = '<mask label="t" rle="3, 2" left="10" top="20" width="50" height="20"><attribute name="Transcription">M</attribute></mask>'
    write(
        tmp_path / "a.xml",
        cvat(box("t", Transcription="A", color="red"), box("ignored"), box("t", Ignore="True"), mask),
    )
    found, account = labels(tmp_path)
    assert found == [("A", False, BOX), (None, True, BOX), (None, True, BOX), ("M", False, BOX)]
    assert list(account.changed) == ["mask, read as its box"] and not account.dropped


@pytest.mark.parametrize("name", ["cvat", "via", "coco"])
def test_texts_under_an_unusual_name_are_counted(tmp_path: Path, name: str) -> None:
    attributes = {"文本": "A", "color": "red"}
    shape_ = {"name": "rect", "x": 10, "y": 20, "width": 50, "height": 20}
    write(*{
        "cvat": (tmp_path / "a.xml", cvat(box("t", **attributes))),
        "via": (tmp_path / "a.json", json.dumps({"1": {"filename": "1.png", "regions": [
            {"shape_attributes": shape_, "region_attributes": attributes}]}})),
        "coco": (tmp_path / "a.json", json.dumps({"images": [{"id": 0, "file_name": "1.png"}], "categories": [], "annotations": [
            {"id": 1, "image_id": 0, "bbox": [10, 20, 50, 20], "attributes": attributes | {"occluded": False}}]})),
    }[name])  # fmt: skip
    assert recognized(tmp_path) == name
    found, account = labels(tmp_path)
    assert found == [(None, False, BOX)]
    ((what, count),) = account.changed.items()
    assert "text_key=" in what and count.places[0].endswith("文本, color")


def test_coco_has_more_marks_than_iscrowd(tmp_path: Path) -> None:
    annotations = [
        {"id": i, "image_id": 0, "category_id": 1, "bbox": [10, 20, 50, 20], "iscrowd": 0} | values
        for i, values in enumerate(
            (
                {"ignore": 1},
                {"attributes": {"Illegible": True}},
                {"category_id": 2},
                {"attributes": {"Text": "a", "ignore": False}},
            )
        )
    ]
    categories = [{"id": 1, "name": "word"}, {"id": 2, "name": "do_not_care"}]
    write(
        tmp_path / "a.json",
        json.dumps({"images": [{"id": 0, "file_name": "1.png"}], "annotations": annotations, "categories": categories}),
    )
    assert labels(tmp_path)[0] == [(None, True, BOX), (None, True, BOX), (None, True, BOX), ("a", False, BOX)]


def test_frames_of_cvat_have_the_class_of_their_track(tmp_path: Path) -> None:
    write(tmp_path / "a.xml", "<annotations><meta/><track id='0' label='plate'><box frame='0' outside='0' xtl='10' ytl='20' "
          "xbr='60' ybr='40'><attribute name='text'>AB</attribute></box></track></annotations>")  # fmt: skip
    picture(tmp_path / "frame_000000.png")
    (entry,), _ = read(tmp_path, "cvat")
    assert [(region.text, region.extra) for region in entry.regions or []] == [("AB", {"class": "plate"})]


@pytest.mark.parametrize(
    "names",
    [("classes.txt", "text\nignore\n"), ("obj.names", "text\nignore\n"), ("data.yaml", "names:\n  1: ignore\n")],
)
def test_yolo_has_classes_to_ignore(tmp_path: Path, names: tuple[str, str]) -> None:
    write(tmp_path / "labels/1.txt", "0 0.05 0.2 0.3 0.2 0.3 0.4 0.05 0.4\n1 0.675 0.3 0.25 0.2 0.98\n")
    write(tmp_path / names[0], names[1])
    assert recognized(tmp_path) == "labelimg_yolo"
    assert labels(tmp_path)[0] == [(None, False, BOX), (None, True, FAR)]


def test_boxes_whose_corners_are_the_other_two_are_put_in_order(tmp_path: Path) -> None:
    sides = "<xmin>60</xmin><ymin>40</ymin><xmax>10</xmax><ymax>20</ymax>"
    write(
        tmp_path / "1.xml",
        f"<annotation><filename>C:\\x\\1.png</filename><object><name>t</name><bndbox>{sides}</bndbox></object></annotation>",
    )
    assert labels(tmp_path, "labelimg_voc")[0] == [(None, False, BOX)]


def test_names_and_texts_of_crops_without_quotes(tmp_path: Path) -> None:
    write(tmp_path / "gt.txt", "word_1.png, Genaxis, Theatre\nword_2.png, [06]\n")
    assert recognized(tmp_path) == "icdar_words"
    assert [entry.text for entry in read(tmp_path)[0]] == ["Genaxis, Theatre", "[06]"]


def test_lines_of_json_have_their_keys_in_any_order(tmp_path: Path) -> None:
    write(tmp_path / "metadata.jsonl", '{"text": "a b", "file_name": "1.png"}\n{"file_name": "2.png", "text": "c"}\n')
    assert recognized(tmp_path) == "mmocr"
    assert [entry.text for entry in read(tmp_path)[0]] == ["a b", "c"]


def test_a_space_behind_each_comma_is_not_of_the_text(tmp_path: Path) -> None:
    write(
        tmp_path / "gt_1.txt",
        '10, 20, 60, 20, 60, 40, 10, 40, Hello you\n10, 20, 60, 20, 60, 40, 10, 40,  x\n10,20,60,20,60,40,10,40, y\n10,20,60,20,60,40,10,40,"###"\n',
    )
    assert [found[:2] for found in labels(tmp_path)[0]] == [
        ("Hello you", False),
        (" x", False),
        (" y", False),
        (None, True),
    ]


def test_images_of_a_database_without_a_label_are_counted(tmp_path: Path) -> None:
    lmdb = pytest.importorskip("lmdb", reason="lmdb is not installed: pip install 'ocrexp[formats]'")
    image = picture(tmp_path / "1.png").read_bytes()
    with lmdb.open(str(tmp_path / "data"), map_size=1 << 20) as database, database.begin(write=True) as transaction:
        transaction.put(b"num-samples", b"4")
        for number in (1, 2, 3, 4):
            transaction.put(b"image-%09d" % number, image)
        for number in (2, 4):
            transaction.put(b"label-%09d" % number, b"a")
    entries, account = read(tmp_path / "data")
    assert [entry.text for entry in entries] == ["a", "a"]
    assert account.dropped["image without a label"].places == [f"{tmp_path}/data:image-00000000{n}" for n in (1, 3)]


LONG = "A" * 200_000


def test_shapes_of_labelme_may_be_behind_the_data_of_the_image(tmp_path: Path) -> None:
    value = {
        "version": "3.16.7",
        "shapes": [{"label": "a b", "points": PAIRS}],
        "imagePath": "1.png",
        "imageData": LONG,
    }
    write(tmp_path / "1.json", json.dumps(dict(sorted(value.items()))))
    assert recognized(tmp_path) == "labelme"
    assert labels(tmp_path)[0] == [("a b", False, BOX)]


@pytest.mark.parametrize("name", ["via", "label_studio"])
def test_many_images_without_labels_may_come_first(tmp_path: Path, name: str) -> None:
    text = {"id": "r", "type": "textarea", "value": {"text": ["a"]}}
    region = {
        "shape_attributes": {"name": "rect", "x": 10, "y": 20, "width": 50, "height": 20},
        "region_attributes": {"text": "a"},
    }
    count = 3000
    if name == "via":
        images = {
            str(i): {
                "filename": f"{i}.png",
                "size": 1,
                "regions": [region] if i > count / 3 else [],
                "file_attributes": {},
            }
            for i in range(count)
        }
        write(tmp_path / "a.json", json.dumps(images))
    else:
        write(tmp_path / "a.json", json.dumps([{"id": i, "data": {"image": f"/data/upload/1/{i}.png"}, "annotations": [
            {"result": [result(), text] if i > count / 3 else []}]} for i in range(count)]))  # fmt: skip
    assert recognized(tmp_path) == name
    entries, _ = read(tmp_path)
    assert len(entries) == count and [region.text for region in entries[-1].regions or []] == ["a"]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_exports_of_via_may_have_been_saved_by_a_spreadsheet(tmp_path: Path, separator: str) -> None:
    columns = [
        "filename",
        "file_size",
        "file_attributes",
        "region_count",
        "region_id",
        "region_shape_attributes",
        "region_attributes",
    ]
    row = [
        "1.png",
        "1",
        '"{}"',
        "1",
        "0",
        '"{""name"":""rect"",""x"":10,""y"":20,""width"":50,""height"":20}"',
        '"{""text"":""a;b,c""}"',
    ]
    write(tmp_path / "via.csv", "\ufeff" + separator.join(columns) + "\r\n" + separator.join(row) + "\r\n")
    assert recognized(tmp_path) == "via"
    assert labels(tmp_path)[0] == [("a;b,c", False, BOX)]
