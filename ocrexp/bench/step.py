"""How long a training step takes here: forward, loss, backward, optimizer, with drawn data.

Threads, matrix library and memory allocator are set when a process starts, so each measurement runs in a process of
its own. `python -m ocrexp.bench.step` is that process: a JSON object on its standard input, one on its output.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from ocrexp import environment
from ocrexp.errors import TrainingError

if TYPE_CHECKING:
    import numpy as np

# The recipe of det_mv3_db.
DB_MBV3: dict[str, Any] = {
    "_target_": "ocrexp.models.model.OCRModel",
    "backbone": {
        "_target_": "ocrexp.models.backbones.mobilenet_v3.MobileNetV3",
        "model_name": "large",
        "scale": 0.5,
        "disable_se": False,
    },
    "neck": {"_target_": "ocrexp.models.necks.db_fpn.DBFPN", "_partial_": True, "out_channels": 256},
    "head": {"_target_": "ocrexp.models.heads.db.DBHead", "_partial_": True, "k": 50},
    "normalize": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
}
DB_LOSS: dict[str, Any] = {"_target_": "ocrexp.losses.db.DBLoss"}

# The recipe of rec_mv3_none_bilstm_ctc, with its 36 characters and the blank.
CLASSES = 37
CRNN_MBV3: dict[str, Any] = {
    "_target_": "ocrexp.models.model.OCRModel",
    "backbone": {
        "_target_": "ocrexp.models.backbones.rec_mobilenet_v3.RecMobileNetV3",
        "model_name": "large",
        "scale": 0.5,
    },
    "neck": {"_target_": "ocrexp.models.necks.sequence.RNNEncoder", "_partial_": True, "hidden_size": 96},
    "head": {"_target_": "ocrexp.models.heads.ctc.CTCHead", "_partial_": True, "out_channels": CLASSES},
    "normalize": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
}
CTC_LOSS: dict[str, Any] = {"_target_": "ocrexp.losses.ctc.CTCLoss"}

Task = Literal["det", "rec"]
_RECIPES: dict[Task, tuple[dict[str, Any], dict[str, Any]]] = {
    "det": (DB_MBV3, DB_LOSS),
    "rec": (CRNN_MBV3, CTC_LOSS),
}

_OWN_MODEL_KEYS = ("pretrained", "pretrained_min_coverage", "freeze", "unfreeze_after_steps", "name")


@dataclass(frozen=True, slots=True)
class StepTiming:
    """One measurement: `seconds` is the median of `steps`, `peak_memory` that of the process in bytes.

    `image_size` is (height, width).
    """

    tuned: bool
    device: str
    batch_size: int
    image_size: list[int]
    seconds: float
    steps: list[float]
    peak_memory: int
    settings: list[str]
    loss: float

    @property
    def images_per_second(self) -> float:
        return self.batch_size / self.seconds


def time_training_step(
    model: Mapping[str, Any] | None = None,
    loss: Mapping[str, Any] | None = None,
    batch_size: int = 8,
    image_size: int | tuple[int, int] = 640,
    steps: int = 3,
    warmup: int = 1,
    tuned: bool = True,
    threads: int | None = None,
    device: str = "cpu",
    task: Task = "det",
) -> StepTiming:
    """Times training steps of a detector or a recognizer in a fresh process.

    Args:
        model, loss: plain config nodes with `_target_`; None: DB with MobileNetV3 ×0.5 and FPN 256, DBLoss; of a
            recognizer CRNN with MobileNetV3 ×0.5 and 36 characters, CTCLoss.
        batch_size: images per step.
        image_size: side of square images, or height and width; for a detector multiples of 32.
        steps: counted steps.
        warmup: steps before them that are not counted (the first allocates memory and compiles kernels).
        tuned: with what ocrexp sets on a CPU; False: as paddle comes, and with its own kernels.
        threads: of the tuned process; None: all cores.
        device: `cpu` or `gpu`.
        task: what the drawn batch holds: `det` DB's maps, `rec` CTC's labels.

    Raises:
        TrainingError: the process failed; its last line says why.
    """
    usual_model, usual_loss = _RECIPES[task]
    request = {
        "task": task,
        "model": {key: value for key, value in dict(model or usual_model).items() if key not in _OWN_MODEL_KEYS},
        "loss": dict(loss or usual_loss),
        "batch_size": batch_size,
        "image_size": [image_size, image_size] if isinstance(image_size, int) else list(image_size),
        "steps": steps,
        "warmup": warmup,
        "tuned": tuned,
        "threads": threads,
        "device": device,
    }
    child = subprocess.run(
        [sys.executable, "-m", "ocrexp.bench.step"],
        input=json.dumps(request),
        env=environment.untouched(),
        capture_output=True,
        text=True,
        check=False,
    )
    if child.returncode:
        reason = (child.stderr.strip() or f"exit code {child.returncode}").splitlines()[-1]
        raise TrainingError(f"the timed training step failed: {reason}; try a smaller batch_size or image_size")
    return StepTiming(**json.loads(child.stdout.splitlines()[-1]))


def _measure(request: Mapping[str, Any]) -> StepTiming:
    settings = environment.prepare(request["tuned"], request["threads"])
    import paddle
    from omegaconf import OmegaConf

    from ocrexp.config.build import build

    paddle.device.set_device(request["device"])
    paddle.seed(0)
    model = build(OmegaConf.create(request["model"]))
    loss = build(OmegaConf.create(request["loss"]))
    optimizer = paddle.optimizer.Adam(1e-3, parameters=model.parameters())
    model.train()

    count, (height, width) = request["batch_size"], request["image_size"]
    batch = _BATCHES[request["task"]](count, height, width)
    seconds, value = [], float("nan")
    for _ in range(request["warmup"] + request["steps"]):
        start = time.perf_counter()
        tensors = {name: paddle.to_tensor(array) for name, array in batch.items()}
        losses = loss(model(tensors["image"], tensors), tensors)
        losses["loss"].backward()
        optimizer.step()
        optimizer.clear_grad()
        value = float(losses["loss"])  # waits for the device
        seconds.append(time.perf_counter() - start)
    from ocrexp.bench.worker import peak_memory  # now, because it imports OpenCV

    counted = seconds[request["warmup"] :]
    return StepTiming(
        tuned=request["tuned"],
        device=str(paddle.device.get_device()),
        batch_size=count,
        image_size=[height, width],
        seconds=statistics.median(counted),
        steps=counted,
        peak_memory=int(peak_memory() * 1e6),
        settings=settings,
        loss=value,
    )


def _detection_batch(count: int, height: int, width: int) -> dict[str, np.ndarray]:
    """Noise with DB's maps: a tenth of the image is text."""
    import numpy as np

    rng = np.random.default_rng(0)
    text = rng.random((count, height // 16, width // 16)).repeat(16, axis=1).repeat(16, axis=2) < 0.1
    return {
        "image": rng.integers(0, 256, (count, height, width, 3), dtype=np.uint8),
        "shrink_map": text.astype(np.uint8),
        "shrink_mask": np.ones_like(text, dtype=np.uint8),
        "threshold_map": rng.uniform(0.3, 0.7, text.shape).astype(np.float32),
        "threshold_mask": text.astype(np.uint8),
    }


def _recognition_batch(count: int, height: int, width: int) -> dict[str, np.ndarray]:
    """Noise over the whole width with labels of 3 to 10 characters, 25 places each."""
    import numpy as np

    rng = np.random.default_rng(0)
    return {
        "image": rng.integers(0, 256, (count, height, width, 3), dtype=np.uint8),
        "valid_width": np.full(count, width),
        "label_ctc": rng.integers(1, CLASSES, (count, 25)),
        "length": rng.integers(3, 11, count),
    }


_BATCHES = {"det": _detection_batch, "rec": _recognition_batch}


if __name__ == "__main__":
    # Libraries that print must not touch the answer.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    print(json.dumps(asdict(_measure(json.load(sys.stdin)))), file=answer, flush=True)
