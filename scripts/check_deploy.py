"""Install the wheel in a fresh environment as production does, and read an image with exported models there.

    python scripts/check_deploy.py

Builds the wheel, installs `ocrexp[deploy]` from it, and checks three things: the environment has neither the training
framework nor the configuration library, it is smaller than 350 MB (with pip, without the setuptools of older Pythons),
and an exported detector runs. Run from the environment of a checkout, which exports the detector. Exit code 0 where all
hold.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIMIT_MB = 350
UNWANTED = ("paddle", "hydra", "omegaconf", "matplotlib", "rich", "PIL", "shapely")
PROGRAM = """
import importlib.util, sys
from ocrexp.deploy import TextDetector, TextRecognizer, TextSystem
unwanted = [name for name in sys.argv[2:] if importlib.util.find_spec(name)]
assert not unwanted, f"installed, though production does not need it: {unwanted}"
boxes, seconds = TextDetector(sys.argv[1])("page.png")
print(f"ocrexp {sys.modules['ocrexp'].__version__}: {len(boxes)} regions in {seconds:.2f} s")
"""


def run(*command: str | Path, cwd: Path) -> None:
    """Run a command; its failure ends the check."""
    subprocess.run([str(word) for word in command], cwd=cwd, check=True)


def main() -> int:
    """Returns 0 where all checks hold."""
    with tempfile.TemporaryDirectory(prefix="ocrexp-deploy-") as temporary:
        folder = Path(temporary)
        run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT, cwd=folder)
        wheel = next(folder.glob("*.whl"))
        with tarfile.open(ROOT / "tests" / "golden" / "runs" / "f584fdc.tar.xz") as archive:
            archive.extractall(folder, filter="data")
        run(sys.executable, "-m", "ocrexp", "export", "run_dir=det", "export.format=[onnx]", cwd=folder)
        (folder / "pages" / "images" / "2.png").rename(folder / "page.png")
        environment = folder / "environment"
        run(sys.executable, "-m", "venv", environment, cwd=folder)
        python = environment / "bin" / "python"
        pinned = ["--constraint", str(ROOT / "constraints.txt")]  # the size is of these versions
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run(*pip, *pinned, f"{wheel}[deploy]", cwd=folder)
        # Only venv of Python 3.11 and older installs setuptools, 9 MB that nothing here uses.
        run(python, "-m", "pip", "uninstall", "--quiet", "--yes", "setuptools", cwd=folder)
        disk = subprocess.run(["du", "-sm", environment], capture_output=True, text=True, check=True).stdout
        size = int(disk.split()[0])
        run(python, "-c", PROGRAM, "det/inference", *UNWANTED, cwd=folder)
    print(f"the environment takes {size} MB on the disk (limit: {LIMIT_MB} MB)")
    return int(size >= LIMIT_MB)


if __name__ == "__main__":
    sys.exit(main())
