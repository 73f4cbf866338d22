"""Files of weights, optimizers and states."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from fuzzing.changes import STRANGE, changed_bytes, changed_tree
from fuzzing.target import Input, Target

_NUMBER = (float, int, type(None))
_KINDS: dict[str, tuple[type, ...]] = {  # of the values of a TrainState that are not whole numbers
    "best_value": _NUMBER, "best_step": (int, type(None)), "best_metrics": (dict,),
    "zero_shot": (dict,), "zero_shot_value": _NUMBER, "seconds": (int, float),
}  # fmt: skip


class _SavedRun(Target):
    """A run's checkpoints, saved by a small model with an optimizer, and put back as `resume` does."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        import paddle

        from ocrexp.charset.sources import from_labels
        from ocrexp.engine.callbacks.early_stopping import EarlyStopping
        from ocrexp.engine.checkpoint import CheckpointStore
        from ocrexp.engine.saving import RunIdentity, Saver
        from ocrexp.engine.settings import TrainerSettings
        from ocrexp.engine.state import TrainState
        from ocrexp.engine.step import Stepper
        from ocrexp.loggers.group import LoggerGroup
        from ocrexp.optim.ema import WeightAverage

        paddle.set_device("cpu")
        nn = paddle.nn

        class Tiny(nn.Layer):  # type: ignore[misc, name-defined]  # paddle has no types
            def __init__(self) -> None:
                super().__init__()
                self.backbone = nn.Sequential(nn.Conv2D(1, 2, 3), nn.BatchNorm2D(2))
                self.head = nn.Linear(2, 3)

            def forward(self, images: Any) -> Any:
                return self.head(self.backbone(images).mean([2, 3]))

        self.model = Tiny()
        optimizer = paddle.optimizer.Adam(parameters=self.model.parameters())
        self.model(paddle.ones([1, 1, 4, 4])).sum().backward()
        optimizer.step()
        stepper = Stepper(self.model, lambda outputs, _: outputs, optimizer, TrainerSettings())
        self.store = CheckpointStore(folder / "run")
        average = WeightAverage(self.model, 0.9)
        callbacks = {"early_stopping": EarlyStopping(3)}
        carried = {"extras": {"charset": from_labels(["word", "übung"]).saved()}}
        identity = RunIdentity(0, 1, 4, {"labels": "0"})
        self.saver = Saver(self.store, self.model, stepper, average, callbacks, LoggerGroup({}), identity, carried)
        self.saver.save("latest", TrainState(step=3, best_value=0.5, best_metrics={"hmean": 0.5}))
        self.files = {
            suffix: (folder / "run" / "checkpoints" / f"latest.{suffix}").read_bytes()
            for suffix in ("pdparams", "pdopt", "pdstates")
        }

    def arrays(self, suffix: str) -> dict[str, Any]:
        """The content of one of the files."""
        content: dict[str, Any] = pickle.loads(self.files[suffix].partition(b"\nsha256:")[0])
        return content


class Weights(_SavedRun):
    """`.pdparams` and `.pdopt` as `eval`, `export` and `model.pretrained` read them."""

    name = "weights"

    def example(self, rng: Random) -> Input:
        suffix = rng.choice(("pdparams", "pdparams", "pdopt"))
        content = self.files[suffix]
        if rng.random() < 0.7:
            tree = {key: value[1] if isinstance(value, tuple) else value for key, value in self.arrays(suffix).items()}
            content = _pickled(rng, changed_arrays(rng, tree))
        if rng.random() < 0.5:
            content = changed_bytes(rng, content, _PICKLE_WORDS, list(self.files.values()))
        return Input(f"file.{suffix}", content)

    def run(self, given: Input) -> None:
        from ocrexp.engine.saving import as_tensors, check_optimizer
        from ocrexp.engine.weights import load_weights
        from ocrexp.errors import CheckpointError
        from ocrexp.models.pretrained import load_pretrained
        from ocrexp.weights.reader import read_optimizer, read_parameters

        path = self.write(given)
        if given.name.endswith("pdopt"):
            state = read_optimizer(path)
            check_optimizer(self.model, state, str(path))
            as_tensors(state)
            return
        read_parameters(path)
        try:
            load_weights(self.model, path)
        except CheckpointError:
            load_pretrained(self.model, path, 0)


