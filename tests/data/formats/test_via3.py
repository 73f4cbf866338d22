"""Projects of VGG Image Annotator 3."""

import json
from pathlib import Path
from typing import Any

import pytest
from format_reading import picture, read, recognized, write

SHAPES: list[tuple[list[float], list[tuple[float, float]]]] = [
    ([2, 10, 20, 50, 20], [(10, 20), (60, 20), (60, 40), (10, 40)]),
    ([7, 10, 20, 60, 25, 30, 40], [(10, 20), (60, 25), (30, 40)]),
    ([6, 10, 20, 60, 25, 30, 40], [(10, 20), (60, 25), (30, 40)]),
    ([8, 60, 30, 20, 20, 10, 25, 40, 40], [(10, 20), (60, 20), (60, 40), (10, 40)]),
    ([3, 50, 30, 10], [(40, 30)]),
    ([4, 50, 30, 20, 10], [(30, 30)]),
    ([9, 60, 30, 50, 20, 50, 40], [(40, 30)]),
]


def project(metadata: dict[str, Any], **files: Any) -> str:
    attributes = {
        "1": {"aname": "text", "anchor_id": "FILE1_Z0_XY1", "type": 1, "options": {}},
        "2": {"aname": "kind", "anchor_id": "FILE1_Z0_XY1", "type": 3, "options": {"0": "stamp", "1": "print"}},
    }
    known = {"1": {"fid": "1", "fname": "1.png", "type": 2, "loc": 1, "src": "1.png"}} | files
    views = {fid: {"fid_list": [fid]} for fid in known} | {"9": {"fid_list": ["1", "1"]}}
    return json.dumps(
        {"project": {"vid_list": list(views)}, "config": {}, "attribute": attributes, "file": known,
         "metadata": metadata, "view": views}
    )  # fmt: skip


def region(xy: list[float], view: str = "1", **values: str) -> dict[str, Any]:
    return {
        "vid": view,
        "flg": 0,
        "z": [],
        "xy": xy,
        "av": {key.removeprefix("a"): text for key, text in values.items()},
    }


@pytest.mark.parametrize(("xy", "first"), SHAPES)
def test_shapes(tmp_path: Path, xy: list[float], first: list[tuple[float, float]]) -> None:
    image = picture(tmp_path / "images" / "1.png")
    write(tmp_path / "project.json", project({"1_a": region(xy, a1="Exit", a2="1")}))
    assert recognized(tmp_path) == "via"
    (entry,), _ = read(tmp_path)
    assert (entry.name, entry.image) == ("1.png", image)
    (found,) = entry.regions or []
    assert found.text == "Exit" and found.extra == {"kind": "1"}
    assert found.points[: len(first)] == [pytest.approx(point) for point in first]


def test_options_stand_for_their_texts(tmp_path: Path) -> None:
    write(tmp_path / "project.json", project({"1_a": region([2, 1, 2, 3, 4], a1="x", a2="1")}))
    (entry,), _ = read(tmp_path, text_key="kind")
    assert [r.text for r in entry.regions or []] == ["print"]


def test_what_is_not_a_region_of_an_image_is_counted(tmp_path: Path) -> None:
    metadata = {
        "1_a": region([2, 10, 20, 50, 20], a1="a"),
        "1_b": region([], a1="the whole"),
        "1_c": region([1, 5, 5], a1="point"),
        "1_d": region([2, 10, 20, 50], a1="three numbers"),
        "1_e": region([9, 1, 1, 2, 2, 3, 3], a1="on a line"),
        "2_f": region([2, 10, 20, 50, 20], "2", a1="of a video"),
    }
    inline = {"fid": "3", "fname": "3.png", "type": 2, "loc": 4, "src": "data:image/png;base64,AAAA"}
    write(tmp_path / "p.json", project(metadata, **{"2": {"fname": "a.mp4", "type": 4, "src": "a.mp4"}, "3": inline}))
    entries, account = read(tmp_path)
    assert [(entry.name, [r.text for r in entry.regions or []]) for entry in entries] == [
        ("1.png", ["a"]),
        ("3.png", []),
    ]
    assert {kind: count.count for kind, count in account.dropped.items()} == {
        "view that is not of one image": 2,
        "annotation of a view that is not of one image": 1,
        "annotation without a shape": 1,
        "annotation that cannot be read": 2,
        "shape that encloses nothing (point)": 1,
    }
    assert "metadata 1_d" in account.dropped["annotation that cannot be read"].places[0]
