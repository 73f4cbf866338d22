"""Runs are found and become rows: filters, order, repeats, and the overrides that differ."""

import json
import logging
from pathlib import Path

import pytest
from made_runs import make_run

from ocrexp.errors import ConfigError
from ocrexp.report.tables import as_csv, as_latex, as_markdown, rows_as_json
from ocrexp.runs.catalog import find_runs, read_runs
from ocrexp.runs.compared import columns_of, make_table


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Two learning rates and two seeds; job 10 sorts behind job 2."""
    folder = tmp_path / "sweep"
    for number, (lr, seed, best) in enumerate([("1e-4", 0, 0.5), ("0.001", 0, 0.7), ("1e-4", 1, 0.6)]):
        make_run(
            folder / str(number),
            best,
            [f"optim.lr={lr}", f"seed={seed}", "model=crnn"],
            job=True,
            seconds=10.0 * number,
        )
    typed = ["optim.lr=1e-3", "seed=1", "model=crnn", "run_dir=x", "hydra.sweep.dir=y"]
    make_run(folder / "10", None, typed, job=True, state="failed", error="out of memory", val_loss=None)
    return folder


def names(folder: Path, **options) -> list[str]:
    return [row["run"] for row in make_table(read_runs(find_runs([str(folder)])), **options).rows]


def test_runs_are_found_by_folder_sweep_and_pattern(sweep: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert [path.name for path in find_runs([str(sweep)])] == ["0", "1", "2", "10"]
    assert [path.name for path in find_runs([str(sweep / "2"), str(sweep / "1*"), str(sweep)])] == ["2", "1", "10", "0"]
    (sweep / "sweep.csv").write_text("")
    with caplog.at_level(logging.WARNING):
        assert len(find_runs([str(path) for path in sweep.iterdir()])) == 4  # as the shell expands a pattern
    assert "sweep.csv: is a file" in caplog.text
    (sweep.parent / "empty").mkdir()
    for word, reason in (("empty", "contains no run"), ("nothing*", "not found"), ("sweep/sweep.csv", "is a file")):
        with pytest.raises(ConfigError, match=reason):
            find_runs([str(sweep.parent / word)])


def test_only_what_differs_is_shown_and_equal_numbers_do_not(sweep: Path) -> None:
    records = read_runs(find_runs([str(sweep)]))
    table = make_table(records)
    assert table.keys == ["optim.lr", "seed"]
    assert make_table(records, filters=["optim.lr=0.001"]).keys == ["seed"]  # 0.001 and 1e-3
    assert [column.header for column in columns_of(table)][:4] == ["run", "optim.lr", "seed", "accuracy"]
    row = table.rows[0]
    assert (row["run"], row["best"], row["parameters"], row["images_per_second"]) == ("1", 0.7, 2_500_000, 30.0)


def test_order(sweep: Path) -> None:
    assert names(sweep) == ["1", "2", "0", "10"]
    assert names(sweep, sort="-best") == ["0", "2", "1", "10"]  # no value is last either way
    assert names(sweep, sort="seconds")[:3] == ["0", "1", "2"]
    assert names(sweep, sort="optim.lr", limit=2) == ["0", "2"]
    with pytest.raises(ConfigError, match="did you mean seconds"):
        names(sweep, sort="second")


@pytest.mark.parametrize(
    ("condition", "left"),
    [
        ("best>0.5", ["1", "2"]), ("best>=0.5", ["1", "2", "0"]), ("best < 0.6", ["0"]), ("state=failed", ["10"]),
        ("state!=failed", ["1", "2", "0"]), ("optim.lr<=1e-4", ["2", "0"]), ("model=cr*", ["1", "2", "0", "10"]),
        ("seed=1.0", ["2", "10"]), ("best!=0.7", ["2", "0", "10"]), ("run=1*", ["1", "10"]),
    ],
)  # fmt: skip
def test_conditions(sweep: Path, condition: str, left: list[str]) -> None:
    assert names(sweep, filters=[condition]) == left


@pytest.mark.parametrize("condition", ["best", ">0.5", "lr>1"])
def test_conditions_that_cannot_be_read(sweep: Path, condition: str) -> None:
    with pytest.raises(ConfigError, match="filter: "):
        names(sweep, filters=[condition])


def test_repeats_are_one_row(sweep: Path) -> None:
    table = make_table(read_runs(find_runs([str(sweep)])), group=["seed"])
    assert table.keys == ["optim.lr"]
    first, second = table.rows
    assert (first["run"], first["number"], first["best"], first["deviation"]) == ("1, 10", 2, 0.7, None)
    assert first["state"] == "1 done, 1 failed"
    assert (second["number"], second["best"]) == (2, pytest.approx(0.55))
    assert second["deviation"] == pytest.approx(0.0707, abs=1e-4)
    assert second["seconds"] == 10.0
    assert [column.header for column in columns_of(table)][:5] == ["run", "runs", "optim.lr", "accuracy", "±"]


def test_formats(sweep: Path) -> None:
    table = make_table(read_runs(find_runs([str(sweep)])), sort="-optim.lr")
    columns = columns_of(table)
    lines = as_csv(columns, table.rows).splitlines()
    assert lines[0].startswith("run,optim.lr,seed,best,val_loss,state,best_step,step,seconds")
    assert lines[2].startswith("10,1e-3,1,,") and len(lines) == 5
    rows = json.loads(rows_as_json(columns, table.rows))
    assert rows[0]["best"] == 0.7 and rows[1]["best"] is None
    markdown = as_markdown(columns, table.rows).splitlines()
    assert len({len(line) for line in markdown}) == 1 and markdown[1].startswith("| --- | ---")
    table.rows[0]["optim.lr"] = "a_b|50%"
    assert "a\\_b|50\\%" in as_latex(columns, table.rows) and "\\toprule" in as_latex(columns, table.rows)
    assert "a_b\\|50%" in as_markdown(columns, table.rows)


def test_columns_can_be_chosen(sweep: Path) -> None:
    table = make_table(read_runs(find_runs([str(sweep)])))
    assert [column.name for column in columns_of(table, ["best", "gmacs"])] == [
        "run",
        "optim.lr",
        "seed",
        "best",
        "gmacs",
    ]
    with pytest.raises(ConfigError, match="did you mean gmacs"):
        columns_of(table, ["gmac"])


def test_damaged_folders_are_rows_too(tmp_path: Path) -> None:
    make_run(tmp_path / "a", overrides=['"optim.note=it\'s, long"', "optim.lr=1"])
    make_run(tmp_path / "b")
    (tmp_path / "b/status.json").write_text("{")
    (tmp_path / "b/.hydra/overrides.yaml").write_text("- [")
    (tmp_path / "b/metrics.csv").write_bytes(b"\xff\0,")
    a, b = read_runs(find_runs([str(tmp_path)]))
    assert a.overrides == {"optim.note": "it's, long", "optim.lr": "1"}
    assert (b.state, b.overrides, b.images_per_second) == ("damaged status.json", {}, None)
    assert [row["run"] for row in make_table([a, b]).rows] == ["a", "b"]


def test_speed_is_the_median_of_the_last_lines_of_a_long_file(tmp_path: Path) -> None:
    curves = "".join(f"{step},1.0,0.001,{100 if step < 900 else 40 + step % 3},,\n" for step in range(1, 1000))
    run = make_run(tmp_path / "a", curves=curves)
    assert read_runs([run])[0].images_per_second == 41.0
