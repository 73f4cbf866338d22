"""The timing of the pipeline gives figures for what it says."""

from ocrexp.bench.pipeline import det_mv3_db_pipeline, rec_pipeline, time_pipeline
from ocrexp.bench.shards import time_shards
from ocrexp.tasks.find import find_task


def test_figures_of_one_worker(real_data):
    pipeline = det_mv3_db_pipeline(real_data / "totaltext_tiny")
    timing = time_pipeline(pipeline, find_task("det").collate_train, passes=1, batch_size=1)
    assert timing.images_per_second > 1
    assert list(timing.stages) == ["file", "decode", "RandomWarpCrop", "DBTargets"]
    assert timing.decoder_images_per_second > 1
    assert timing.as_dict()["stages_ms"]["decode"] > 0


def test_figures_of_recognition(real_data, tmp_path):
    lines = (real_data / "sroie_rec" / "val_list.txt").read_text().splitlines()[:40]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    pipeline = rec_pipeline(real_data / "sroie_rec", str(tmp_path / "list.txt"), (32, 320))
    assert len(pipeline) == 40
    assert pipeline.sample(0, 0)["image"].shape == (32, 320, 3)
    timing = time_pipeline(pipeline, find_task("rec").collate_train, passes=1, batch_size=8)
    assert timing.images_per_second > 1
    assert list(timing.stages) == ["file", "decode", "RecAug", "RecResize", "TextTargets"]


def test_figures_of_shards_beside_a_list(real_data, tmp_path):
    lines = (real_data / "sroie_rec" / "val_list.txt").read_text().splitlines()[:80]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    (tmp_path / "shards").mkdir()
    collate = find_task("rec").collate_train
    root, labels = real_data / "sroie_rec", str(tmp_path / "list.txt")
    timings = time_shards(root, labels, (32, 64), tmp_path / "shards", collate, passes=1)
    assert list(timings) == ["list", "shards", "shards, samples=N"]
    assert all(timing.images_per_second > 1 and timing.start_seconds > 0 for timing in timings.values())
