"""What `ocrexp export` says to arguments that cannot be."""

import pytest

from ocrexp.__main__ import main


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "add run_dir="),
        (["run_dir=nowhere"], "run_dir=nowhere: folder not found"),
        (["run_dir=nowhere", "export.format=onx"], "export.format=onx: unknown format; did you mean onnx?"),
        (["run_dir=nowhere", "export.formt=onnx"], "export.formt"),
        (["run_dir=nowhere", "export.parity.images=0"], "export.parity.images: expected 1 or more, or null"),
        (
            ["run_dir=nowhere", "export.parity.tolerance=2"],
            "export.parity.tolerance: expected a number from 0 to",
        ),
        (["checkpoint=a.pdparams"], "export: missing the model of the file; add model="),
    ],
)
def test_bad_arguments_are_one_line(arguments, said, capsys):
    assert main(["export", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("ocrexp: ")
    assert error.count("\n") == 1
    assert said in error


def test_a_folder_of_other_things_is_left_alone(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("")
    assert main(["export", "model=db_mbv3", "checkpoint=a.pdparams", f"export.dir={tmp_path}"]) == 2
    assert "exists and is not an export" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(("place", "said"), [(".", "exists and is not an export"), ("/", "choose another folder")])
def test_a_folder_without_a_name_is_one_line(place, said, tmp_path, monkeypatch, capsys):
    (tmp_path / "notes.txt").write_text("")
    monkeypatch.chdir(tmp_path)
    assert main(["export", "model=db_mbv3", "checkpoint=a.pdparams", f"export.dir={place}"]) == 2
    assert said in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" / "inference"
    assert main(["export", "model=db_mbv3", "checkpoint=a.pdparams", f"export.dir={place}"]) == 2
    assert "cannot be created" in capsys.readouterr().err
