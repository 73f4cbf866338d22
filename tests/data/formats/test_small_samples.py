"""Small files in the form of each format: what one has to know of it, in one image."""

# ruff: noqa: E501  # contents of files

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from format_reading import picture, read, recognized, write

BOX = [(10, 20), (60, 20), (60, 40), (10, 40)]
FLAT = [10, 20, 60, 20, 60, 40, 10, 40]
PAIRS = [[10, 20], [60, 20], [60, 40], [10, 40]]
CURVE = ",".join(f"{x},{y}" for x, y in [*((10 + i, 20) for i in range(7)), *((16 - i, 30) for i in range(7))])
Q = "{x1:10,y1:20,x3:60,y3:40,x2:60,y2:20,x4:10,y4:40}".replace("{", '{"').replace(":", '":').replace(",", ',"')

# Format, file, content, expected (text, ignored) of the regions.
PAGES: list[tuple[str, str, str, list[tuple[str | None, bool]]]] = [
    ("icdar2019_art", "train_labels.json", json.dumps({"gt_1": [
        {"transcription": "a", "points": PAIRS, "language": "Latin", "illegibility": False},
        {"transcription": "###", "points": PAIRS, "language": "Latin", "illegibility": False}]}),
     [("a", False), (None, True)]),
    ("icdar2019_lsvt", "train_full_labels.json", json.dumps({"gt_1": [
        {"transcription": "一站", "points": PAIRS, "illegibility": False},
        {"transcription": "x", "points": PAIRS, "illegibility": True}]}), [("一站", False), ("x", True)]),
    ("rects", "gt/1.json", json.dumps({"chars": [{"ignore": 0, "transcription": "味", "points": FLAT}], "lines": [
        {"ignore": 0, "transcription": "味道", "points": FLAT}, {"ignore": 1, "transcription": "###", "points": FLAT}]}),
     [("味道", False), (None, True)]),
    ("msra_td500", "1.gt", "0 0 10 20 50 20 0.0\r\n1 1 10 20 50 20 0.0\r\n", [(None, False), (None, True)]),
    ("hust_tr400", "1.gt", "0 0 10 20 50 20 0.0 Two words\n", [("Two words", False)]),
    ("ctw1500", "1.txt", f"{CURVE},####E-3\n{CURVE},#######\n", [("E-3", False), (None, True)]),
    ("ctw1500", "1.xml", f'<Annotations><image file="1.png"><box height="9" left="1" top="2" width="3"><label>A &amp; B'
     f"</label><segs>{CURVE}</segs></box></image></Annotations>", [("A & B", False)]),
    ("total_text", "poly_gt_1.txt", "x: [[ 10  60 60\n 10]], y: [[20 20 40 40]], ornt: [u'c'], transcriptions: "
     "[u\"Joe's\"]\nx: [[10 60 60 10]], y: [[20 20 40 40]], ornt: [u'#'], transcriptions: [u'#']\n",
     [("Joe's", False), (None, True)]),
    ("svt", "test.xml", "<tagset><image><imageName>1.png</imageName><taggedRectangles><taggedRectangle height='20' "
     "width='50' x='10' y='20'><tag>MOTIF</tag></taggedRectangle></taggedRectangles></image></tagset>",
     [("MOTIF", False)]),
    ("sroie", "X51005200931.txt", '10,20,60,20,60,40,10,40,A "B", 1,234.50\r\n\r\n', [('A "B", 1,234.50', False)]),
    ("funsd", "annotations/1.json", json.dumps({"form": [{"id": 0, "text": "a b", "box": [10, 20, 60, 40], "label":
        "other", "linking": [], "words": [{"text": "a", "box": [10, 20, 60, 40]}, {"text": "", "box": [1, 2, 3, 4]}]}]}),
     [("a", False)]),
    ("xfund", "zh.train.json", json.dumps({"lang": "zh", "documents": [{"id": "x", "img": {"fname": "1.png"}, "document":
        [{"box": [10, 20, 60, 40], "text": "汇丰", "label": "other", "words": [], "id": 3}]}]}), [("汇丰", False)]),
    ("cord", "train/json/1.json", f'{{"valid_line": [{{"category": "menu", "words": [{{"quad": {Q}, "row_id": 1, "text": '
     f'"I"}}]}}], "dontcare": [{Q}], "meta": {{"image_size": {{"width": 200, "height": 100}}}}}}',
     [("I", False), (None, True)]),
    ("ppocrlabel", "Label.txt", "p/1.png\t" + json.dumps([
        {"transcription": "x", "points": PAIRS, "difficult": True},
        {"transcription": "待识别", "points": PAIRS, "difficult": False}]) + "\n", [("x", True), (None, False)]),
    ("labelimg_voc", "1.xml", "\n<annotation><filename>1.png</filename><object><name>plate</name><difficult>1</difficult>"
     "<bndbox><xmin>10</xmin><ymin>20</ymin><xmax>60</xmax><ymax>40</ymax></bndbox></object></annotation>",
     [(None, True)]),
    ("icdar2017_mlt", "gt_1.txt", "10,20.0,60,20,60,40,10,40,1, a, b\n", [("a, b", False)]),  # of E2E-MLT
    ("labelimg_yolo", "labels/1.txt", "0 0.175 0.3 0.25 0.2\n", [(None, False)]),
    ("createml", "_annotations.createml.json", json.dumps([{"image": "1.png", "annotations": [
        {"label": "x", "coordinates": {"x": 35, "y": 30, "width": 50, "height": 20}}]}]), [(None, False)]),
    ("via", "via.json", json.dumps({"1.png-1": {"filename": "1.png", "size": -1, "regions": {"0": {"shape_attributes":
        {"name": "rect", "x": 10, "y": 20, "width": 50, "height": 20}, "region_attributes": {"text": "a"}}}}}),
     [("a", False)]),
    ("via", "via.csv", "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attri"
     'butes\n1.png,1,"{}",1,0,"{""name"":""rect"",""x"":10,""y"":20,""width"":50,""height"":20}","{""Info"":""a""}"\n',
     [("a", False)]),
    ("labelme", "1.json", json.dumps({"shapes": [{"label": "a", "points": [[60, 40], [10, 20]], "shape_type": "rectangle",
        "flags": {"difficult": True}}], "imagePath": "..\\x\\1.png"}), [("a", True)]),
    ("cvat", "annotations.xml", '<annotations><image id="0" name="1.png" width="200" height="100"><box label="t" xtl="10"'
     ' ytl="20" xbr="60" ybr="40" rotation="360"><attribute name="plate number">QA 1</attribute></box></image>'
     "</annotations>", [("QA 1", False)]),
    ("label_studio", "export.json", json.dumps([{"id": 1, "data": {"ocr": "/data/upload/7/0123abcd-1.png"}, "annotations":
        [{"was_cancelled": True, "result": []}, {"result": [
            {"id": "r", "type": "rectangle", "original_width": 200, "original_height": 100, "value":
             {"x": 5, "y": 20, "width": 25, "height": 20, "rotation": 0}},
            {"id": "r", "type": "textarea", "value": {"text": ["a b"]}}]}]}]), [("a b", False)]),
    ("label_studio", "min.json", json.dumps([{"ocr": "images/1.png", "id": 1, "annotation_id": 2, "transcription": "a",
        "poly": [{"points": [[5, 20], [30, 20], [30, 40], [5, 40]], "original_width": 200, "original_height": 100}]}]),
     [("a", False)]),
    ("coco", "instances.json", json.dumps({"images": [{"id": 9, "file_name": "1.png"}], "annotations": [
        {"image_id": 9, "category_id": 1, "bbox": [10, 20, 50, 20], "segmentation": [], "iscrowd": 1},
        {"image_id": 9, "category_id": 1, "bbox": [0, 0, 1, 1], "segmentation": [FLAT], "attributes": {"text": "a"}}]}),
     [(None, True), ("a", False)]),
    ("page_xml", "1.xml", '<PcGts xmlns="http://x/2013-07-15"><Page imageFilename="1.png"><TextRegion><TextLine id="l">'
     '<Coords points="10,20 60,20 60,40 10,40"/><Word><TextEquiv><Unicode>no</Unicode></TextEquiv></Word><TextEquiv>'
     "<Unicode>a line</Unicode></TextEquiv></TextLine></TextRegion></Page></PcGts>", [("a line", False)]),
    ("alto", "1.xml", '<alto xmlns="http://x/v4#"><Description><MeasurementUnit>pixel</MeasurementUnit></Description>'
     '<Layout><Page WIDTH="200" HEIGHT="100"><TextLine HPOS="10" VPOS="20" WIDTH="50" HEIGHT="20"><String CONTENT="a"/>'
     '<SP/><String CONTENT="b"/></TextLine></Page></Layout></alto>', [("a b", False)]),
    ("hocr", "1.html", "<div class=ocr_page title='image \"1.png\"; bbox 0 0 200 100'><span class=ocr_line title='bbox 10 20 60 "
     "40'>A &amp; B</span></div>", [("A & B", False)]),
    ("tesseract_box", "1.box", "a 10 60 30 80 0\n  30 60 40 80 0\nb 40 60 60 80 0\n\t 60 60 64 80 0\n", [("a b", False)]),
    ("tesseract_tsv", "1.tsv", "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext\n"
     "5\t1\t1\t1\t1\t1\t10\t20\t50\t20\t96.5\ta\n", [("a", False)]),
    ("doctr", "labels.json", json.dumps({"1.png": {"img_dimensions": [100, 200], "img_hash": "x", "polygons": [
        [[60, 40], [10, 20], [10, 40], [60, 20]]]}}), [(None, False)]),
    ("mmocr", "textdet_train.json", json.dumps({"metainfo": {"task_name": "textdet"}, "data_list": [
        {"img_path": "1.png", "instances": [{"polygon": FLAT, "ignore": True}, {"bbox": [10, 20, 60, 40]}]}]}),
     [(None, True), (None, False)]),
]  # fmt: skip

