"""What PaddleOCR calls the loss, the postprocess and the metric of each detection method, and their keys.

Facts of PaddleOCR 2.10's constructors; a method has the name of our loss, targets and postprocess.
"""

from __future__ import annotations

from dataclasses import dataclass

from ocrexp.config.paddleocr.parts import Part

_EPS = {"eps": 1e-6}
_BEST_OF_THRESHOLDS = (
    "hmean of all regions that the postprocess gives here; DetFCEMetric is the best one over thresholds from 0.3 to 0.9"
)


@dataclass(frozen=True)
class Method:
    """Loss, postprocess and metric of a method: PaddleOCR's names, and the keys of the first two.

    `best` is the value of the metric that decides there; `remark` states what else that metric measures.
    """

    loss_name: str
    loss: Part
    postprocess_name: str
    postprocess: Part
    metric: str = "DetMetric"
    best: str = "hmean"
    remark: str = ""


METHODS = {
    "db": Method(
        "DBLoss",
        Part(
            "db",
            {"balance_loss": True, "main_loss_type": "DiceLoss", "alpha": 5, "beta": 10, "ohem_ratio": 3, **_EPS},
        ),
        "DBPostProcess",
        Part(
            "db",
            {"thresh": 0.3, "box_thresh": 0.7, "max_candidates": 1000, "unclip_ratio": 2.0, "use_dilation": False,
             "score_mode": "fast", "box_type": "quad"},
            {},
            {"det_box_type": "PaddleOCR's DBPostProcess ignores it; its key is box_type"},
        ),
    ),
    "pse": Method(
        "PSELoss",
        Part("pse", {"alpha": 0.7, "ohem_ratio": 3, "kernel_sample_mask": "pred", **_EPS}),
        "PSEPostProcess",
        Part("pse", {"thresh": 0.5, "box_thresh": 0.85, "min_area": 16, "box_type": "quad", "scale": 4}),
    ),
    "east": Method(
        "EASTLoss",
        Part("east", _EPS),
        "EASTPostProcess",
        Part("east", {"score_thresh": 0.8, "cover_thresh": 0.1, "nms_thresh": 0.2}),
    ),
    "sast": Method(
        "SASTLoss",
        Part("sast", {}, {}, {"eps": "PaddleOCR's SASTLoss never uses it"}),
        "SASTPostProcess",
        Part(
            "sast",
            {"sample_pts_num": 2, "nms_thresh": 0.2, "shrink_ratio_of_width": 0.3, "expand_scale": 1.0,
             "tcl_map_thresh": 0.5},
            {},
            {"score_thresh": "PaddleOCR's SASTPostProcess never uses it; its threshold is tcl_map_thresh"},
        ),
    ),
    "ct": Method(
        "CTLoss",
        Part("ct"),
        "CTPostProcess",
        Part("ct", {"min_score": 0.88, "min_area": 16, "box_type": "poly"}, names={"min_score": "box_thresh"}),
        "CTMetric",
        "f_score",
        "hmean at IoU 0.5 here; CTMetric is Total-Text's DetEval, which also counts one region for several",
    ),
    "fce": Method(
        "FCELoss",
        Part("fce", {"fourier_degree": 5, "num_sample": 50, "ohem_ratio": 3}),
        "FCEPostProcess",
        Part(
            "fce",
            {"scales": [8, 16, 32], "num_reconstr_points": 50, "score_thr": 0.3, "nms_thr": 0.1, "alpha": 1.0,
             "beta": 1.0, "box_type": "poly"},
            {"decoding_type": "fcenet"},
            {"fourier_degree": "determined by the maps"},
            {"score_thr": "box_thresh", "nms_thr": "nms_thresh"},
        ),
        "DetFCEMetric",
        remark=_BEST_OF_THRESHOLDS,
    ),
    "drrg": Method(
        "DRRGLoss",
        Part("drrg", {"ohem_ratio": 3.0}),
        "DRRGPostprocess",
        Part("drrg", {"link_thr": 0.8}),
        "DetFCEMetric",
        remark=_BEST_OF_THRESHOLDS,
    ),
}  # fmt: skip
