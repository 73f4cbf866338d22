"""Descriptions of exported models."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from fuzzing.target import Input, Target, changed_yaml

_FOREIGN = b"""\
Global: {model_name: PP-OCRv5_mobile_rec}
PreProcess:
  transform_ops:
  - DecodeImage: {channel_first: false, img_mode: BGR}
  - MultiLabelEncode: {gtc_encode: NRTRLabelEncode}
  - RecResizeImg: {image_shape: [3, 48, 320]}
  - KeepKeys: {keep_keys: [image, label_ctc, label_gtc, length, valid_ratio]}
PostProcess:
  name: CTCLabelDecode
  character_dict: [a, b, c, 0, 1]
"""


class Descriptions(Target):
    """`inference.yml`, read and used as `predict` does, with a network that gives what it should."""

    name = "descriptions"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        from ocrexp.deploy import classifier, detector, recognizer
        from ocrexp.deploy.description import Description

        for module in (classifier, detector, recognizer):
            module.open_backend = _StandIn  # type: ignore[assignment]
        self.seeds = []
        for task in ("det", "rec", "cls"):
            described = Description.default(task)  # type: ignore[arg-type]
            if task == "rec":
                described = described.with_characters("abcdefgh ")
            described.write(folder / "seed.yml")
            content = (folder / "seed.yml").read_bytes()
            self.seeds.append(content)
            self.seeds.append(content.partition(b"Ocrexp:")[0])  # as PaddleOCR writes it
        self.seeds.append(_FOREIGN)
        rng = np.random.default_rng(0)
        self.page = rng.integers(0, 255, (40, 120, 3), dtype=np.uint8)
        (folder / "export").mkdir()
        (folder / "export" / "inference.onnx").write_bytes(b"x")

    def example(self, rng: Random) -> Input:
        return Input("export/inference.yml", changed_yaml(rng, self.seeds))

    def run(self, given: Input) -> None:
        from ocrexp.config.frozen import exported_task
        from ocrexp.deploy.classifier import TextClassifier
        from ocrexp.deploy.detector import TextDetector
        from ocrexp.deploy.folder import ModelFolder
        from ocrexp.deploy.recognizer import TextRecognizer

        path = self.write(given)
        exported_task(path.parent)
        _StandIn.labels = 0
        described = ModelFolder.open(path.parent).description
        assert described is not None
        described.write(self.folder / "again.yml")
        if described.task == "det":
            TextDetector(path.parent).detect(self.page)
        elif described.task == "rec":
            _StandIn.classes_of = 1 + len(described.characters or ())
            TextRecognizer(path.parent).recognize([self.page])
        else:
            classifier = TextClassifier(path.parent)
            _StandIn.labels = len(classifier.labels)
            classifier([self.page])


class _StandIn:
    """An exported network that runs nothing: maps of noise, and logits of a number of classes."""

    classes_of = 10
    labels = 0  # of a classifier

    def __init__(self, *given: Any, **named: Any) -> None:  # noqa: ARG002 - of a backend
        self.classes: int | None = None
        self.channels: int | None = None
        self.metadata: dict[str, str] = {}
        self.streams = 1
        self.device, self.threads, self.name = "cpu", 1, "none"

    def run_all(self, images: Any) -> list[Any]:
        rng = np.random.default_rng(0)
        if self.labels:
            return [rng.random((len(images), self.labels), np.float32)]
        if images.shape[2] == self.side_of_maps(images):
            return [rng.random((len(images), 1, *images.shape[2:]), np.float32)]
        return [rng.random((len(images), 8, self.classes_of), np.float32)]

    def side_of_maps(self, images: Any) -> int:
        """Detectors take sides that are multiples of 32."""
        return int(images.shape[2]) if images.shape[2] % 32 == 0 and images.shape[3] % 32 == 0 else -1

    def run(self, images: Any) -> Any:
        return self.run_all(images)[0]

    def map(self, function: Any, items: Any) -> list[Any]:
        return [function(item) for item in items]
