"""What is written in a format is read back from it: own entries and the real samples."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from format_reading import picture, read, real, recognized, sample

from ocrexp.data.formats.entries import Account, Entry, Region
from ocrexp.data.formats.registry import FORMATS
from ocrexp.data.formats.shapes import bounds, box
from ocrexp.data.formats.writer import WriteOptions
from ocrexp.data.formats.writing import PartWriters
from ocrexp.data.lmdb_file import databases

QUAD = [(20.5, 10.0), (80.0, 12.0), (80.0, 30.0), (20.5, 28.0)]
CURVE = [(10.0, 40.0), (50.0, 35.0), (90.0, 40.0), (90.0, 60.0), (50.0, 55.0), (10.0, 60.0)]


def written(entries: list[Entry], name: str, out: Path) -> Account:
    writer = FORMATS[name].writer
    assert writer is not None
    account = Account()
    out.mkdir()
    PartWriters(writer, out, out, ["train"], WriteOptions(), account).write(
        iter(("train", entry) for entry in entries), lambda _: None
    )
    databases.close()
    return account


def pages(tmp_path: Path) -> Iterator[Entry]:
    """A page with all kinds of regions, and one without any."""
    regions = [
        Region(box(10, 70, 60, 90), 'a "quoted" <text> & é 字'),
        Region(QUAD, "two words"),
        Region(CURVE, "curved"),
        Region(box(100, 10, 150, 30), None, ignored=True),
        Region(box(100, 40, 150, 60), None),
    ]
    for number, of_page in enumerate([regions, []]):
        image = picture(tmp_path / "pages" / f"p {number}.png")
        yield Entry(f"p {number}.png", image, of_page, source=f"labels:{number}")


DET = [name for name, found in FORMATS.items() if found.writer and "det" in found.writer.kinds]
REC = [name for name, found in FORMATS.items() if found.writer and "rec" in found.writer.kinds]
EXACT = ("paddleocr", "ppocrlabel", "via", "labelme", "label_studio", "coco", "mmocr", "shards")


@pytest.mark.parametrize("name", DET)
def test_pages(tmp_path: Path, name: str) -> None:
    account = written(list(pages(tmp_path)), name, tmp_path / "out")
    assert recognized(tmp_path / "out") == name
    entries, lost = read(tmp_path / "out", name)
    assert not lost.dropped, list(lost.lines())
    (page, empty), (before, _) = entries, list(pages(tmp_path))
    assert empty.regions == [] and page.image is not None
    assert isinstance(page.image, bytes) or page.image.is_file()
    assert page.regions is not None and before.regions is not None
    found, asked = page.regions, before.regions
    needs_text = {"paddleocr", "ppocrlabel", "labelme"}
    texts = [*[region.text for region in asked[:4]], "text" if name in needs_text else "" if name == "shards" else None]
    if name in EXACT:
        assert [region.points for region in found] == [[pytest.approx(p) for p in region.points] for region in asked]
        assert [(region.text, region.ignored) for region in found] == list(
            zip(texts, [region.ignored for region in asked], strict=True)
        )
        assert not [kind for kind in account.changed if not kind.startswith("region without a text")]
        return
    changed = {kind.partition(",")[0]: value.count for kind, value in account.changed.items()}
    if name == "doctr":
        assert len(found[2].points) == 4
        assert changed == {
            "region of other than 4 points": 1, "text of a region": 3, "region marked to ignore": 1,
        }  # fmt: skip
    else:
        assert [[value for p in r.points for value in p] for r in found] == [
            pytest.approx([value for p in box(*bounds(r.points)) for value in p], abs=1e-3) for r in asked
        ]
        assert changed["region that is not an upright rectangle"] == 2
    if name == "labelimg_voc":
        again, _ = read(tmp_path / "out", name, text_key="name")
        assert [region.text for region in again[0].regions or []][:3] == texts[:3]
        assert [region.ignored for region in again[0].regions or []] == [False, False, False, True, False]


@pytest.mark.parametrize("name", REC)
def test_words(tmp_path: Path, name: str) -> None:
    texts = ['a "b", c', "Straße 字", "مرحبا", "x"]
    words = [
        Entry(f"{i}/w.png", picture(tmp_path / f"{i}" / "w.png", 8, 20), None, text, source=f"list:{i}")
        for i, text in enumerate(texts)
    ]
    words.append(replace(words[0], text=None))
    account = written(words, name, tmp_path / "out")
    assert account.dropped["image without a text"].count == 1
    assert recognized(tmp_path / "out") == name
    entries, lost = read(tmp_path / "out", name)
    assert [entry.text for entry in entries] == texts and not lost.dropped
    assert all(entry.image is not None for entry in entries)
    from ocrexp.data.formats.writer import content

    assert [content(entry) for entry in entries] == [content(word) for word in words[:4]]


@real
@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("ppocrlabel/kie", "ppocrlabel"), ("ppocrlabel/difficult", "ppocrlabel"), ("labelimg_voc", "labelimg_voc"),
        ("via/via_project.json", "via"), ("labelme", "labelme"), ("label_studio", "label_studio"),
        ("coco_instances", "coco"), ("mmocr1x/textdet_test.json", "mmocr"), ("doctr/det_multiclass", "doctr"),
        ("doctr/rec", "doctr"), ("lmdb/imgs.lmdb", "lmdb"),
    ],
)  # fmt: skip
def test_real_samples(tmp_path: Path, folder: str, name: str) -> None:
    before, _ = read(sample(folder), name)
    for number, entry in enumerate(before):
        if entry.image is None:
            entry.image = picture(tmp_path / f"{number}.png", 8, 8)
            entry.size = entry.size or (1000, 1000)
    account = written(before, name, tmp_path / "out")
    assert not account.changed and not account.dropped, list(account.lines())
    after, _ = read(tmp_path / "out", name)
    assert len(after) == len(before)
    for one, other in zip(before, after, strict=True):
        assert one.text == other.text
        for region, same in zip(one.regions or [], other.regions or [], strict=True):
            assert same.points == [pytest.approx(point, abs=1e-3) for point in region.points]
            assert (same.text, same.ignored, same.language) == (region.text, region.ignored, region.language)
            assert same.extra == region.extra


def test_shards_are_the_same_for_any_number_of_workers(tmp_path: Path) -> None:
    words = [Entry(f"{i}.png", picture(tmp_path / f"{i}.png", 8, 20 + i), None, f"w{i}", source="s") for i in range(20)]
    damaged = tmp_path / "empty.png"
    damaged.touch()
    words[5] = replace(words[5], image=damaged)
    words[11] = replace(words[11], image=(tmp_path / "11.png").read_bytes())  # as crops are
    words[13] = replace(words[13], image=tmp_path / "none.png")
    words[14] = replace(words[14], image=None)
    contents = []
    for workers in (1, 3):
        out = tmp_path / f"out{workers}"
        out.mkdir()
        writer, account = FORMATS["shards"].writer, Account()
        assert writer is not None
        options = WriteOptions(shard_bytes=4000, workers=workers)
        parts = PartWriters(writer, out, out, ["train"], options, account)
        parts.write(iter(("train", word) for word in words), lambda _: None)
        assert parts.written["train"].as_json() == {"images": 17, "regions": 0, "ignored": 0, "texts": 17}
        assert account.dropped["image that cannot be read"].count == 2
        assert account.dropped["image that does not exist"].count == 1
        contents.append({path.name: path.read_bytes() for path in sorted(out.iterdir())})
    assert contents[0] == contents[1]
    assert len(contents[0]) > 3
    entries, lost = read(tmp_path / "out3", "shards")
    assert [entry.text for entry in entries] == [f"w{i}" for i in range(20) if i not in (5, 13, 14)]
    assert not lost.dropped
