"""The timing of the pipeline gives figures for what it says."""

from ocrexp.data.bench_pipeline import det_mv3_db_pipeline, time_pipeline


def test_figures_of_one_worker(real_data):
    pipeline = det_mv3_db_pipeline(real_data / "totaltext_tiny")
    timing = time_pipeline(pipeline, passes=1, batch_size=1)
    assert timing.images_per_second > 1
    assert list(timing.stages) == ["file", "decode", "RandomWarpCrop", "DBTargets"]
    assert timing.decoder_images_per_second > 1
    assert timing.as_dict()["stages_ms"]["decode"] > 0
