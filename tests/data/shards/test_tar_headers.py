"""Headers of tar files: the same members as Python's tarfile finds, and hostile or damaged files."""

import io
import tarfile

import pytest
from shard_making import write_tar

from ocrexp.data.shards.shard_index import index_shard
from ocrexp.data.shards.tar_headers import TarDamaged, members


def read(data: bytes):
    return lambda offset, size: data[offset : offset + size]


def listed(data: bytes):
    return list(members(read(data), len(data)))


def index(data: bytes):
    return index_shard(read(data), len(data))


NAMES = ["a.txt", "folder/b.gt.txt", "long/" * 40 + "c.jpg", "ü€字.png", "x" * 99 + "/" + "y" * 99, "z" * 300]


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_the_members_are_those_of_tarfile(tmp_path, format):
    contents = [(name, name.encode() * (700 * i)) for i, name in enumerate(NAMES)]
    path = write_tar(tmp_path / "a.tar", contents, format=format, pax_headers={"comment": "x" * 600})
    data = path.read_bytes()
    with tarfile.open(path) as archive:
        expected = [(member.name, member.offset_data, member.size) for member in archive]
    assert [(one.name, one.offset, one.size) for one in listed(data)] == expected
    assert [data[one.offset : one.offset + one.size] for one in listed(data)] == [content for _, content in contents]


def test_a_cut_at_any_byte_names_the_byte_and_keeps_what_is_whole(tmp_path):
    contents = [("0.jpg", b"i" * 600), ("0.txt", b"zero"), ("1.jpg", b"j" * 10), ("1.txt", b"one")]
    data = write_tar(tmp_path / "a.tar", contents).read_bytes()
    whole = listed(data)
    end = whole[-1].offset + 512
    for cut in range(1, end, 97):
        found = index(data[:cut])
        assert found.damage is not None
        assert found.damage[1] <= cut
        usable = [one for one in found.samples if one.image and one.labels]
        assert len(usable) == sum(cut >= whole[i].offset + whole[i].size for i in (1, 3))
    assert index(data[:end]).damage == ("is truncated: it has no end mark", end)
    assert index(data).damage is None
    assert index(b"").damage == ("is not a tar file", 0)
    assert index(b"<html>" * 500).damage == ("is not a tar file", 0)


def header(name: bytes, size: bytes, kind: bytes = b"0") -> bytes:
    block = bytearray(512)
    block[: len(name)] = name
    block[124:136] = size.ljust(12, b"\0")
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[257:263] = b"ustar\0"
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (header(b"a.jpg", b"77777777777"), "is truncated in 'a.jpg'"),
        (header(b"a.jpg", b"\x80" + b"\x7f" * 11), "a size that no file has"),
        (header(b"a.jpg", b"\xff" * 12), "a size that no file has"),  # negative
        (header(b"a.jpg", b"12z"), "not a number"),
        (header(b"a.jpg", b"99"), "not a number"),
        (header(b"././@LongLink", b"77777777777", b"L"), "a name of"),
        (header(b"pax", b"00000177777", b"x"), "truncated"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_numbers_are_checked_before_they_are_used(data, reason):
    with pytest.raises(TarDamaged, match=reason) as caught:
        listed(data + bytes(2048))
    assert caught.value.offset in (0, 512)


def test_links_devices_and_names_that_lead_elsewhere_name_nothing(tmp_path):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for kind, name, link in (
            (tarfile.SYMTYPE, "0.jpg", "/etc/passwd"),
            (tarfile.LNKTYPE, "1.jpg", "../../x"),
            (tarfile.CHRTYPE, "2.jpg", ""),
        ):  # fmt: skip
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, link
            archive.addfile(member)
        for name in ("../../up.jpg", "../../up.txt", "/etc/root.jpg", "/etc/root.txt", "._mac.jpg"):
            member = tarfile.TarInfo(name)
            member.size = 3
            archive.addfile(member, io.BytesIO(b"abc"))
    found = index(stream.getvalue())
    assert [sample.name for sample in found.samples] == ["up.jpg", "etc/root.jpg"]
    assert found.faults == {"member that is not a file": 3}
    assert found.damage is None


def test_samples_are_neighbors_of_one_key(tmp_path):
    contents = [
        ("d/1.png", b"a"), ("d/1.gt.txt", b"b"), ("d/2.txt", b"c"), ("d/3.jpeg", b"d"),
        ("d/1.png", b"e"), ("d/1.json", b"{}"), ("readme.md", b"f"), ("v0.1/4.seg.png", b"g"), ("v0.1/4.txt", b"h"),
    ]  # fmt: skip
    found = index(write_tar(tmp_path / "a.tar", contents).read_bytes())
    assert [(sample.name, [label.suffix for label in sample.labels]) for sample in found.samples] == [
        ("d/1.png", ["gt.txt"]), ("d/2", ["txt"]), ("d/3.jpeg", []), ("d/1#2.png", ["json"]),
        ("v0.1/4.seg.png", ["txt"])
    ]  # fmt: skip
    assert found.faults == {
        "sample without an image": 1, "sample without a label": 1, "sample without image and label": 1
    }  # fmt: skip