STEMS = {"icdar2019_art": "gt_1", "icdar2019_lsvt": "gt_1", "sroie": "X51005200931"}


@pytest.mark.parametrize(("name", "file", "content", "texts"), PAGES, ids=[f"{p[0]}-{p[1]}" for p in PAGES])
def test_page(tmp_path: Path, name: str, file: str, content: str, texts: list[Any]) -> None:
    image = picture(tmp_path / "images" / f"{STEMS.get(name, '1')}.png")
    write(tmp_path / file, content)
    assert recognized(tmp_path) == name
    (entry,), account = read(tmp_path)
    assert [(region.text, region.ignored) for region in entry.regions or []] == texts
    assert entry.image == image
    if name != "ctw1500":
        first = (entry.regions or [])[0].points
        assert first == [pytest.approx(point, abs=1e-6) for point in BOX]
    else:
        assert len((entry.regions or [])[0].points) == 14
    lost = [kind for kind in account.dropped if kind not in ("word with an empty text", "canceled annotation")]
    assert not lost


def test_boxes_relative_to_an_image_that_is_not_found_are_counted(tmp_path: Path) -> None:
    for name, content in (("1", "0 0.1 0.3 0.2 0.2\n"), ("2", "")):
        write(tmp_path / "labels" / f"{name}.txt", content)
    entries, account = read(tmp_path, "labelimg_yolo")
    assert [entry.name for entry in entries] == ["2.jpg"]
    assert account.dropped["image that is not found, without whose size its boxes cannot be read"].count == 1


