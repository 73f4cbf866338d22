"""The real samples of formats: what each folder is recognized as, and the first values that it holds."""

from typing import Any

import pytest
from format_reading import read, real, recognized, sample

# Folder, format, number of images, and of the first image: name, text or texts of its regions, first points.
SAMPLES: list[tuple[str, str, int, str, Any, Any]] = [
    ("icdar2013/det_test", "icdar2013", 2, "img_1.jpg", ["Tiredness", "kills", "A"], [(38, 43), (920, 43)]),
    ("icdar2013/det_train", "icdar2013", 1, "100.jpg", ["Footpath", "To", "Colchester"], [(158, 128), (411, 128)]),
    ("icdar2013/rec", "icdar_words", 3, "word_1.png", "PROPER", None),
    ("icdar2015/det", "icdar2015", 3, "img_1.jpg", ["Genaxis Theatre", "[06]", None], [(377, 117), (463, 117)]),
    ("icdar2015/rec", "icdar_words", 23, "word_1.png", "Genaxis Theatre", None),
    ("icdar2017_mlt/rec", "icdar_words", 2, "word_4.png", "المكرمة", None),
    ("icdar2019_mlt", "icdar2019_mlt", 1, "tr_img_00001.jpg", [None, "Heritage", "متحف"], [(78, 55), (419, 55)]),
    ("icdar2019_art", "icdar2019_art", 2, "gt_5001.jpg", ["nauGHTY", "NURIS", "nauGHTY"], [(115, 322), (503, 346)]),
    ("icdar2019_lsvt", "icdar2019_lsvt", 2, "gt_1234.jpg", ["一站式购物中心"], [(45, 272), (215, 273)]),
    ("rects", "rects", 2, "train_ReCTS_002658.jpg", ["味道"], [(405, 217), (1227, 217)]),
    ("msra_td500/test", "msra_td500", 3, "IMG_0080.jpg", [None, None], [(431.47, 717.42), (702.93, 627.37)]),
    ("msra_td500/hust_tr400", "hust_tr400", 1, "IMG_0001.jpg", ["Wellington Park"], [(405.06, 321.49)]),
    ("ctw1500/train", "ctw1500", 1, "0001.jpg", [None, None], [(56, 506), (89, 506)]),
    ("ctw1500/ctw1500_train_labels", "ctw1500", 1, "0200.jpg", ["OLATHE"], [(131, 58), (208, 49)]),
    ("ctw1500/gt_ctw1500", "ctw1500", 1, "1001.jpg", ["E-313"], [(51, 137), (58, 137)]),
    ("ctw1500/gt_ctw1500_det", "ctw1500", 1, "1001.jpg", [None], [(48, 84), (61, 79)]),
    ("total_text/gt_masktextspotter", "total_text", 1, "img10.jpg", ["THE", "PEAK", "LOOKOUT"], [(254, 160)]),
    ("coco_text", "coco_text", 3, "COCO_train2014_000000217925.jpg", ["New"], [(468.9, 286.7), (493, 287.2)]),
    ("textocr", "textocr", 1, "train/a4ea732cd3d5948a.jpg", ["Sample", None], [(525.8, 3.4), (723.4, 7.3)]),
    ("synthtext", "synthtext", 1, "8/ballet_106_0.jpg", ["Lines:", "I", "lost", "Kevin"], [(420.59, 21.06)]),
    ("mjsynth", "mjsynth", 7, "2425/1/115_Lube_45484.jpg", "Lube", None),
    ("iiit5k", "iiit5k", 10, "train/1009_2.png", "You", None),
    ("svt", "svt", 8, "ryoungt_05.08.2002/aPICT0034.JPG", ["311", "4"], [(196, 901), (307, 901)]),
    ("svtp", "svtp", 3, "13_15_0_par.jpg", "WYNDHAM", None),
    ("cute80", "cute80", 4, "timage/001.jpg", "RONALDO", None),
    ("sroie", "sroie", 1, "000.jpg", ["LIM KEAT SENG"], [(72, 25), (326, 25)]),
    ("funsd", "funsd", 1, "82504862.png", ["COURT:", "Asbestos", "CASE", "FORM"], [(113, 198), (163, 198)]),
    ("xfund", "xfund", 1, "zh_train_0.jpg", ["汇丰晋信"], [(104, 114), (530, 114)]),
    ("cord", "cord", 1, "receipt_00000.png", ["I", "am"], [(256, 374), (270, 374)]),
    ("easyocr", "easyocr", 20, "2.jpg", "Tel", None),
    ("kraken", "kraken", 3, "0006.jpg", "Ud; lib;", None),
    ("ppocrlabel/train_data", "ppocrlabel", 5, "Screenshot - Copy (2).png", ["icon_vscode"], [(4, 5), (33, 5)]),
    ("ppocrlabel/difficult", "ppocrlabel", 1, "10/BCC41-46_1.jpg", ["型号", "动子类型"], [(82, 2), (121, 2)]),
    ("ppocrlabel/kie", "ppocrlabel", 1, "val_1.jpg", ["PT SERTIFIKASI INSTALASI PRIMA"], [(628, 72), (979, 72)]),
    ("ppocrlabel/float", "ppocrlabel", 1, "菇勇者全自動掛機/test.tiff", ["P: 0/ 1"], [(0, 2), (51, 2)]),
    ("labelimg_voc", "labelimg_voc", 2, "Cars0.png", [None], [(226, 125), (419, 125), (419, 173)]),
    ("labelimg_createml", "createml", 3, "bf0aac0878b0a3d2_jpg.rf.43ce523ba85e649db07055557d72cc9e.jpg", [None],
     [(257.5, 236.5), (303.5, 236.5)]),
    ("labelme", "labelme", 2, "img_2.jpg", ["EXIT", "I2R"], [(602, 173), (635, 175)]),
    ("cvat", "cvat", 9, "reverseWaybill-900000000000000002_1.jpg", [None], [(2475.01, 2023.68), (3255.64, 2023.68)]),
    ("label_studio", "label_studio", 2, "/data/upload/7/b579fb66-Screenshot_2024-12-23_141656.png",
     ["Schodule I--Form No. 02:", "Schodule"], [(22.78, 16.26), (241.58, 16.26), (241.58, 39.73)]),
    ("coco_instances", "coco", 2, "test/img_2.jpg", [None, None], [(602, 173), (635, 175)]),
    ("openimages_text", "coco", 1, "validation/0001eeaf4aed83f9.jpg", ["EXIT", None], [(100, 200), (160, 201)]),
    ("page_xml", "page_xml", 2, "170025120000003,0074.jpg", ["$pag:39", None], [(2344, 182), (2428, 195)]),
    ("alto_xml", "alto", 2, "0014.jpg", ["Ꝙesãsͥ", "a9"], [(4, 43), (4, 44)]),
    ("hocr", "hocr", 1, "alice_1.png", ["1 Down the Rabbit-Hole"], [(467, 525), (1386, 525), (1386, 588), (467, 588)]),
    ("tesseract/trainingtimes.box", "tesseract_box", 1, "trainingtimes.tif",
     ["To simple burn running of goods lately."], [(131, 91), (850, 91), (850, 138), (131, 138)]),
    ("doctr/det", "doctr", 1, "sample_img_01.png", [None, None], [(10, 20), (110, 20)]),
    ("doctr/rec", "doctr", 6, "data/recognition/ch4_test_word_images_gt/word_1.png", "JOINT", None),
    ("mmocr1x", "mmocr", 23, "tests/data/kie_toy_dataset/wildreceipt/1.jpeg", ["SAFEWAY", "TM"], [(550, 190)]),
    ("lmdb/imgs.lmdb", "lmdb", 10, "image-000000001", "GRAND", None),
    ("lmdb/label.lmdb", "lmdb", 10, "1223731.jpg", "GRAND", None),
    ("via", "via", 6, "adutta_swan.jpg", [None], [(116, 157), (94, 195)]),
]  # fmt: skip


