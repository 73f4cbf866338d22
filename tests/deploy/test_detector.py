"""Exported detectors: regions of ordinary pages and of images that are none."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'ocrexp[onnx]'")

from ocrexp.deploy import TextDetector
from ocrexp.errors import DeployError


def page(*boxes: tuple[int, int, int, int], size: tuple[int, int] = (160, 320)) -> np.ndarray:
    image = np.full((*size, 3), 255, np.uint8)
    for x0, y0, x1, y1 in boxes:
        image[y0:y1, x0:x1] = 0
    return image


def test_regions_are_found_where_they_are(make_det) -> None:
    boxes, seconds = TextDetector(make_det())(page((20, 20, 120, 40), (160, 80, 300, 110)))
    assert boxes.shape == (2, 4, 2)
    assert boxes.dtype == np.float32
    assert seconds > 0
    boxes = boxes[np.argsort(boxes[:, 0, 1])]
    assert np.abs(boxes[0] - [[20, 20], [120, 20], [120, 40], [20, 40]]).max() <= 3
    assert np.abs(boxes[1] - [[160, 80], [300, 80], [300, 110], [160, 110]]).max() <= 3


def test_sizes_that_are_resized_lead_back_to_the_source(make_det) -> None:
    detector = TextDetector(make_det())
    boxes, _ = detector(page((200, 200, 800, 320), size=(1000, 1700)))
    assert np.abs(boxes[0] - [[200, 200], [800, 200], [800, 320], [200, 320]]).max() <= 20
    assert detector.prepare(page(size=(1000, 1700)))[0].shape == (1, 3, 192, 320)


def test_polygons(make_det) -> None:
    image = page()
    cv2.circle(image, (100, 80), 40, (0, 0, 0), -1)
    polygons, _ = TextDetector(make_det(), det_box_type="poly")(image)
    assert isinstance(polygons, list)
    assert len(polygons[0]) > 4
    prediction = TextDetector(make_det("quad")).detect(image)
    assert len(prediction.polygons) == len(prediction.scores) == 1


def test_a_detector_with_other_maps_has_its_own_postprocess(ct_folder) -> None:
    image = page(size=(320, 640))
    cv2.circle(image, (200, 160), 80, (0, 0, 0), -1)
    polygons, _ = TextDetector(ct_folder)(image)
    assert len(polygons) == 1 and np.abs(np.linalg.norm(polygons[0] - [200, 160], axis=1) - 80).max() < 10
    boxes, _ = TextDetector(ct_folder, det_box_type="quad", det_db_box_thresh=0.5)(image)
    assert boxes.shape == (1, 4, 2)
    with pytest.raises(DeployError, match=r"tile=true.*CTPostProcess"):
        TextDetector(ct_folder, tile=True)
    with pytest.raises(DeployError, match="unclip_ratio"):
        TextDetector(ct_folder, det_db_unclip_ratio=2.0)


def test_arguments_stand_above_the_file(make_det) -> None:
    folder = make_det()
    plain = TextDetector(folder)
    assert (plain.resize.limit_side_len, plain.postprocess.thresh, plain.postprocess.unclip_ratio) == (320, 0.3, 0.2)
    given = TextDetector(
        folder, det_limit_side_len=64, det_limit_type="min", det_db_thresh=0.5, det_db_box_thresh=0.7,
        det_db_unclip_ratio=2.0, det_db_score_mode="slow", use_dilation=True, det_mean=[0, 0, 0], det_std=[1, 1, 1],
    )  # fmt: skip
    assert (given.resize.limit_side_len, given.resize.limit_type) == (64, "min")
    assert (given.postprocess.thresh, given.postprocess.box_thresh) == (0.5, 0.7)
    assert (given.postprocess.score_mode, given.postprocess.use_dilation) == ("slow", True)
    assert given.prepare(page())[0].max() == 1.0  # neither mean nor std
    fixed = make_det("fixed", image_shape=[96, 96])
    assert TextDetector(fixed).resize.image_shape == (96, 96)
    assert TextDetector(fixed, det_limit_side_len=64).resize.image_shape is None
    with pytest.raises(DeployError, match=r"limit_type: expected .*got 'least'"):
        TextDetector(folder, det_limit_type="least")


@pytest.mark.parametrize("size", [(20, 20000), (20000, 20), (3, 5), (1, 1), (33, 40)])
def test_pages_of_any_size_pass(make_det, size) -> None:
    boxes, _ = TextDetector(make_det(limit_side_len=736, limit_type="min", max_side=2000))(page(size=size))
    assert boxes.shape[1:] == (4, 2)
    assert len(boxes) == 0 or max(size) < 32  # the tiny detector takes the padding of small images for text
    assert (boxes >= 0).all()
    assert (boxes <= size[::-1]).all()


def test_an_image_without_text_has_no_regions(make_det) -> None:
    prediction = TextDetector(make_det()).detect(page())
    assert prediction.polygons == []
    assert prediction.scores == []


def test_what_is_no_detector_says_so(make_det, make_rec) -> None:
    folder = make_rec("rec")
    (folder / "inference.yml").unlink()
    with pytest.raises(DeployError, match="give the folder of a DB detector") as error:
        TextDetector(folder)(page())
    assert "\n" not in str(error.value)


def test_calls_from_several_threads_do_not_mix(make_det) -> None:
    from concurrent.futures import ThreadPoolExecutor

    detector = TextDetector(make_det())
    pages = [page((10 * n, 20, 10 * n + 60, 50)) for n in range(1, 24)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda image: detector(image)[0], pages))
    for image, boxes in zip(pages, found, strict=True):
        assert np.array_equal(boxes, detector(image)[0])
