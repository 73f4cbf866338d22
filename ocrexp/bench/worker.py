"""A process that holds one OCR tool and runs it when asked, so that several can be timed in turn on the same images.

It reads requests from standard input and answers on standard output, one JSON object a line. The first request says
what to open, each further one names the images. The timing, the decoding and the memory are the same for all tools:
other tools' scripts load this file by its path, so it imports nothing of this package but in `open_ocrexp`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
TASKS = ("det", "rec", "system")


class Tool(Protocol):
    """An opened tool. `settings` is what others need to know to do the same."""

    settings: dict[str, Any]

    def run(self, images: list[Image]) -> list[Any]:
        """Of each image: boxes (det), [text, score] (rec), [box, text, score] of each line (system)."""

    def stages(self, images: list[Image]) -> dict[str, float]:
        """Seconds of each stage over the images."""


def serve(open_tool: Callable[[dict[str, Any]], Tool]) -> None:
    """Answer requests until standard input ends. What libraries print goes to standard error."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(**values: Any) -> None:
        channel.write(json.dumps(values) + "\n")
        channel.flush()

    tool = open_tool(json.loads(sys.stdin.readline()))
    answer(settings=tool.settings)
    for line in sys.stdin:
        request = json.loads(line)
        started = time.perf_counter()
        images = [_decoded(path) for path in request["images"]]
        decoded = time.perf_counter()
        stages = {}
        if request.get("stages"):
            stages = {"decode": decoded - started, **tool.stages(images)}
        began, work = time.perf_counter(), time.process_time()
        results = tool.run(images)
        seconds, work = time.perf_counter() - began, time.process_time() - work
        answer(seconds=seconds, work=work, results=results, stages=stages, memory_mb=peak_memory())


def _decoded(path: str) -> Image:
    image = cv2.imread(path)
    if image is None:
        raise SystemExit(f"{path}: is not an image")
    return image.astype(np.uint8, copy=False)


def peak_memory() -> float:
    """The most memory that this process has held, in MB (10⁶ bytes)."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 (no package of ours, no Path needed)
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        pass  # not Linux
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


class _Ocrexp:
    """This package's runtime as a tool."""

    def __init__(self, request: dict[str, Any]) -> None:
        shared = {"backend": request["backend"], "threads": request["threads"]}
        det_args, rec_args = dict(request["det_args"]), dict(request["rec_args"])
        rec_args.setdefault("rec_batch_num", request["batch"])
        self.task = request["task"]
        self.detector: Any = None
        self.recognizer: Any = None
        if self.task == "system":
            from ocrexp.deploy import TextSystem

            arguments = {**det_args, **rec_args, **shared}
            self.system = TextSystem(request["det"], request["rec"], drop_score=request["drop_score"], **arguments)
            self.detector, self.recognizer = self.system.detector, self.system.recognizer
        elif self.task == "det":
            from ocrexp.deploy import TextDetector

            self.detector = TextDetector(request["det"], **det_args, **shared)
        else:
            from ocrexp.deploy import TextRecognizer

            self.recognizer = TextRecognizer(request["rec"], **rec_args, **shared)
        self.settings: dict[str, Any] = {}
        if self.detector is not None:
            self.settings |= self._of_detector(det_args)
        if self.recognizer is not None:
            resize = self.recognizer.resize
            self.settings["rec_image_shape"] = [3, *resize.image_shape]

    def run(self, images: list[Image]) -> list[Any]:
        if self.task == "det":
            return [self.detector(image)[0].tolist() for image in images]
        if self.task == "rec":
            return [list(result) for result in self.recognizer(images)[0]]
        return [[[box.tolist(), text, score] for box, (text, score) in self.system(image)] for image in images]

    def stages(self, images: list[Image]) -> dict[str, float]:
        totals: dict[str, float] = {}
        if self.task == "rec":
            return totals
        for image in images:
            if self.task == "system":
                self.system(image)
                stages = self.system.timings
            else:
                started = time.perf_counter()
                prepared, shape = self.detector.prepare(image)
                ready = time.perf_counter()
                maps = self.detector.infer(prepared)
                inferred = time.perf_counter()
                self.detector.regions(maps, shape)
                stages = {
                    "prepare": ready - started,
                    "network": inferred - ready,
                    "postprocess": time.perf_counter() - inferred,
                }
            for name, seconds in stages.items():
                totals[name] = totals.get(name, 0.0) + seconds
        return totals

    def _of_detector(self, arguments: dict[str, Any]) -> dict[str, Any]:
        resize, postprocess = self.detector.resize, self.detector.postprocess
        by_limit = resize.image_shape is None and resize.resize_long is None
        return {
            "limit_side_len": resize.limit_side_len if by_limit else None,
            "limit_type": resize.limit_type if by_limit else None,
            "thresh": postprocess.thresh,
            "box_thresh": postprocess.box_thresh,
            "unclip_ratio": postprocess.unclip_ratio,
            "score_mode": postprocess.score_mode,
            "use_dilation": postprocess.use_dilation,
            "mean": list(arguments.get("det_mean") or self.detector.description.mean),
            "std": list(arguments.get("det_std") or self.detector.description.std),
        }


if __name__ == "__main__":
    serve(_Ocrexp)
