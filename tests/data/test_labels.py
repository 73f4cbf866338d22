"""Label files: both formats, and every fault named with its line and an advice."""

import json

import numpy as np
import pytest

from ocrexp.data.labels import read_label_file
from ocrexp.errors import DataError

SQUARE = [[0, 0], [10, 0], [10, 5], [0, 5]]


def region(text="word", points=SQUARE):
    return {"transcription": text, "points": points}


def write(tmp_path, *lines, encoding="utf-8", end="\n"):
    path = tmp_path / "list.txt"
    path.write_bytes(end.join(lines).encode(encoding))
    return path


def json_line(*regions, name="a.jpg"):
    return f"{name}\t{json.dumps(list(regions))}"


def test_json_lines(tmp_path):
    curved = [[0, 0], [5, 1], [10, 0], [10.5, 5], [5, 6], [0, 5.25]]
    path = write(
        tmp_path, json_line(region("a"), region("###"), region("*"), region("b", curved)), json_line(name="b c.jpg")
    )
    file = read_label_file(path)
    assert not file.problems
    first, second = file.lines
    assert first.names == ("a.jpg",)
    assert first.texts == ("a", "###", "*", "b")
    assert first.ignored == (False, True, True, False)
    assert [len(polygon) for polygon in first.polygons] == [4, 4, 4, 6]
    assert first.polygons[3].dtype == np.float32
    np.testing.assert_array_equal(first.polygons[3], np.float32(curved))
    assert second.names == ("b c.jpg",)
    assert second.polygons == ()  # an image without text is a sample too
    assert (first.line, second.line) == (1, 2)


def test_legacy_lines_and_mixed_files(tmp_path):
    path = write(
        tmp_path,
        "a.jpg\t0,0,10,0,10,5,0,5,one, two\t1.5,2,3,4,5,6,7,9,###\t",
        json_line(region(), name="b.jpg"),
        "c.jpg\t0,0,10,0,10,5,0,5",
    )
    file = read_label_file(path)
    assert not file.problems
    assert file.lines[0].texts == ("one, two", "###")
    assert file.lines[0].ignored == (False, True)
    np.testing.assert_array_equal(file.lines[0].polygons[1], [[1.5, 2], [3, 4], [5, 6], [7, 9]])
    assert file.lines[1].texts == ("word",)
    assert file.lines[2].texts == ("",)


@pytest.mark.parametrize(("encoding", "end"), [("utf-8-sig", "\n"), ("utf-8", "\r\n"), ("utf-8-sig", "\r\n")])
def test_bom_and_windows_line_ends(tmp_path, encoding, end):
    file = read_label_file(
        write(tmp_path, json_line(region("é")), "", json_line(region("x")), "", encoding=encoding, end=end)
    )
    assert [line.names for line in file.lines] == [("a.jpg",), ("a.jpg",)]
    assert [line.line for line in file.lines] == [1, 3]
    assert file.lines[0].texts == ("é",)


def test_a_list_of_images_shares_a_label(tmp_path):
    file = read_label_file(write(tmp_path, json_line(region(), name='["a.jpg", "b.jpg"]'), json_line(name="[x].jpg")))
    assert [line.names for line in file.lines] == [("a.jpg", "b.jpg"), ("[x].jpg",)]


NAN = '[{"transcription": "a", "points": [[0, NaN], [1, 0], [1, 1]]}]'


