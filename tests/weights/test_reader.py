"""Files of weights, optimizers and states from a stranger: nothing in them runs, and none takes time or memory."""

import hashlib
import io
import os
import pickle
import re
import struct
import time
import tracemalloc
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ocrexp.engine.sealed import read_states
from ocrexp.errors import CheckpointError
from ocrexp.weights.pickles import NotPlain, read_pickle
from ocrexp.weights.reader import read_optimizer, read_parameter_names, read_parameters

CODE = Path(__file__).parents[2] / "ocrexp"
MARKER = "OCREXP_TEST_CODE_RAN"


class _Evil:
    def __reduce__(self) -> Any:
        return os.putenv, (MARKER, "1")


class _Stateful:
    def __init__(self) -> None:
        self.x = 1


def _text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def _array_of(shape: tuple[int, ...], numbers: bytes, dtype: bytes = b"f4", first: bytes = b"K\x00\x85") -> bytes:
    sides = b"".join(b"\x8a\x08" + struct.pack("<q", side) for side in shape)
    start = b"cnumpy._core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + first + b"C\x01btR"
    kind = b"cnumpy\ndtype\n(C" + bytes([len(dtype)]) + dtype + b"\x89\x88tR"
    kind += b"(K\x03C\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    return start + b"(K\x01(" + sides + b"t" + kind + b"\x89B" + struct.pack("<I", len(numbers)) + numbers + b"tb"


def _in_dict(value: bytes) -> bytes:
    return b"\x80\x04}" + _text("a") + value + b"s."


HOSTILE = {
    "REDUCE": pickle.dumps({"a": _Evil()}),
    "GLOBAL": b"}" + _text("a") + b"cos\nsystem\ns.",
    "STACK_GLOBAL": b"\x80\x04}" + _text("a") + b"\x8c\x02os\x8c\x06system\x93s.",
    "GLOBAL of ocrexp": _in_dict(b"cocrexp.files\nclaim_folder\n(" + _text("/tmp/x") + b"tR"),
    "GLOBAL of numpy": _in_dict(b"cnumpy\nload\n(" + _text("x.npy") + b"tR"),
    "BUILD": pickle.dumps({"a": _Stateful()}, protocol=4),
    "BUILD of a name": b"cbuiltins\neval\n}" + _text("x") + b"K\x01sb.",
    "INST": b"(" + _text("exit 3") + b"ios\nsystem\n.",
    "OBJ": b"(cbuiltins\neval\n" + _text("1") + b"o.",
    "NEWOBJ": b"\x80\x02}" + _text("a") + b"ccollections\nOrderedDict\n)\x81s.",
    "EXT1": b"\x80\x02\x82\x01.",
    "EXT4": b"\x80\x02\x84\x01\x00\x00\x00.",
    "PERSID": b"Pid\n.",
    "BINPERSID": _text("id") + b"Q.",
    "eval": _in_dict(b"cbuiltins\neval\n(" + _text("__import__('os').abort()") + b"}tR"),
    "eval of data": _in_dict(b"cbuiltins\neval\n(" + _text("data") + b"}tR"),
    "codec": _in_dict(b"c_codecs\nencode\n(" + _text("x") + _text("zlib_codec") + b"tR"),
    "objects": _in_dict(_array_of((1,), b"12345678", b"O8")),
    "records": _in_dict(_array_of((1,), b"12345678", b"V8")),
    "shape without numbers": _in_dict(_array_of((2**39,), b"1234")),
    "shape that overflows": _in_dict(_array_of((2**39, 2**39, 0), b"1234")),
    "negative shape": _in_dict(_array_of((-1, -1), b"1234")),
    "huge empty array": _in_dict(_array_of((1,), b"", first=b"\x8a\x06\x00\x00\x00\x00\x00\x40\x85")),
    "huge text": b"X\xff\xff\xff\xffabc",
    "huge bytes": b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"abc",
    "huge bytearray": b"\x80\x05\x96" + struct.pack("<Q", 2**62) + b"abc",
    "huge frame": b"\x80\x04\x95" + struct.pack("<Q", 2**62),
    "huge number": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"abc.",
    "long number": b"L" + b"9" * 100_000 + b"L\n.",
    "huge memo index": b"}r\xff\xff\xff\xff",
    "memo bomb": b"](" + b"]q\x00" + b"(h\x00h\x00tq\x00" * 60 + b"e.",
    "itself": b"]q\x00h\x00a.",
    "deep": b"]" * 200_000 + b"a" * 199_999 + b".",
    "deep tuples": b")" + b"\x85" * 200_000 + b".",
    "many": b"](" + b"N" * 400_000 + b"e.",
    "copies": b"](" + _text("x" * 100_000) + b"q\x000" + b"c_codecs\nencode\n(h\x00" + _text("latin1") + b"tR" * 1
    + (b"c_codecs\nencode\n(h\x00" + _text("latin1") + b"tR") * 2_000 + b"e.",
    "unhashable key": b"}]N" b"s.",
    "tuple key": b"})Ns.",
    "colliding keys": b"}" + b"\x8a\x09" + (2**61 - 1).to_bytes(9, "little") + b"Ns.",
    "no stop": b"\x80\x04}",
    "underflow": b"\x80\x04a.",
    "mark at the end": b"(.",
    "two values": b"NN.",
    "protocol 9": b"\x80\x09N.",
    "no pickle": b"<html>404 Not Found</html>",
    "zip": b"PK\x03\x04" + bytes(100),
    "empty": b"",
    "a list": pickle.dumps([1, 2]),
    "text that is no text": b"X\x02\x00\x00\x00\xff\xfe.",
}  # fmt: skip


def _sealed(payload: bytes) -> bytes:
    return payload + b"\nsha256:" + hashlib.sha256(payload).hexdigest().encode()


READERS: dict[str, tuple[Callable[[Path], Any], Callable[[bytes], bytes]]] = {
    "pdparams": (read_parameters, bytes),
    "pdopt": (read_optimizer, bytes),
    "pdstates": (read_states, _sealed),
}


@pytest.mark.parametrize("suffix", READERS)
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_is_one_line_and_runs_nothing(tmp_path: Path, kind: str, suffix: str) -> None:
    read, wrap = READERS[suffix]
    path = tmp_path / f"w.{suffix}"
    path.write_bytes(wrap(HOSTILE[kind]))
    began = time.process_time()
    with pytest.raises(CheckpointError) as error:
        read(path)
    assert time.process_time() - began < 5
    assert "\n" not in str(error.value)
    assert path.name in str(error.value)
    assert MARKER not in os.environ


@pytest.mark.parametrize("kind", ["huge bytes", "huge memo index", "huge empty array", "copies", "deep"])
def test_memory_stays_within_a_small_multiple_of_the_file(kind: str) -> None:
    data = HOSTILE[kind]
    tracemalloc.start()
    try:
        with pytest.raises(NotPlain):
            read_pickle(data)
        assert tracemalloc.get_traced_memory()[1] < 100 * len(data) + 1_000_000
    finally:
        tracemalloc.stop()


def test_a_file_that_is_cut_anywhere_is_one_line(tmp_path: Path) -> None:
    whole = pickle.dumps({"a.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "n": {"x": (1, "y")}}, protocol=4)
    for end in range(len(whole)):
        with pytest.raises(NotPlain):
            read_pickle(whole[:end])


def test_random_damage_raises_nothing_else(tmp_path: Path) -> None:
    whole = bytearray(pickle.dumps({"a": np.arange(6.0), "b": [1, "x", None, {"c": 2.5}]}, protocol=2))
    rng = np.random.default_rng(0)
    for _ in range(3000):
        damaged = bytearray(whole)
        for position in rng.integers(0, len(whole), rng.integers(1, 6)):
            damaged[position] = rng.integers(256)
        try:
            read_pickle(bytes(damaged))
        except NotPlain as error:
            assert "\n" not in str(error) or len(str(error)) < 300


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_and_arrays_are_read_as_pickle_reads_them(protocol: int) -> None:
    value = {
        "c": np.arange(6, dtype=np.float32).reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(6, dtype=np.int64).reshape(2, 3)),
        "big-endian": np.arange(3, dtype=">f8"),
        "empty": np.zeros((0, 3), np.float16),
        "scalar": np.array(2.5),
        "plain": [1, -5, 2**70, "é€\U0001f600", b"\x00\xff", None, True, 1.5, (), ("name", 2)],
        "ordered": OrderedDict(x=1),
    }
    found = read_pickle(pickle.dumps(value, protocol=protocol))
    assert list(found) == list(value)
    for name in ("c", "fortran", "big-endian", "empty", "scalar"):
        np.testing.assert_array_equal(found[name], value[name])
        assert found[name].dtype == value[name].dtype.newbyteorder("=")
        assert found[name].flags.writeable
    assert found["plain"] == value["plain"]
    assert found["ordered"] == {"x": 1}


def test_files_of_python_2_are_read() -> None:
    # {'w': numpy.arange(2, dtype='f4')} by Python 2.7, protocol 2
    data = (
        b"\x80\x02}q\x01U\x01wq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85U\x01b\x87R"
        b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U\x08\x00\x00\x00\x00\x00\x00\x80?tbs."
    )
    np.testing.assert_array_equal(read_pickle(data)["w"], [0.0, 1.0])


def test_paddles_split_arrays_and_names_are_put_together(tmp_path: Path) -> None:
    path = tmp_path / "w.pdparams"
    parts = {"w@@.0": np.arange(4.0), "w@@.1": np.arange(4.0, 6.0)}
    split = {"w": {"OriginShape": (2, 3), "slices": list(parts)}}
    content = {**parts, "UnpackBigParamInfor@@": split, "StructuredToParameterName@@": {"w": "linear_0.w_0"}}
    path.write_bytes(pickle.dumps(content, protocol=2))
    assert list(read_parameters(path)) == ["w"]
    np.testing.assert_array_equal(read_parameters(path)["w"], np.arange(6.0).reshape(2, 3))
    content["UnpackBigParamInfor@@"] = {"w": {"OriginShape": (7, 3), "slices": list(parts)}}
    path.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(CheckpointError, match="split arrays"):
        read_parameters(path)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_what_paddle_saves_of_an_optimizer_is_read_as_paddle_reads_it(tmp_path: Path, protocol: int) -> None:
    import paddle

    layer = paddle.nn.Linear(3, 2)
    schedule = paddle.optimizer.lr.CosineAnnealingDecay(0.1, 10)
    optimizer = paddle.optimizer.AdamW(schedule, parameters=layer.parameters())
    layer(paddle.ones([1, 3])).sum().backward()
    optimizer.step()
    path = tmp_path / "w.pdopt"
    masters = {"linear_0.w_0": paddle.ones([3, 2])}
    paddle.save({**optimizer.state_dict(), "master_weights": masters}, str(path), protocol=protocol)
    found, expected = read_optimizer(path), paddle.load(str(path))
    assert found.keys() == expected.keys()
    assert found["LR_Scheduler"] == expected["LR_Scheduler"]
    np.testing.assert_array_equal(found["master_weights"]["linear_0.w_0"], masters["linear_0.w_0"].numpy())
    for name in found.keys() - {"LR_Scheduler", "master_weights"}:
        np.testing.assert_array_equal(found[name], expected[name].numpy())


@pytest.mark.parametrize("kind", ["folder", "pipe", "device"])
def test_what_is_no_regular_file_is_one_line(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "w.pdparams"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(CheckpointError, match="not a regular file"):
        read_parameters(path)


@pytest.mark.parametrize("change", ["no files", "text for a size", "other files"])
def test_states_without_what_a_set_needs_are_one_line(tmp_path: Path, change: str) -> None:
    entry = {"sha256": "0" * 64, "bytes": 1}
    states: dict[str, Any] = {"global_step": 1, "serial": 1, "files": {"pdparams": entry, "pdopt": entry}}
    states |= {
        "no files": {"files": 3},
        "text for a size": {"files": {"pdparams": {**entry, "bytes": "x"}, "pdopt": entry}},
        "other files": {"files": {}},
    }[change]
    path = tmp_path / "latest.pdstates"
    path.write_bytes(_sealed(pickle.dumps(states)))
    with pytest.raises(CheckpointError, match="no states of a run"):
        read_states(path)


def test_arrays_of_states_cannot_multiply(tmp_path: Path) -> None:
    data = bytes(100_000)
    states = {"a": [{"__array__": ["|u1", [100_000], data]} for _ in range(1000)]}
    path = tmp_path / "latest.pdstates"
    path.write_bytes(_sealed(pickle.dumps(states)))
    with pytest.raises(CheckpointError, match="repeats its contents"):
        read_states(path)


def test_nothing_else_in_the_package_unpickles() -> None:
    # Workers' replies come through a pipe from our own forked processes.
    own = {"data/loader.py", "data/shared.py"}
    call = re.compile(
        r"paddle\.load\(|paddle\.jit\.load\(|pickle\.loads?\(|Unpickler\(|torch\.load\(|joblib\.load|dill\.|shelve\.|"
        r"allow_pickle=True|marshal\.|yaml\.(unsafe_load|full_load)|[^.\w](eval|exec)\("
    )
    found = {
        f"{path.relative_to(CODE)}:{number}"
        for path in CODE.rglob("*.py")
        for number, line in enumerate(io.StringIO(path.read_text(encoding="utf-8")), 1)
        if call.search(line.partition("#")[0]) and str(path.relative_to(CODE)) not in own
    }
    assert {
        entry for entry in found if not entry.startswith(("weights/pickles.py", "weights/pickle_names.py"))
    } == set()


@pytest.mark.parametrize(
    ("earlier", "current"),
    [
        ("head.embeder.eEmbed.weight", "head.embedder.eEmbed.weight"),
        ("Student.head.gsrm.wrap_encoder0.encoder.processer.layer_norm_0.bias",
         "Student.head.gsrm.wrap_encoder0.encoder.processor.layer_norm_0.bias"),
        ("head.encoder.preprocesser1.weight", "head.encoder.preprocesser1.weight"),
    ],
)  # fmt: skip
def test_names_of_earlier_releases_become_the_current_ones(tmp_path: Path, earlier: str, current: str) -> None:
    file = tmp_path / "w.pdparams"
    file.write_bytes(pickle.dumps({earlier: np.ones(2, "f4"), "StructuredToParameterName@@": {earlier: "w_0"}}))
    assert list(read_parameters(file)) == [current]
    assert read_parameter_names(file) == {current: "w_0"}
