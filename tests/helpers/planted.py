"""Small data sets for checks: clean ones, and the same with faults whose places are known."""

import json
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from ocrexp.charset.sources import from_characters
from ocrexp.data.checking.lengths import TextLimits
from ocrexp.data.checking.plan import DataPlan
from ocrexp.data.checking.regions import RegionLimits

WORDS = [
    "RECEIPT", "Total", "amount", "Cash", "Change", "invoice", "Market", "street", "No. 27", "12.50", "Thanks", "Visa",
    "bottle", "Coffee", "sugar", "BREAD", "tomato", "Lemon", "orange", "Paper", "window", "garden", "Number", "yellow",
]  # fmt: skip


def draw(text, seed, height=32):
    rng = np.random.default_rng(seed)
    image = np.full((height, 16 * len(text) + 20, 3), int(rng.integers(190, 240)), np.uint8)
    cv2.putText(image, text, (6 + int(rng.integers(0, 4)), 24), cv2.FONT_HERSHEY_SIMPLEX, 0.75, (20, 20, 20), 2)
    return cv2.subtract(image, rng.integers(0, 18, image.shape, dtype=np.uint8))


def page(seed, side=320):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(120, 250, (8, 8, 3), dtype=np.uint8)
    return cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)


def quad(x, y, w=120, h=30):
    return [[x, y], [x + w, y], [x + w, y + h], [x, y + h]]


def region(text="word", points=None):
    return {"transcription": text, "points": points or quad(20, 20)}


def write_png(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())


def with_exif(jpeg, orientation):
    tiff = b"MM\0*\0\0\0\x08\0\x01" + b"\x01\x12\0\x03\0\0\0\x01" + bytes([0, orientation, 0, 0]) + b"\0\0\0\0"
    body = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + jpeg[2:]


def jpeg_of(image, quality=95):
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


class Lists:
    """Lines of lists, and the faults that were planted: (kind, list, line)."""

    def __init__(self, root):
        self.root, self.lines, self.planted = Path(root), {}, []

    def add(self, name, line, *kinds):
        rows = self.lines.setdefault(name, [])
        rows.append(line if isinstance(line, bytes) else line.encode())
        self.planted += [(kind, name, len(rows)) for kind in kinds]

    def write(self):
        for name, rows in self.lines.items():
            (self.root / name).write_bytes(b"".join(row + b"\n" for row in rows))


def clean_rec(root):
    """24 training and 6 validation words."""
    lists = Lists(root)
    for i, word in enumerate(WORDS):
        write_png(lists.root / f"train/{word.replace(' ', '')}.png", draw(word, i))
        lists.add("train_list.txt", f"train/{word.replace(' ', '')}.png\t{word}")
    for i, word in enumerate(WORDS[:6]):
        write_png(lists.root / f"val/{word}.png", draw(word.upper() + "s", 100 + i))
        lists.add("val_list.txt", f"val/{word}.png\t{word.upper()}s")
    return lists


