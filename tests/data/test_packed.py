"""Lists as one block of bytes: lines where they belong, marks, NUL bytes, hostile files, and large lists in little."""

import json
import os
import time
import tracemalloc

import numpy as np
import pytest

from ocrexp.data.label_format import BadLine
from ocrexp.data.labels import read_label_file
from ocrexp.data.packed import read_packed
from ocrexp.data.rec_labels import read_rec_label_file
from ocrexp.errors import DataError

SQUARE = [[0, 0], [10, 0], [10, 5], [0, 5]]


def write(tmp_path, data):
    path = tmp_path / "list.txt"
    path.write_bytes(data)
    return path


def det(*regions):
    return json.dumps([{"transcription": text, "points": points} for text, points in regions])


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"a\tx\nb\ty\n", {1: b"a\tx", 2: b"b\ty"}),
        (b"a\tx\r\n\r\n  \n\t\nb\ty", {1: b"a\tx", 5: b"b\ty"}),
        (b"\xef\xbb\xbfa\tx\n\xef\xbb\xbf\xef\xbb\xbfb\ty\n\xef\xbb\xbf", {1: b"a\tx", 2: b"b\ty"}),
        (b"\n\n\n", {}),
        (b"", {}),
        (b"\r", {}),
        (b" a\tx", {1: b" a\tx"}),
    ],
)
def test_lines_and_their_numbers(tmp_path, data, lines):
    packed = read_packed(write(tmp_path, data))
    assert dict(zip(packed.numbers.tolist(), list(packed), strict=True)) == lines


def test_lines_of_many_chunks_are_those_of_one_by_one(tmp_path):
    rng = np.random.default_rng(0)
    labels = ["x" * int(n) for n in rng.integers(1, 300, 30_000)]
    file = read_rec_label_file(write(tmp_path, "".join(f"{i}.jpg\té{t}\n" for i, t in enumerate(labels)).encode()))
    assert len(file) == 30_000
    assert [file[i].texts[0] for i in (0, 8191, 8192, 29_999)] == [f"é{labels[i]}" for i in (0, 8191, 8192, 29_999)]
    assert [text for chunk in file.chunks() for text in file.texts(chunk)] == [f"é{text}" for text in labels]


def test_joined_files_with_marks(tmp_path):
    mark = b"\xef\xbb\xbf"
    file = read_rec_label_file(write(tmp_path, mark + b"a.jpg\tx\r\n" + mark + "b.jpg\té\r\n".encode() + mark))
    assert [(line.names[0], line.texts[0]) for line in file] == [("a.jpg", "x"), ("b.jpg", "é")]
    assert not file.problems


@pytest.mark.parametrize("line", [b"a.jpg\two\0rd", b"a\0.jpg\tword", b"\0" * 300, b"a.jpg\t\0"])
@pytest.mark.parametrize("read", [read_rec_label_file, read_label_file])
def test_nul_bytes_lose_their_line_only(tmp_path, read, line):
    good = f"good.jpg\t{det(('a', SQUARE))}".encode()
    file = read(write(tmp_path, b"\n".join([good, line, good, good, good, good, good])))
    assert len(file) == 6
    (problem,) = file.problems
    assert problem.line == 2
    assert "NUL" in problem.what


def test_a_bad_byte_loses_its_line_only_and_the_others_are_not_converted(tmp_path):
    lines = ["a.jpg\té", *(f"{i}.jpg\t{word}" for i, word in enumerate(["你好", "中国", "有限公司"])), "z.jpg\tü"]
    data = b"\n".join(line.encode("gb18030" if 0 < i < 4 else "utf-8") for i, line in enumerate(lines))
    file = read_rec_label_file(write(tmp_path, data))
    assert [line.texts[0] for line in file] == ["é", "ü"]
    assert [problem.line for problem in file.problems] == [2, 3, 4]
    assert "sed -n '2,4p'" in file.problems[0].advice
    assert "iconv -f gb18030 -t utf-8" in file.problems[0].advice


@pytest.mark.parametrize("read", [read_rec_label_file, read_label_file])
def test_pipes_and_devices_are_refused_at_once(tmp_path, read):
    pipe = tmp_path / "pipe.txt"
    os.mkfifo(pipe)
    for path in (pipe, "/dev/zero"):
        with pytest.raises(DataError, match="not a regular file; give"):
            read(type(tmp_path)(path))


