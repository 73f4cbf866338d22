"""With hydra.job.chdir a run's paths mean what they meant in the start folder."""

from omegaconf import OmegaConf

from ocrexp.config.chdir import anchor


def test_relative_paths_become_absolute_and_others_stay(tmp_path):
    (tmp_path / "data" / "photos").mkdir(parents=True)
    (tmp_path / "weights.pdparams").touch()
    config = OmegaConf.create(
        {
            "dataset": {
                "root": "data", "train_labels": ["a.txt"], "backgrounds": ["data/photos", "/elsewhere"], "words": None,
            },
            "model": {"pretrained": "weights", "name": "data"},
            "charset": {"path": "???"},
        }
    )  # fmt: skip
    anchor(config, tmp_path)
    assert config.dataset.root == str(tmp_path / "data")
    assert list(config.dataset.backgrounds) == [str(tmp_path / "data" / "photos"), "/elsewhere"]
    assert config.model.pretrained == str(tmp_path / "weights")  # PaddleOCR's way to name weights
    assert (list(config.dataset.train_labels), config.dataset.words, config.model.name) == (["a.txt"], None, "data")
    assert OmegaConf.is_missing(config.charset, "path")
    assert set(config.dataset) == {
        "root",
        "train_labels",
        "backgrounds",
        "words",
    }  # no key that its class does not take
