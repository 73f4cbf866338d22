"""The definitions of the W&B dashboard, without an account."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
import wandb_dashboard

pytest.importorskip("wandb_workspaces", reason="wandb-workspaces is not installed: pip install wandb-workspaces")


def panels(spec: dict) -> list[dict]:
    """All panels of a definition, whatever holds them."""
    if isinstance(spec, list):
        return [panel for part in spec for panel in panels(part)]
    if not isinstance(spec, dict):
        return []
    own = [spec] if "viewType" in spec and "config" in spec else []
    return own + [panel for part in spec.values() for panel in panels(part)]


@pytest.mark.parametrize("task", ["det", "rec"])
def test_workspace_and_report_have_the_panels_of_ocr(task: str, tmp_path: Path, capsys) -> None:
    assert wandb_dashboard.main(["receipts", "--task", task, "--keys", "optim.lr", "--out", str(tmp_path)]) == 0
    main = wandb_dashboard.METRICS[task][0]
    for name in ("workspace", "report"):
        text = (tmp_path / f"{name}.json").read_text()
        kinds = [panel["viewType"] for panel in panels(json.loads(text))]
        assert kinds.count("Run History Line Plot") >= 8
        assert {"Media Browser", "Parallel Coordinates Plot", "Parameter Importance", "Scatter Plot", "Run Comparer",
                "Bar Chart", "Weave"} <= set(kinds)  # fmt: skip
        for key in (f"val/{main}", f"best/{main}", "val/samples", "val/predictions", "train/lr",
                    "train/images_per_second", "optim.lr"):  # fmt: skip
            assert key in text, key
    assert "workspace.json" in capsys.readouterr().out


def test_without_an_account_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    assert wandb_dashboard.main(["receipts"]) == 2
    assert "--out FOLDER" in capsys.readouterr().err
