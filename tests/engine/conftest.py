"""Puts this folder on the path: the stand-ins are imported by tests and by the processes that tests start."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
