"""Draws a tall page of lines and prints how many an exported detector finds without and with tiles, and the time.

    python scripts/bench_tiles.py --det outputs/DET/inference --height 12000 --width 800

A line counts as found once where exactly one box overlaps it by half of its height, and as doubled where more do.
"""

from __future__ import annotations

import argparse
import logging
import resource
import sys
import time

import cv2
import numpy as np
import numpy.typing as npt

from ocrexp.deploy import TextDetector

WORDS = ("invoice", "total amount", "see you tomorrow", "29.90 EUR", "delivered", "page", "Thank you", "order 4711")


def draw(height: int, width: int, every: int) -> tuple[npt.NDArray[np.uint8], list[tuple[int, int]]]:
    """A white page of black lines, and top and bottom of each."""
    page = np.full((height, width, 3), 255, np.uint8)
    lines = []
    for number, top in enumerate(range(40, height - 60, every)):
        text = f"{WORDS[number % len(WORDS)]} {number}"
        cv2.putText(page, text, (40, top + 26), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (0, 0, 0), 2, cv2.LINE_AA)
        lines.append((top, top + 34))
    return page, lines


def main() -> int:
    """Measure and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--det", required=True, help="exported detector")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--height", type=int, default=12000)
    parser.add_argument("--width", type=int, default=800)
    parser.add_argument("--every", type=int, default=100, help="pixels from line to line")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    logging.getLogger("ocrexp").setLevel(logging.ERROR)  # that the page is shrunk is what is measured
    page, lines = draw(arguments.height, arguments.width, arguments.every)
    for tile in (False, True):
        detector = TextDetector(arguments.det, arguments.backend, tile=tile)
        seconds = []
        for _ in range(arguments.repeats):
            started, work = time.perf_counter(), time.process_time()
            boxes = detector.detect(page).polygons
            seconds.append((time.perf_counter() - started, time.process_time() - work))
        hits = [0] * len(lines)
        for box in boxes:
            low, high = float(box[:, 1].min()), float(box[:, 1].max())
            for number, (top, bottom) in enumerate(lines):
                hits[number] += min(high, bottom) - max(low, top) > 0.5 * (bottom - top)
        median = [sorted(figures)[len(figures) // 2] for figures in zip(*seconds, strict=True)]
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(
            f"tile={tile}: {sum(hit > 0 for hit in hits)} of {len(lines)} lines found, {sum(hit > 1 for hit in hits)} "
            f"of them as several boxes; {median[0]:.2f} s ({median[1]:.2f} s on a core), at most {memory} MB"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