@pytest.mark.parametrize(
    ("line", "what", "advice"),
    [
        ('a.jpg\t[{"transcription": "a", "points"', "broken JSON at column 33", "escaped"),
        ('a.jpg [{"transcription": "a"}]', "no tab", "tab"),
        ("\t[]", "no image path", "root folder"),
        ("a.jpg\t", "no label", "write \\[\\]"),
        ("a.jpg\t1,2,3,4,text", "region 1 is neither JSON nor", "JSON"),
        ("a.jpg\t1,2,3,4,5,6,7,x,text", "not a number", "numbers"),
        (json_line(region(points=[[0, 0], [1, 1]])), "region 1 has 2 points", "three"),
        (json_line(region(), region(points=[[0, 0, 1], [1, 1, 1], [2, 0, 1]])), "region 2 are not", "x, y"),
        (json_line({"transcription": "a"}), "no points or no transcription", "###"),
        (json_line({"points": SQUARE}), "no points or no transcription", "###"),
        (json_line(region(), region(None)), "transcription of region 2 is not a text: 'null'", "###"),
        (json_line(region(["a"])), "region 1 is not a text", "quotes"),
        (f"a.jpg\t{NAN}", "NaN or infinite", "pixels"),
        (json_line(region(points=[[0, 0], [1e39, 0], [1, 1]])), "NaN or infinite", "pixels"),  # as float32
        (json_line(region(points=[[0, 0], [-2e6, 0], [1, 1]])), "region 1 is beyond ±1,000,000", "pixels"),
        (json_line(region(points=[[0, 0], [10**400, 0], [1, 1]])), "not a number", "numbers"),
        (json_line(region(points=[[0, 0], ["a", 0], [1, 1]])), "not a number", "numbers"),
        ('a.jpg\t{"transcription": "a"}', "not a list", "transcription"),
    ],
)
def test_a_bad_line_is_named_and_the_others_are_kept(tmp_path, line, what, advice):
    path = write(tmp_path, json_line(region(), name="good.jpg"), line, json_line(region(), name="fine.jpg"))
    file = read_label_file(path)
    assert [good.names[0] for good in file.lines] == ["good.jpg", "fine.jpg"]
    (problem,) = file.problems
    assert problem.line == 2
    assert problem.fatal
    assert str(problem).startswith(f"{path}:2: ")
    assert "\n" not in str(problem)
    import re

    assert re.search(what, problem.what)
    assert re.search(advice, problem.advice)


def test_a_number_as_transcription_is_its_text(tmp_path):
    assert read_label_file(write(tmp_path, json_line(region(2016)))).lines[0].texts == ("2016",)


def test_a_line_that_is_not_utf8(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes(json_line(region()).encode() + b"\n" + "b.jpg\t0,0,1,0,1,1,0,1,café".encode("latin1"))
    file = read_label_file(path)
    assert len(file.lines) == 1
    assert "byte 0xe9 at column 26 is not UTF-8" in str(file.problems[0])


def test_a_polygon_without_area_loses_its_region_only(tmp_path):
    line = json_line(region("a"), region("flat", [[0, 0], [5, 0], [10, 0], [3, 0]]), region("dot", [[3, 3]] * 4))
    file = read_label_file(write(tmp_path, line))
    assert file.lines[0].texts == ("a",)
    assert [problem.fatal for problem in file.problems] == [False, False]
    assert "region 2 'flat' has no area" in str(file.problems[0])


def test_a_bow_tie_is_kept(tmp_path):
    """Its signed area is 0, but it covers pixels, which the targets then leave out of the loss."""
    file = read_label_file(write(tmp_path, json_line(region("x", [[20, 20], [80, 60], [80, 20], [20, 60]]))))
    assert len(file.lines[0].polygons) == 1


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"lists\.txt"):
        read_label_file(tmp_path / "lists.txt")


def test_utf16_and_folders_are_refused(tmp_path):
    with pytest.raises(DataError, match="UTF-16"):
        read_label_file(write(tmp_path, json_line(region()), encoding="utf-16"))
    with pytest.raises(DataError, match="cannot be read"):
        read_label_file(tmp_path)


def test_real_lists_are_clean(real_data):
    counts = {"icdar2015_det": 4125, "totaltext_tiny": None, "sroie_det": None, "cremma_poly": None}
    for folder, regions in counts.items():
        file = read_label_file(real_data / folder / "train_list.txt")
        assert not [str(problem) for problem in file.problems if problem.fatal]
        if regions:
            assert sum(len(line.polygons) for line in file.lines) == regions
            assert sum(sum(line.ignored) for line in file.lines) == 2556