def faulty_rec(root):
    """The clean set with further lines that are wrong."""
    lists = clean_rec(root)
    seeds = iter(range(1000, 2000))

    def image(name, text="fault", **options):
        write_png(lists.root / name, draw(text, next(seeds), **options))
        return name

    def line(text, *kinds, name="train_list.txt"):
        file = f"faults/{len(lists.planted):02d}x.png"
        shown = text.encode("ascii", "ignore").decode() + "abcdefghij"[len(lists.planted) % 10]
        lists.add(name, f"{image(file, shown)}\t{text}", *kinds)

    lists.lines["train_list.txt"].insert(0, b"filename\twords")
    lists.planted.append(("line-header", "train_list.txt", 1))
    lists.add("train_list.txt", f"{image('a1.png', 'comma')},comma", "line-delimiter")
    lists.add("train_list.txt", f"{image('a2.png', 'spaces')}   spaces", "line-delimiter")
    lists.add("train_list.txt", "\tnothing", "line-no-path")
    lists.add("train_list.txt", f"{image('a3.png', 'nul')}\tn\0ul", "line-nul")
    lists.add("train_list.txt", f"{image('a4.png', 'third')}\tthird\t0.98", "line-columns")
    lists.add("train_list.txt", f"{image('a5.png', 'tabs')}\ttabs\t", "line-tabs")
    first, second = image("joined/a6.png", "one and others"), image("joined/a7.png", "two")
    lists.add("train_list.txt", f"{first}\tone{second}\ttwo", "line-joined")
    lists.add("train_list.txt", f"{image('a8.png', 'empty')}\t", "label-empty")
    lists.add("train_list.txt", "train/Total.png\tTotal", "line-duplicate")
    lists.add("train_list.txt", "train/Cash.png\tCredit", "label-conflict")
    lists.add("train_list.txt", "train/gone.png\tgone", "image-missing")
    (lists.root / "b1.png").write_bytes(b"")
    lists.add("train_list.txt", "b1.png\tempty", "image-empty")
    whole = jpeg_of(draw("truncated", 7))
    (lists.root / "b2.jpg").write_bytes(whole[: len(whole) // 2])
    lists.add("train_list.txt", "b2.jpg\ttruncated", "image-truncated")
    (lists.root / "b3.png").write_bytes(b"<html>not found</html>")
    lists.add("train_list.txt", "b3.png\tcorrupt", "image-corrupt")
    write_png(lists.root / "b4.png", draw("tiny", 8)[:3])
    lists.add("train_list.txt", "b4.png\ttiny", "image-too-small")
    write_png(lists.root / "b5.png", np.full((32, 80, 3), 255, np.uint8))
    lists.add("train_list.txt", "b5.png\tblank", "image-near-empty")
    (lists.root / "b6.png").write_bytes((lists.root / "train/Visa.png").read_bytes())
    lists.add("train_list.txt", "b6.png\tVisa", "image-duplicate")
    (lists.root / "b7.png").write_bytes(jpeg_of(draw("suffix", 9)))
    lists.add("train_list.txt", "b7.png\tsuffix", "image-suffix")
    (lists.root / "b8.jpg").write_bytes(with_exif(jpeg_of(draw("turned", 10)), 6))
    lists.add("train_list.txt", "b8.jpg\tturned", "image-exif")
    damaged = bytearray(jpeg_of(draw("damaged picture", 11, height=96)))
    middle = len(damaged) // 2
    damaged[middle : middle + 2] = b"\xff\xd3"  # a marker inside the pixel data
    (lists.root / "b9.jpg").write_bytes(bytes(damaged))
    lists.add("train_list.txt", "b9.jpg\tdamaged", "image-damaged")
    lists.add("train_list.txt", f"{image('c1.png', 'w')}\tWorldwidedelivery", "text-width")
    line("10 €", "text-outside-charset")
    line("Р" + "aris", "text-lookalike", "text-outside-charset")  # a Cyrillic letter
    line("２4.80", "text-full-width", "text-outside-charset")
    line("12−50", "text-dashes", "text-outside-charset")
    lists.add("train_list.txt", f"{image('c2.png', '10-50')}\t10-50")
    line("two\u00a0words", "text-nbsp", "text-outside-charset")
    line("in\u200bvisible", "text-invisible", "text-outside-charset")
    line("cafe\u0301", "text-unnormalized")
    line("ends ", "text-spaces")
    line("two  spaces", "text-double-space")
    line("cafÃ©", "text-garbled", "text-outside-charset")
    line("Q&amp;A", "text-entities")
    line("a text of twenty-seven signs", "text-too-long")
    line("nineteen characters", "text-steps")
    lists.add("val_list.txt", f"{image('val/euro.png', '50 EUR')}\t50 €", "text-unreadable")
    lists.add("val_list.txt", "train/Lemon.png\tLemon", "leak-image")
    (lists.root / "val/copy.png").write_bytes((lists.root / "train/sugar.png").read_bytes())
    lists.add("val_list.txt", "val/copy.png\tsugar", "leak-content")
    (lists.root / "val/again.jpg").write_bytes(jpeg_of(cv2.imread(str(lists.root / "train/garden.png")), 80))
    lists.add("val_list.txt", "val/again.jpg\tgarden", "leak-near")
    for name, encoding, text, kind in (
        ("bom.txt", "utf-8-sig", "bom", "encoding-bom"),
        ("wide.txt", "utf-16", "wide", "encoding-wide"),
        ("gbk.txt", "gb18030", "你好世界有限公司", "encoding-other"),
    ):
        lists.lines[name] = []
        rows = f"{image(f'{name}.png', name)}\t{text}\n".encode(encoding)
        lists.planted.append((kind, name, 1))
        (lists.root / name).write_bytes(rows)
    return lists


def write_lists(lists, others=("bom.txt", "wide.txt", "gbk.txt")):
    """Write the lists, except those that are written already."""
    for name in others:
        lists.lines.pop(name, None)
    lists.write()
    return lists


def clean_det(root):
    """5 training and 2 validation pages with two regions each."""
    lists = Lists(root)
    for split, count in (("train", 5), ("val", 2)):
        for i in range(count):
            name = f"{split}/{i}.png"
            write_png(lists.root / name, page(i + 50 * (split == "val")))
            regions = [region("first", quad(20, 20 + i)), region("###", quad(60, 200))]
            lists.add(f"{split}_list.txt", f"{name}\t{json.dumps(regions)}")
    return lists


def faulty_det(root):
    """The clean set with further pages that are labeled wrong."""
    lists = clean_det(root)
    seeds = iter(range(300, 400))

    def name(suffix=".png"):
        file = f"faults/{next(seeds)}{suffix}"
        write_png(lists.root / file, page(int(Path(file).stem)))
        return file

    def label(regions, *kinds):
        lists.add("train_list.txt", f"{name()}\t{json.dumps(regions)}", *kinds)

    good = json.dumps([region()])
    lists.add("train_list.txt", f"{name()}\t{[region(), region('it', quad(20, 99))]}", "json-quotes")
    lists.add("train_list.txt", f"{name()}\t{good[:-1]},]", "json-commas")
    lists.add("train_list.txt", f"{name()}\t{good}{json.dumps([region('b', quad(20, 90))])}", "json-joined")
    lists.add("train_list.txt", f"{name()}\t{good[:-9]}", "json-broken")
    lists.add("train_list.txt", f"{name()} {good}", "line-delimiter")
    label([{"points": quad(20, 20)}], "region-keys")
    label([region("two", [[20, 20], [50, 20]])], "polygon-few-points")
    label([region(), region("flat", [[20, 150], [60, 150], [90, 150]])], "polygon-no-area")
    label([region("bow", [[20, 20], [140, 50], [140, 20], [20, 50]])], "polygon-crossing")
    label([region("away", quad(400, 20))], "polygon-outside")
    label([region("partly", quad(250, 20, 160))], "polygon-partly-outside")
    label([region("back", quad(20, 20)[::-1])], "polygon-counterclockwise")
    label([region("start", [*quad(20, 20)[1:], quad(20, 20)[0]])], "polygon-start")
    label([region("head", [*quad(20, 20)[2:], *quad(20, 20)[:2]])], "polygon-start")
    label([region("same"), region("same")], "polygon-duplicate")
    label([region("", quad(20, 20)), region("word", quad(20, 90))], "region-no-text")
    label([region("tiny", quad(20, 20, 9, 2))], "polygon-tiny")
    label([region("large", quad(5, 5, 310, 300))], "polygon-enormous")
    label([], "image-no-regions")
    label([region("###")], "image-no-legible")
    turned = f"faults/{next(seeds)}.jpg"
    (lists.root / turned).write_bytes(with_exif(jpeg_of(page(901)[:200]), 6))
    lists.add("train_list.txt", f"{turned}\t{json.dumps([region('wide', quad(210, 20, 100))])}",
              "image-exif", "polygon-unrotated")  # fmt: skip
    return lists


ASCII = "".join(map(chr, range(33, 127)))


def limits(texts, steps=25):
    del texts
    charset = from_characters(ASCII + "é", use_space_char=True)
    return TextLimits(charset, max_text_length=25, width=100, given_steps=steps)


def rec_plan(root, lists=("train_list.txt",), **options):
    parts = {"train": list(lists), "val": ["val_list.txt"]}
    return DataPlan("rec", Path(root), parts, text_limits=partial(limits, steps=18), min_side=4, workers=1, **options)


def det_plan(root, **options):
    parts = {"train": ["train_list.txt"], "val": ["val_list.txt"]}
    region_limits = RegionLimits(lambda height, width: (height, width), 8, 160)
    return DataPlan("det", Path(root), parts, region_limits=region_limits, workers=1, **options)