@real
@pytest.mark.parametrize(("folder", "name", "images", "first", "texts", "points"), SAMPLES, ids=[s[0] for s in SAMPLES])
def test_sample(folder: str, name: str, images: int, first: str, texts: Any, points: Any) -> None:
    path = sample(folder)
    assert recognized(path) == name
    entries, account = read(path, name)
    assert len(entries) == images
    assert entries[0].name == first
    known = ("word with an empty text", "image with a model's labels")
    lost = [kind for kind in account.dropped if not kind.startswith(known)]
    assert not lost, list(account.lines())
    if entries[0].regions is None:
        assert entries[0].text == texts
    else:
        found = entries[0].regions
        assert [region.text for region in found[: len(texts)]] == texts
        assert found[0].points[: len(points)] == [pytest.approx(point, abs=0.01) for point in points]


@real
def test_details_of_real_samples() -> None:
    entries, _ = read(sample("cvat"))
    turned = next(entry for entry in entries if entry.name == "101.jpg").regions or []
    assert (turned[0].text, turned[0].extra) == ("QTA9876B", {"class": "plate"})
    expected = [(1272.6, 667.84), (1634.75, 691.26), (1627.59, 802.0), (1265.44, 778.58)]
    assert turned[0].points == [pytest.approx(point, abs=0.01) for point in expected]
    entries, _ = read(sample("label_studio"), level="line")
    turned = entries[1].regions or []
    expected = [(837.9, 322.14), (1392.96, 276.7), (1400.95, 374.34), (845.89, 419.78)]
    assert turned[0].points == [pytest.approx(point, abs=0.01) for point in expected]
    entries, _ = read(sample("page_xml"), level="word")
    word = next(r for r in entries[1].regions or [] if r.text and r.text.startswith("Monat"))
    assert word.points[0] == (902, 436) and len(word.points) == 4
    entries, _ = read(sample("via/via_project.json"), "via")
    assert [r.text for r in entries[0].regions or []][:4] == ["1", "5", "0", "7"]
    entries, _ = read(sample("ppocrlabel/difficult"))
    assert [r.text for r in entries[0].regions or [] if r.ignored] == [
        "标准动子出线(米）",
        "无指定（无霍尔传感器）H（有霍尔传感器）",
    ]
    entries, account = read(sample("ppocrlabel/train_data"))
    assert [r.text for r in entries[1].regions or []][-1] is None and len(account.changed) == 1
