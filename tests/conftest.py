"""Fixtures that say where golden numbers and real images are, and skip with a reason where they are not."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder of golden numbers that travels with the project."""
    return Path(__file__).parent / "golden"


def _from_environment(variable: str, what: str) -> Path:
    value = os.environ.get(variable)
    if not value or not Path(value).is_dir():
        pytest.skip(f"{what}: set {variable} to their folder")
    return Path(value)


@pytest.fixture(scope="session")
def oracle() -> Path:
    """Folder of the full set of golden numbers."""
    return _from_environment("OCREXP_ORACLE", "the full golden numbers are not here")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real labelled images."""
    return _from_environment("OCREXP_DATA", "real labelled images are not here")
