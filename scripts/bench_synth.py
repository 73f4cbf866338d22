"""Recognition words drawn per second, in one process each, in turn: ocrexp, and TRDG in an environment of its own.

    python -m venv trdg && trdg/bin/pip install trdg 'pillow<10'      # TRDG 1.8 calls what Pillow 10 has removed
    python scripts/bench_synth.py --trdg trdg/bin/python --styled DATA/sroie_rec

Both draw the same words at about the same height, with random turns, blur and backgrounds, and encode them as JPEG in
memory. With `--styled`, words in the look of the first 200 lines of a recognition list are drawn too; the measuring of
the looks, which is done once, is not counted. Seconds are processor time of the process after a warm-up, so that other
work on the machine matters little.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

TRDG = """
import io, json, sys, time
from trdg.generators import GeneratorFromStrings
words = json.load(open(sys.argv[1]))
count = int(sys.argv[2])
made = GeneratorFromStrings(words, count=count + 50, size=40, skewing_angle=4, random_skew=True, blur=1,
                            random_blur=True, background_type=0)
for number, (image, text) in enumerate(made):
    if number == 50:
        began = time.process_time()
    image.convert("RGB").save(io.BytesIO(), "JPEG", quality=90)
print(json.dumps(count / (time.process_time() - began)))
"""


def own(words: Path, count: int, styled: str | None = None) -> float:
    """Words per second of processor time, encoding included."""
    sys.path.insert(0, str(ROOT))
    import cv2

    from ocrexp.data.synth.cache import encode
    from ocrexp.data.synth.rec_dataset import SynthRec
    from ocrexp.data.synth.style.dataset import StyledRec
    from ocrexp.data.synth.text.corpus import Corpus

    cv2.setNumThreads(1)
    if styled is None:
        source: SynthRec | StyledRec = SynthRec(None, count, 2, text={"corpus": Corpus(str(words), unit="word")})
    else:
        source = StyledRec(styled, "train_list.txt", "train_list.txt", most_looks=200, cache_dir=str(words.parent))
    for index in range(50):
        encode(source.draw("train", index), "")
    began = time.process_time()
    for index in range(50, count + 50):
        encode(source.draw("train", index), "")
    return count / (time.process_time() - began)


def peer(python: str, words: Path, count: int) -> float:
    """The same of TRDG."""
    command = [python, "-c", TRDG, str(words), str(count)]
    return float(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1]))


def main() -> None:
    """Measure in turn and print words per second."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trdg", help="Python of an environment with TRDG")
    parser.add_argument("--styled", help="folder of train_list.txt, real lines whose look is drawn")
    parser.add_argument("--words", type=int, default=1000, help="of each measurement (1000)")
    parser.add_argument("--turns", type=int, default=3, help="measurements of each (3)")
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    import numpy as np

    from ocrexp.data.synth.words import WordMaker

    maker, rng = WordMaker("train"), np.random.default_rng(0)
    listed = [maker.word(rng).capitalize() for _ in range(2000)]
    listed += [WordMaker("val").word(rng) for _ in range(100)]
    with tempfile.TemporaryDirectory() as place:
        text, values = Path(place) / "words.txt", Path(place) / "words.json"
        text.write_text("\n".join(listed) + "\n", encoding="utf-8")
        values.write_text(json.dumps(listed), encoding="utf-8")
        for _ in range(options.turns):
            line = f"ocrexp {own(text, options.words):.0f} words/s"
            if options.styled:
                line += f", in the look of real lines {own(text, options.words, options.styled):.0f} words/s"
            if options.trdg:
                line += f", TRDG {peer(options.trdg, values, options.words):.0f} words/s"
            print(line, flush=True)


if __name__ == "__main__":
    main()
