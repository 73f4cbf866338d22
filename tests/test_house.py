"""The floors of the house (docs/internals.md), as `make lint` checks them."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def test_a_floor_imports_from_floors_below_it_only():
    pytest.importorskip("importlinter", reason="import-linter is not installed: pip install 'ocrexp[dev]'")
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", command, "--no-cache"], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stdout


def test_no_two_files_import_each_other():
    grimp = pytest.importorskip("grimp", reason="import-linter is not installed: pip install 'ocrexp[dev]'")
    graph = grimp.build_graph("ocrexp", exclude_type_checking_imports=True, cache_dir=None)
    imports = {module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules}
    while ends := [module for module, others in imports.items() if not others & imports.keys()]:
        for module in ends:
            del imports[module]
    assert not imports, "a circle of files is among these"


def test_no_two_public_classes_have_one_name():
    places: dict[str, list[str]] = {}
    for path in sorted((ROOT / "ocrexp").rglob("*.py")):
        for statement in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(statement, ast.ClassDef) and not statement.name.startswith("_"):
                places.setdefault(statement.name, []).append(str(path.relative_to(ROOT)))
    assert {name: files for name, files in places.items() if len(files) > 1} == {}