HOSTILE = {
    "nested": ("[" * 100_000 + "]" * 100_000, "nested"),
    "open": ("[" * 100_000, "nested|JSON"),
    "nested points": ('[{"transcription": "a", "points": ' + "[" * 5000 + "]" * 5000 + "}]", "nested|pairs"),
    "polygon": (det(("a", [[i % 120, i * 7 % 90] for i in range(50_000)])), "50000 points"),
    "digits": ('[{"transcription": "a", "points": [[' + "9" * 5000 + ", 0], [1, 1], [2, 0]]}]", "digits|number"),
    "surrogate": ('[{"transcription": "\\ud800", "points": [[0, 0], [5, 0], [5, 5]]}]', "surrogate"),
    "regions": ("[" + ",".join(['{"transcription":"a","points":[[0,0],[5,0],[5,5]]}'] * 20_001) + "]", "20000 regions"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_detection_labels_lose_their_line_only(tmp_path, kind):
    label, what = HOSTILE[kind]
    good = f"good.jpg\t{det(('a', SQUARE))}"
    file = read_label_file(write(tmp_path, f"{good}\na.jpg\t{label}\n{good}\n".encode()))
    assert len(file) == 2
    (problem,) = file.problems
    assert problem.line == 2
    assert len(str(problem)) < 500
    import re

    assert re.search(what, problem.what)


@pytest.mark.parametrize("name", ["[" * 100_000, '["a\\u0000.jpg"]', "[" + "9" * 5000 + "]"])
def test_hostile_names_are_names(tmp_path, name):
    assert read_rec_label_file(write(tmp_path, f"{name}\tword\n".encode()))[0].names == (name,)


def test_a_text_of_a_million_characters_loses_its_line_only(tmp_path):
    file = read_rec_label_file(write(tmp_path, b"a.jpg\t" + b"A" * 1_000_000 + b"\nb.jpg\tABC\n"))
    assert [line.texts[0] for line in file] == ["ABC"]
    assert "1000000 characters" in file.problems[0].what
    assert len(str(file.problems[0])) < 300


def test_faults_are_counted_but_not_all_kept(tmp_path):
    file = read_rec_label_file(write(tmp_path, b"no tab\n" * 5000 + b"a.jpg\tx\n"))
    assert file.bad == 5000
    assert len(file.problems) == 1000


def test_regions_without_area_and_mixed_formats_among_many(tmp_path):
    """The check of many lines together and the parsing of one agree."""
    flat = [[0, 0], [5, 0], [10, 0], [3, 0]]
    lines = [f"{i}.jpg\t{det(('a', SQUARE), ('b', flat if i % 7 == 0 else SQUARE))}" for i in range(100)]
    lines[50] = "50.jpg\t0,0,10,0,10,5,0,5,legacy"
    lines[60] = "60.jpg\t[]"
    lines[70] = 'broken.jpg\t[{"transcription": "a"}]'
    file = read_label_file(write(tmp_path, "\n".join(lines).encode()))
    assert (len(file), file.bad, file.dropped) == (99, 1, 14)
    assert [len(line.polygons) for line in file][:9] == [1, 2, 2, 2, 2, 2, 2, 1, 2]
    assert file[50].texts == ("legacy",)
    assert file[60].texts == ()


def best_of_three(read, path):
    times = []
    for _ in range(3):  # the machine may be busy with other things
        began = time.process_time()
        read(path)
        times.append(time.process_time() - began)
    return min(times)


def test_a_hundred_thousand_lines_are_read_in_a_part_of_a_second(tmp_path):
    """A tenth of the list of a million lines that may take 10 seconds."""
    path = write(tmp_path, "".join(f"images/{i}.jpg\tword{i}\n" for i in range(100_000)).encode())
    assert best_of_three(read_rec_label_file, path) < 1.0
    regions = det(("word", SQUARE))
    path = write(tmp_path, "".join(f"images/{i}.jpg\t{regions}\n" for i in range(20_000)).encode())
    assert best_of_three(read_label_file, path) < 0.5


def test_a_list_takes_its_size_and_little_more(tmp_path):
    path = write(tmp_path, "".join(f"images/{i}.jpg\tword{i}\n" for i in range(50_000)).encode())
    read_rec_label_file(path)  # tables
    tracemalloc.start()
    file = read_rec_label_file(path)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(file) == 50_000
    assert held < path.stat().st_size + 50_000 * 50


def mutated(rng, line):
    """A line with up to two bytes changed, removed or inserted."""
    data = bytearray(line)
    for _ in range(int(rng.integers(0, 3))):
        place = int(rng.integers(0, len(data)))
        kind = rng.random()
        if kind < 0.4:
            data[place] = int(rng.integers(0, 256))
        elif kind < 0.7:
            del data[place]
        else:
            data.insert(place, int(rng.choice(list(b'[]{}",:\t\r\0\xff\xef0'))))
    return bytes(data).replace(b"\n", b"")


@pytest.mark.parametrize(
    ("read", "good"),
    [
        (
            read_label_file,
            [f"a.jpg\t{det(('é', SQUARE), ('b', SQUARE))}", "b.jpg\t[]", "c.jpg\t0,0,9,0,9,9,0,9,text, 2"],
        ),
        (read_rec_label_file, ["a.jpg\ttwo words", '["a.jpg", "b.jpg"]\té', "c.jpg\t漢字\t0.98", "d.jpg\t\u00a0x"]),
    ],
)
def test_checking_many_lines_and_parsing_each_agree_on_damaged_lists(tmp_path, read, good):
    rng = np.random.default_rng(0)
    for size in [1, 3] * 10 + [300] * 3:
        lines = [mutated(rng, good[int(rng.integers(0, len(good)))].encode()) for _ in range(size)]
        data = b"\n".join([b"first.jpg\t0,0,9,0,9,9,0,9,x", *lines])  # not UTF-16 by chance
        file = read(write(tmp_path, data))
        sound, bad = [], []
        for index in range(len(file.packed)):
            try:
                line = file.line(index)
            except (BadLine, UnicodeDecodeError):
                bad.append(int(file.packed.numbers[index]))
            else:
                sound.append(index)
                assert len(line.polygons) == file.regions[index]
        assert file.kept.tolist() == sound
        assert sorted(problem.line for problem in file.problems if problem.fatal) == bad