WORDS: list[tuple[str, str, str, str, str]] = [
    ("mjsynth", "annotation_train.txt", "./2425/1/116_ClothesHorse_15765.jpg 15765\n", "ClothesHorse", "train"),
    ("cute80", "label.txt", "timage/002.jpg 7 1 7\n", "7", ""),
    ("svtp", "gt.txt", "13_15_0_par.jpg WYNDHAM lex1,lex2\n", "WYNDHAM", ""),
    ("easyocr", "labels.csv", 'filename,words\n5.jpg,a,"b"\n', 'a,"b"', ""),
    ("kraken", "a.b.gt.txt", "ex~ Sĩ\n", "ex~ Sĩ", ""),
    ("mmocr", "train.jsonl", '{"filename": "1.jpg", "text": "GRAND"}\n', "GRAND", "train"),
    ("doctr", "labels.json", '{"w/1.png": "a \\"b\\""}', 'a "b"', ""),
]


@pytest.mark.parametrize(("name", "file", "content", "text", "split"), WORDS, ids=[word[0] for word in WORDS])
def test_word(tmp_path: Path, name: str, file: str, content: str, text: str, split: str) -> None:
    write(tmp_path / file, content)
    assert recognized(tmp_path) == name
    (entry,), _ = read(tmp_path)
    assert (entry.text, entry.split, entry.regions) == (text, split, None)


