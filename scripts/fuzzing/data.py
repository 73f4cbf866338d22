"""Label lists, dictionaries and LMDB folders."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import numpy as np

from fuzzing.changes import JSON_TEXTS, STRANGE, Raw, as_json, changed_bytes, changed_tree
from fuzzing.target import Input, Target, check_lines

_LABEL_WORDS = (
    b"\t", b"\t\t", b"\r\n", b"\r", b"\0", b"\xef\xbb\xbf", b"\xff\xfe", b"\xc3", b"\xe2\x80\xa8", b"[]", b"{}", b'"',
    b"\\", b"[[", b"NaN", b"1e999",
    b"###", b",", b"a.png", b" ", b"\xc2\xa0", b"\xe2\x80\x8b", b"\xf0\x9f\x98\x80", b"\xed\xa0\x80", b"null", b"-",
)  # fmt: skip
_STRANGE_POINTS = (
    [[0, 0], [10, 10], [10, 0], [0, 10]], [[5, 5]] * 4, [[5, 5]] * 300, [[0, 0], [1, 0], [2, 0], [3, 0]], [[-50, -50],
    [-10, -50], [-10, -10]],
    [[1e6, 1e6], [-1e6, 1e6], [-1e6, -1e6], [1e6, -1e6]], [[i % 97, i * i % 61] for i in range(400)], [[0.1, 0.2],
    [1e-30, 3], [4, 1e-40]],
    [[float(i), float(i % 2) * 50] for i in range(60)], [["1", "2"], ["30", "2"], ["30", "20"]], [[True, False], [5,
    6], [9, 1]],
)  # fmt: skip


class Lmdb(Target):
    """LMDB folders as a data set of recognition."""

    name = "lmdb"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        import cv2

        image = cv2.imencode(".png", np.full((16, 40, 3), 200, np.uint8))[1].tobytes()
        noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
        large = cv2.imencode(".png", noise)[1].tobytes()  # on pages of its own
        entries = {b"num-samples": b"60"}
        for number in range(1, 61):
            entries[b"label-%09d" % number] = b"word %d" % number
            entries[b"image-%09d" % number] = large if number % 20 == 0 else image
        self.entries = entries
        self.seed = self._database(entries)

    def example(self, rng: Random) -> Input:
        content = self.seed
        if rng.random() < 0.3:
            entries = dict(self.entries)
            for _ in range(rng.choice((1, 2, 5))):
                key = rng.choice((b"num-samples", b"num-samples", *entries))
                entries[key] = rng.choice(
                    (
                        b"",
                        b"0",
                        b"-1",
                        b"60",
                        b"1e9",
                        b"9" * 18,
                        b"9" * 5000,
                        b"\xff\xfe",
                        b"a\0b",
                        b"x" * 3000,
                        b" 7 ",
                        b"5\n",
                    )
                )
            entries[rng.choice((b"label-0", b"label-", b"label-99999999999999999999", b"zz", b"image-1"))] = b"x"
            content = self._database(entries)
        if rng.random() < 0.8:
            # Whole pages matter more than bytes of pictures: most changes go to the first bytes of a page.
            data = bytearray(content)
            for _ in range(rng.choice((0, 1, 2, 4))):
                at = rng.randrange(len(data) // 4096) * 4096 + rng.choice((rng.randrange(32), rng.randrange(160)))
                data[at] = rng.choice((0, 1, 2, 4, 0x7F, 0xFF, data[at] ^ 1 << rng.randrange(8)))
            content = bytes(data)
            if rng.random() < 0.4:
                content = changed_bytes(rng, content)
        return Input("data.mdb", content)

    def _database(self, entries: dict[bytes, bytes]) -> bytes:
        import lmdb

        place = self.folder / "made"
        place.mkdir(exist_ok=True)
        for file in place.iterdir():
            file.unlink()
        environment = lmdb.open(str(place), map_size=1 << 24, sync=False)
        with environment.begin(write=True) as transaction:
            for key, value in entries.items():
                transaction.put(key, value)
        environment.close()
        return (place / "data.mdb").read_bytes()

    def run(self, given: Input) -> None:
        from ocrexp.data import lmdb_file
        from ocrexp.data.image_size import read_size
        from ocrexp.data.images import EncodedImage
        from ocrexp.data.lmdb import RecLmdb
        from ocrexp.types import UnusableSample

        path = self.write(given)
        try:
            source = RecLmdb(self.folder, ".", ".")
            records = [*source.val_records(), *source.train_records()]
            check_lines(source.report())
            for record in records[::9]:
                read_size(record.image_path)
                try:
                    EncodedImage(record.image_path).decode()
                except UnusableSample as error:
                    check_lines([str(error)])
        finally:
            lmdb_file.databases.close()
            path.unlink()


class Labels(Target):
    """Lines of label lists, changed as trees and as text."""

    name = "labels"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        import cv2

        cv2.imwrite(str(folder / "a.png"), np.full((64, 96, 3), 200, np.uint8))
        regions = [
            {"transcription": "word", "points": [[4, 4], [60, 4], [60, 30], [4, 30]]},
            {"transcription": "###", "points": [[4, 34], [60, 34], [90, 50], [60, 60], [4, 60]], "difficult": True},
        ]
        self.det = [regions, [], regions[:1]]
        self.seeds = {
            "det": ("a.png\t" + json.dumps(regions) + "\na.png\t4,4,60,4,60,30,4,30,word\na.png\t[]\n").encode(),
            "rec": 'a.png\tword\na.png\tübergröße 中文\n["a.png", "a.png"]\tתיבה\n'.encode(),
            "cls": b"a.png\t0\na.png\t180\n",
        }

    def example(self, rng: Random) -> Input:
        task = rng.choice(("det", "det", "rec", "cls"))
        if task == "det":
            tree = changed_tree(rng, rng.choice(self.det), [*STRANGE, *_STRANGE_POINTS, *map(Raw, JSON_TEXTS)])
            line = rng.choice((b"a.png", b'["a.png"]', b"", b"x" * 300)) + b"\t" + as_json(tree)
        else:
            name = rng.choice(
                ("a.png", '["a.png"]', "[", "a\0.png", "x" * 5000, "..", "/dev/zero", "C:\\a.png", "a.png ")
            )
            text = rng.choice(
                ("", " ", "word", "\u202e\u200b", "\ufeffa", "a\tb", "a\rb", "\0", "x" * 100_000, "é" * 10,
                "e\u0301", "\x1b[31m", "\U0001f600" * 50,
                 "0", "180", "1" * 5000, "nan", "\u0644\u0645 (a)", "\u2028x\x85", "\ud800")
            )  # fmt: skip
            line = f"{name}\t{text}".encode("utf-8", "surrogatepass")
        if rng.random() < 0.4:
            line = changed_bytes(rng, line, _LABEL_WORDS)
        return Input(f"{task}.txt", self.seeds[task] + line + rng.choice((b"", b"\n", b"\r\n", b"\n\n\r")))

    def run(self, given: Input) -> None:
        from ocrexp.charset.sources import from_labels
        from ocrexp.data.cls_lists import ClsLists
        from ocrexp.data.dataset import EvalPipeline, TrainPipeline
        from ocrexp.data.label_check import check_labels, check_val_labels
        from ocrexp.data.lists import DetLists
        from ocrexp.data.rec_lists import RecLists
        from ocrexp.data.targets.db import DBTargets
        from ocrexp.metrics.det import DetMetric
        from ocrexp.results import DetPrediction, DetReference

        task = given.name.partition(".")[0]
        path = self.write(given)
        kinds = {"det": DetLists, "rec": RecLists, "cls": ClsLists}
        source = kinds[task](self.folder, path.name, path.name)
        train, val = source.train_records(), source.val_records()
        check_lines([*source.report(), *map(str, source.problems())])
        if task == "det":
            pipeline = TrainPipeline(train, [DBTargets()], 0)
            metric = DetMetric()
            for index, record in enumerate(train[:6]):
                pipeline.sample(index, 0)
                reference = DetReference(list(record.polygons), np.array(record.ignored, bool))
                metric.update([DetPrediction(list(record.polygons), [1.0] * len(record.polygons))], [reference])
            metric.compute()
        else:
            charset = from_labels(text for record in train for text in record.texts)
            check_lines(check_labels(train, charset, ["ctc"], 25))
            check_lines(check_val_labels(val, charset))
            for record in train[:6]:
                charset.decode(charset.encode(record.texts[0]))
        for index in range(min(len(val), 6)):
            EvalPipeline(val, []).sample(index)


class Lists(Labels):
    """Whole label lists, changed as bytes."""

    name = "lists"

    def example(self, rng: Random) -> Input:
        task = rng.choice(("det", "rec", "cls"))
        content = self.seeds[task]
        if rng.random() < 0.3:
            content = content.decode().encode(rng.choice(("utf-16", "utf-16-le", "utf-8-sig", "utf-32", "utf-7")))
        return Input(f"{task}.txt", changed_bytes(rng, content, _LABEL_WORDS, list(self.seeds.values())))


class Dictionaries(Target):
    """Dictionaries as training, `predict` and PaddleOCR's calls read them."""

    name = "dictionaries"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.seeds = [
            b"a\nb\nc\n \n", "\n".join("0123456789abcdefghijklmnopqrstuvwxyz").encode(), "א\nב\nג\n(\n)\n".encode(),
            "e\u0301\né\ne\n\u0301\nक्ष\n中\n".encode(), b"a 0\r\nb 1\r\nc 2\r\n", b"abcdefgh\n",
        ]  # fmt: skip

    def example(self, rng: Random) -> Input:
        content = rng.choice(self.seeds)
        if rng.random() < 0.3:
            content = content.decode().encode(rng.choice(("utf-16", "utf-16-le", "utf-8-sig", "utf-32", "utf-7")))
        return Input(rng.choice(("dict.txt", "arabic_dict.txt")), changed_bytes(rng, content, _LABEL_WORDS, self.seeds))

    def run(self, given: Input) -> None:
        from ocrexp.charset.saved import from_saved
        from ocrexp.charset.sources import from_dictionary
        from ocrexp.deploy.characters import read_dictionary
        from ocrexp.errors import OcrexpError

        path = self.write(given)
        refused: OcrexpError | None = None
        try:
            read_dictionary(path)
        except OcrexpError as error:
            refused = error
        for space in (False, True):
            charset = from_dictionary(str(path), space, "drop")
            positions = charset.encode("abc (é) אב\u200f1 क्षि 中" * 3)
            charset.decode(positions)
            charset.class_counts()
            again = from_saved(json.loads(json.dumps(charset.saved())), "saved")
            if again != charset:
                raise ValueError("a saved charset is not the same")
        if refused is not None:
            raise refused