class Checkpoints(_SavedRun):
    """A checkpoint whose sums agree: its writer put other values there. `resume` and `eval` read it."""

    name = "checkpoints"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.base = {suffix: pickle.dumps(self.arrays(suffix), 4) for suffix in self.files}

    def example(self, rng: Random) -> Input:
        suffix = rng.choice(("pdstates", "pdstates", "pdopt", "pdparams"))
        content = _pickled(rng, changed_arrays(rng, self.arrays(suffix)), 4)
        if rng.random() < 0.3:
            content = changed_bytes(rng, content, _PICKLE_WORDS)
        return Input(suffix, content)

    def run(self, given: Input) -> None:
        from ocrexp.assemble.model import saved_charset
        from ocrexp.engine.weights import load_evaluated

        folder = self.store.folder
        content = {**self.base, given.name: given.content}
        sums = {
            suffix: {"sha256": hashlib.sha256(content[suffix]).hexdigest(), "bytes": len(content[suffix])}
            for suffix in ("pdparams", "pdopt")
        }
        states = content["pdstates"]
        if given.name != "pdstates":
            states = pickle.dumps({**self.arrays("pdstates"), "files": sums}, 4)
        content["pdstates"] = states + b"\nsha256:" + hashlib.sha256(states).hexdigest().encode()
        for path in (folder / ".sets").iterdir():
            path.unlink()
        for suffix, data in content.items():
            (folder / f"latest.{suffix}").unlink(missing_ok=True)
            (folder / f"latest.{suffix}").write_bytes(data)
        found = self.store.load("latest")
        assert found is not None
        state, loggers = self.saver.restore(found)
        for key, value in vars(state).items():
            expected = _KINDS.get(key, (int,))
            if not isinstance(value, expected) or isinstance(value, bool):
                raise TypeError(f"train_state.{key} is taken as {value!r:.80}")
        if not isinstance(loggers, dict):
            raise TypeError(f"the loggers' states are taken as {loggers!r:.80}")
        load_evaluated(self.model, folder / "latest.pdparams")
        saved_charset(folder / "latest.pdparams")


def changed_arrays(rng: Random, tree: dict[str, Any]) -> Any:
    """A copy of a tree of arrays with other types, shapes and values."""
    tree = changed_tree(rng, tree, [*STRANGE, *_strange_arrays()]) if rng.random() < 0.6 else dict(tree)
    if isinstance(tree, dict):
        for key in rng.sample(sorted(map(str, tree)), min(len(tree), rng.choice((0, 1, 1, 2)))):
            value = tree.get(key)
            if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
                change = rng.randrange(5)
                if change == 0:
                    tree[key] = value.astype(
                        rng.choice(("float16", "float64", "int8", "uint16", "bool", "complex64", ">f4"))
                    )
                elif change == 1:
                    tree[key] = np.full_like(
                        value, rng.choice((np.nan, np.inf, 3e38)) if value.dtype.kind == "f" else 0
                    )
                elif change == 2:
                    tree[key] = np.asfortranarray(value.T)
                elif change == 3:
                    tree[key] = value.reshape(-1)[: rng.choice((0, 1))]
                else:
                    tree[key] = (rng.choice(("x", "", key)), value)
    return tree


def _strange_arrays() -> list[Any]:
    return [
        np.zeros(0, np.float32), np.zeros((0, 3)), np.array(1.5), np.array(["a"]), np.array([None]), np.zeros(3,
        "M8[s]"),
        np.zeros(2, [("a", "i4")]), np.float32(1), np.zeros((1,) * 20), (1, 2), ("a", np.zeros(2)), b"bytes",
        bytearray(b"x"),
        {1, 2}, 1j, range(3), {"__array__": ["<f4", [2], b"12345678"]}, {"__array__": ["O", [1], b"12345678"]},
        {"__array__": ["<f4", [-1], b"1234"]}, {"__array__": 1}, {"__array__": ["<f4", [10**12], b""]},
    ]  # fmt: skip


def _pickled(rng: Random, tree: Any, protocol: int | None = None) -> bytes:
    try:
        return pickle.dumps(tree, rng.randrange(6) if protocol is None else protocol)
    except RecursionError:
        return b""


_PICKLE_WORDS = (
    b"cos\nsystem\n", b"\x8c\x02os\x8c\x06system\x93", b"R.", b"h\x00", b"\x94", b"(", b"t", b"u.", b"}", b"]",
    b"2" * 200,
    b"(" * 200, b"]" + b"h\x00a" * 3, b"cnumpy\ndtype\n", b"(S'f4'\nI0\nI1\ntR",
    b"\x95\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"B\xff\xff\xff\x7f", b"I" + b"9" * 100 + b"\n", b"F1e999\n", b"V\\ud800\n", b"q\x00", b"c__builtin__\neval\n",
    b"b", b"\x87",
)  # fmt: skip
