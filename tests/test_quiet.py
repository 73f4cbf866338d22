"""What image decoders print stays off the screen; everything else that is written meanwhile is shown."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from ocrexp import quiet


@pytest.fixture
def enabled(monkeypatch):
    monkeypatch.setattr(quiet, "_enabled", True)


def test_lines_of_the_decoders_are_dropped_and_others_kept(enabled, capfd) -> None:
    with quiet.quiet():
        os.write(2, b"libpng warning: iCCP: known incorrect sRGB profile\n")
        os.write(2, b"Corrupt JPEG data: 978 extraneous bytes before marker 0xd9\nPremature end of JPEG file\n")
        os.write(2, b"ocrexp: a.png: this is ours\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "ocrexp: a.png: this is ours\nafter\n"


def test_threads_may_overlap(enabled, capfd) -> None:
    barrier = threading.Barrier(4)

    def work(number: int) -> None:
        for _ in range(50):
            with quiet.quiet():
                os.write(2, b"libpng error: bad\n")
        barrier.wait()
        os.write(2, f"{number}\n".encode())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(capfd.readouterr().err.split()) == ["0", "1", "2", "3"]


def test_a_forked_child_has_a_screen_of_its_own(enabled, capfd) -> None:
    with quiet.quiet():
        child = os.fork()
        if child == 0:
            os.write(2, b"child\n")
            with quiet.quiet():
                os.write(2, b"Corrupt JPEG data: x\n")
            os._exit(0)
        os.waitpid(child, 0)
    assert capfd.readouterr().err == "child\n"


def test_a_damaged_jpeg_prints_nothing_in_a_command_and_is_untouched_in_a_library(tmp_path: Path) -> None:
    done, data = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8))
    assert done
    damaged = bytearray(data.tobytes())
    damaged[len(damaged) // 2 : len(damaged) // 2 + 400] = bytes(400)
    (tmp_path / "a.jpg").write_bytes(damaged)
    code = (
        "from ocrexp.data.images import read_image; from pathlib import Path; import sys; "
        "from ocrexp.logs import show_notices; sys.argv[2:] and show_notices(); read_image(Path(sys.argv[1]))"
    )
    for extra, silent in (([], False), (["command"], True)):
        ran = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "a.jpg"), *extra], capture_output=True, check=True
        )
        assert (ran.stderr == b"") == silent
