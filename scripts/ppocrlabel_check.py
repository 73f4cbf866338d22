"""Corrects a prediction with the real PPOCRLabel and reads it back: open, change a text, check, close, convert.

    python -m ocrexp predict images=PHOTOS det=DIR rec=DIR output=OUT sort=uncertain correct=ppocrlabel
    python scripts/ppocrlabel_check.py OUT --python ENV/bin/python --shots SHOTS

ENV is an environment with PPOCRLabel 3 and what its window needs: `pip install --no-deps PPOCRLabel`, then `pip install
PyQt5 openpyxl pandas premailer requests tqdm numpy opencv-python-headless Pillow`. The program loads PaddleOCR's models
at its start, to label images itself. This script replaces the modules `paddle` and `paddleocr` by ones that do nothing,
so that neither package and no weights are needed. All other code is the program's own; key presses and mouse clicks
reach its widgets through Qt's test module. Without a display, an X server is started (Debian: apt-get install xvfb
libxkbcommon-x11-0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-render-util0 libxcb-xinerama0 libxcb-shape0).

OUT is not changed: the program works on a copy. Prints each check; exit code 1 if one fails.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TYPED = "corrected: null & false"  # PPOCRLabel replaces such words when it reads a file
STAND_INS = {
    "paddle": "def is_compiled_with_cuda():\n    return False\n",
    "paddleocr": "class PaddleOCR:\n    def __init__(self, **options):\n        pass\n"
    "TextRecognition = TextDetection = PPStructureV3 = PaddleOCR\n",
}


def inside(folder: str, shots: Path) -> None:
    """What happens in PPOCRLabel's process: prints what it shows as one line of JSON."""
    from PPOCRLabel import PPOCRLabel as program
    from PyQt5.QtCore import Qt, QTimer
    from PyQt5.QtTest import QTest
    from PyQt5.QtWidgets import QFileDialog, QLineEdit, QMessageBox

    app, window = program.get_main_app(["PPOCRLabel", "--lang", "en"])
    window.resize(1380, 860)
    QTest.qWait(500)

    def shot(name: str) -> None:
        QTest.qWait(400)
        app.primaryScreen().grabWindow(0).save(str(shots / name))

    def answer_dialogs() -> None:
        dialog = app.activeModalWidget()
        if isinstance(dialog, QFileDialog):
            line = dialog.findChild(QLineEdit)
            line.clear()
            QTest.keyClicks(line, folder)
            QTest.keyClick(line, Qt.Key_Return)
        elif isinstance(dialog, QMessageBox):
            QTest.keyClick(dialog, Qt.Key_Return)

    timer = QTimer()
    timer.timeout.connect(answer_dialogs)
    timer.start(700)
    QTest.keyClick(window, Qt.Key_U, Qt.ControlModifier)
    window.activateWindow()  # a window manager does this when the dialog closes
    QTest.qWaitForWindowActive(window)
    shot("1_opened.png")
    files = [window.fileListWidget.item(row).text() for row in range(window.fileListWidget.count())]
    texts = [window.labelList.item(row).text() for row in range(window.labelList.count())]
    row = len(texts) // 2
    window.labelList.scrollToItem(window.labelList.item(row))
    place = window.labelList.visualItemRect(window.labelList.item(row)).center()
    QTest.mouseClick(window.labelList.viewport(), Qt.LeftButton, pos=place)
    QTest.qWait(200)
    editor = window.labelList.findChild(QLineEdit)
    QTest.keyClick(editor, Qt.Key_A, Qt.ControlModifier)
    QTest.keyClicks(editor, TYPED)
    shot("2_typed.png")
    QTest.keyClick(editor, Qt.Key_Return)
    QTest.mouseClick(window.SaveButton, Qt.LeftButton)
    shot("3_checked.png")
    second = [window.labelList.item(place).text() for place in range(window.labelList.count())]
    window.close()
    QTest.qWait(200)
    print(json.dumps({"files": files, "texts": texts, "row": row, "second": second}))


@contextmanager
def display() -> Iterator[str]:
    """The name of an X display: the given one, or that of a server which is started."""
    if os.environ.get("DISPLAY"):
        yield os.environ["DISPLAY"]
        return
    reading, writing = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1400x900x24", "-nolisten", "tcp"],
        pass_fds=[writing], stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(writing)
    try:
        with os.fdopen(reading) as number:
            yield f":{number.readline().strip()}"
    finally:
        server.terminate()
        server.wait()


def corrected(python: str, folder: Path, shots: Path, work: Path) -> dict[str, list[str]]:
    """Run PPOCRLabel on a folder; what it showed."""
    for name, code in STAND_INS.items():
        (work / "stand_ins" / name).mkdir(parents=True)
        (work / "stand_ins" / name / "__init__.py").write_text(code)
    with display() as name:
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(work), "DISPLAY": name, "QT_QPA_PLATFORM": "xcb",
            "PYTHONPATH": str(work / "stand_ins"), "LANG": "C.UTF-8",
        }  # fmt: skip
        command = [python, __file__, str(folder), "--inside", "--shots", str(shots)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        sys.exit(f"PPOCRLabel failed with code {done.returncode}:\n{done.stderr[-3000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> int:
    """Run the checks; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="the output folder of predict, with correct=ppocrlabel")
    parser.add_argument("--python", help="the interpreter of an environment with PPOCRLabel")
    parser.add_argument("--shots", type=Path, default=Path("shots"), help="folder for screenshots")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.shots.mkdir(parents=True, exist_ok=True)
    if options.inside:
        inside(str(options.output), options.shots)
        return 0
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from ocrexp.__main__ import main as ocrexp
    from ocrexp.data.formats.ppocrlabel import UNREAD
    from ocrexp.data.lists import DetLists

    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        folder = work / "copy" / "ppocrlabel"
        shutil.copytree(options.output / "ppocrlabel", folder)
        lines = (folder / "Cache.cach").read_text("utf-8").splitlines()
        drafts = {line.partition("\t")[0].rpartition("/")[2]: json.loads(line.partition("\t")[2]) for line in lines}
        names = list(drafts)
        started = time.perf_counter()
        shown = corrected(options.python or sys.executable, folder, options.shots.resolve(), work)
        print(f"PPOCRLabel ran for {time.perf_counter() - started:.1f} s")
        label = work / "converted"
        code = ocrexp(["convert", f"root={folder}", f"out={label}"])
        before = drafts[names[0]]
        row = int(shown["row"])  # type: ignore[call-overload]
        expected = [region["transcription"] for region in before]
        checks = {
            "the program lists the images in the order of the folder": shown["files"] == names,
            "it shows the predicted texts of the first image": shown["texts"] == expected,
            "it shows those of the second image after a click on Check": shown["second"]
            == [region["transcription"] for region in drafts[names[1]]],
            "convert recognizes and reads the folder": code == 0,
        }
        if code == 0:
            (listed,) = label.glob("*.txt")
            records = DetLists(label, listed, listed).train_records()
            expected[row] = TYPED
            moved = [
                abs(float(a) - float(b))
                for region, polygon in zip(before, records[0].polygons, strict=True)
                for one, other in zip(region["points"], polygon, strict=True)
                for a, b in zip(one, other, strict=True)
            ]
            texts = ["" if text == UNREAD else text for text in expected]
            checks |= {
                "only the confirmed image is in the result": len(records) == 1,
                "its texts are the predicted ones and the typed one": list(records[0].texts) == texts,
                f"its points moved by less than a pixel (at most {max(moved):.2f})": max(moved) < 1,
            }
        for what, good in checks.items():
            print(f"{'yes' if good else 'NO '}  {what}")
        return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
