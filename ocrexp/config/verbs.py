"""The verbs of the command line and their summaries."""

from __future__ import annotations

VERBS = {
    "train": "compose, check, train, evaluate at the end; the default",
    "resume": "continue a run folder exactly where it stopped",
    "eval": "evaluate a run or a checkpoint on a dataset",
    "predict": "read images with exported models: JSON lines, labels, pictures",
    "eval-system": "detector and recogniser together on labelled images: end-to-end hmean",
    "export": "turn a run into files for deployment (Paddle, ONNX), checked against the trained model",
    "synth": "draw a labelled synthetic dataset",
    "convert-config": "turn a PaddleOCR training file into an experiment file",
    "doctor": "show what this machine has to train with: Python, paddle, GPUs, disk, fonts, packages",
    "bench": "time the data pipeline, the training step, metric and postprocess",
}
