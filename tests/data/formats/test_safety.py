"""Annotation files of strangers: nothing in them is executed, fetched or written elsewhere; each fault has a place."""

import io
import tarfile
from pathlib import Path

import pytest
from format_reading import convert, picture, read, write

from ocrexp.data.formats.entries import Account
from ocrexp.data.formats.folder import Folder, split_of
from ocrexp.data.formats.mat import read_mat
from ocrexp.data.formats.safe_files import parse_xml, read_json, read_text
from ocrexp.data.formats.shapes import fault
from ocrexp.errors import DataError

LAUGHS = '<!DOCTYPE a [<!ENTITY b "x"><!ENTITY c SYSTEM "file:///etc/passwd">]>\n<a>&b;&c;</a>'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_xml_with_entities_is_refused(encoding: str) -> None:
    declaration = f'<?xml version="1.0" encoding="{encoding}"?>\n'
    with pytest.raises(DataError, match=r"a\.xml:2: has a document type"):
        parse_xml((declaration + LAUGHS).encode(encoding), "a.xml")
    with pytest.raises(DataError, match=r"a\.xml:2: has a document type"):
        parse_xml(b"\n" + LAUGHS.encode(), "a.xml")


def test_damaged_files_are_named_with_their_position(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.xml:2:3: is not XML \(mismatched tag\)"):
        parse_xml(b"<a><b>\n</a>", "a.xml")
    with pytest.raises(DataError, match="nested too deeply"):
        parse_xml(b"<a>" * 5000, "a.xml")
    with pytest.raises(DataError, match=r"a\.json:2:3: is not JSON"):
        read_json(write(tmp_path / "a.json", '{"a":\n [}'))
    with pytest.raises(DataError, match="nested too deeply"):
        read_json(write(tmp_path / "b.json", "[" * 200_000))
    with pytest.raises(DataError, match="is not a MATLAB file"):
        read_mat(write(tmp_path / "a.mat", b"MATLAB 5.0" + bytes(300)))
    with pytest.raises(DataError, match=r"7\.3 \(HDF5\); save it"):
        read_mat(write(tmp_path / "b.mat", b"\x89HDF\r\n\x1a\n" + bytes(600)))


def test_a_damaged_file_of_one_image_is_dropped_with_its_place(tmp_path: Path) -> None:
    write(tmp_path / "1.json", '{"shapes": [], "imagePath": "1.png"}')
    write(tmp_path / "2.json", '{"shapes": [')
    entries, account = read(tmp_path, "labelme")
    assert len(entries) == 1
    assert "2.json:1:13: is not JSON" in account.dropped["label file that cannot be read"].places[0]


def test_members_of_archives_do_not_leave_the_folder(tmp_path: Path) -> None:
    image = picture(tmp_path / "a.png").read_bytes()
    (tmp_path / "in").mkdir()
    with tarfile.open(tmp_path / "in" / "s.tar", "w") as archive:
        for name, data in (
            ("../../evil.png", image),
            ("../../evil.txt", b"one"),
            ("/abs/x.png", image),
            ("/abs/x.txt", b"2"),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    before = set(tmp_path.rglob("*"))
    convert(f"root={tmp_path / 'in'}", f"out={tmp_path / 'out'}")
    new = {path.relative_to(tmp_path).as_posix() for path in set(tmp_path.rglob("*")) - before if path.is_file()}
    assert new == {"out/images/evil.png", "out/images/abs/x.png", "out/train_list.txt", "out/convert.json"}
    _, account = read(tmp_path / "in")
    assert account.dropped["member that is not a file"].count == 1
    data = (tmp_path / "in" / "s.tar").read_bytes()
    write(tmp_path / "cut" / "s.tar", data[:700])
    with pytest.raises(DataError, match="is truncated or not a tar file"):
        read(tmp_path / "cut", "shards")


def test_text_in_other_encodings_is_read_and_counted(tmp_path: Path) -> None:
    account = Account()
    assert read_text(write(tmp_path / "a.txt", "Straße, où".encode("cp1252")), account).startswith("Stra")
    assert sum(kind.count for kind in account.changed.values()) == 1
    with pytest.raises(DataError, match="is in UTF-16"):
        read_text(write(tmp_path / "b.txt", "text".encode("utf-16")), account)


def test_outlines_that_enclose_nothing() -> None:
    assert fault([(0, 0), (1, 1)]) == "with fewer than 3 points"
    assert fault([(0, 0), (5, 5), (10, 10)]) == "without area"
    assert fault([(0, 0), (0, 0), (0, 0)]) == "without area"
    assert fault([(0, 0), (2e6, 0), (0, 5)]) == "with a coordinate beyond ±1,000,000"
    assert fault([(0, 0), (5, 0), (5, 5)]) is None


def test_images_are_found_by_path_end_name_and_part(tmp_path: Path) -> None:
    for name in ("train/img/1.jpg", "test/img/1.jpg", "train/img/only.JPG"):
        picture(tmp_path / name)
    folder = Folder(tmp_path)
    assert folder.image("img\\1.jpg", "test/gt/x.txt") == tmp_path / "test" / "img" / "1.jpg"
    assert folder.image_of("1", "training_gt/gt_1.txt") == tmp_path / "train" / "img" / "1.jpg"
    assert folder.image_of("only") == tmp_path / "train" / "img" / "only.JPG"
    assert folder.image("../../etc/passwd") is None or not folder.ambiguous
    assert [split_of(name) for name in ("a/ch4_training_images", "instances_val2017.json", "constrain/x", "dev")] == [
        "train", "val", "", "val",
    ]  # fmt: skip