def test_matlab_files(tmp_path: Path) -> None:
    io = pytest.importorskip("scipy.io", reason="scipy is not installed: pip install 'ocrexp[formats]'")

    def cells(*values: Any) -> Any:
        result = np.empty((1, len(values)), object)
        result[0] = values
        return result

    one = np.array([[10, 60, 60, 10], [20, 20, 40, 40]], np.float32)  # a single word: 2 x 4
    two = np.stack([one, one + 1], axis=2)
    (tmp_path / "s").mkdir()
    values = {
        "imnames": cells("8/a.jpg", "8/b.jpg", "8/c.jpg"),
        "wordBB": cells(one, two, two),
        "txt": cells("one", "two\n words ", "x"),
    }
    io.savemat(tmp_path / "s" / "gt.mat", values)
    assert recognized(tmp_path / "s") == "synthtext"
    entries, account = read(tmp_path / "s")
    assert [[r.text for r in entry.regions or []] for entry in entries] == [["one"], ["two", "words"]]
    assert (entries[0].regions or [])[0].points == BOX
    assert (
        account.dropped["image whose words cannot be read"]
        .places[0]
        .endswith("image 3: expected a box for each of the 1 words, got 2")
    )
    rows = np.array([("train/1_2.png", "You", np.ones((3, 4)))], [("ImgName", "O"), ("chars", "O"), ("charBB", "O")])
    (tmp_path / "i").mkdir()
    io.savemat(tmp_path / "i" / "trainCharBound.mat", {"trainCharBound": rows})
    assert recognized(tmp_path / "i") == "iiit5k"
    (entry,), _ = read(tmp_path / "i")
    assert (entry.name, entry.text, entry.split) == ("train/1_2.png", "You", "train")
    (tmp_path / "t").mkdir()
    row = cells("x:", np.array([[10], [60], [60], [10]]), "y:", np.array([[20, 20, 40, 40]]), "naughty", "h")
    io.savemat(tmp_path / "t" / "poly_gt_img3.mat", {"gt": row})
    (entry,), _ = read(tmp_path / "t")
    assert [(r.text, r.points) for r in entry.regions or []] == [("naughty", BOX)] and entry.name == "img3.jpg"


def test_images_without_labels_are_ignored_regions(tmp_path: Path) -> None:
    images = [picture(tmp_path / name) for name in ("a 1.png", "train/ü.png")]
    write(tmp_path / "broken.jpg", "no image")
    entries, account = read(tmp_path, "unlabeled")
    assert [(entry.name, entry.split) for entry in entries] == [("a 1.png", ""), ("train/ü.png", "train")]
    assert [entry.image for entry in entries] == images
    for entry in entries:
        (region,) = entry.regions or []
        width, height = entry.known_size()
        assert (region.text, region.ignored) == (None, True)
        assert region.points == [(0, 0), (width, 0), (width, height), (0, height)]
    assert account.dropped["image cannot be read"].places == [str(tmp_path / "broken.jpg")]
