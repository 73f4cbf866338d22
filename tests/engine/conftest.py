"""Puts this folder on the path: the stand-ins are imported by tests and by the processes that tests start."""

import logging
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _notices_reach_caplog(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line keeps the package's notices from the root logger, where pytest listens."""
    monkeypatch.setattr(logging.getLogger("ocrexp"), "propagate", True)
