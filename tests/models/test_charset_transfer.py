"""A head for other characters keeps the rows of those that both know."""

from functools import partial

import numpy as np
import paddle
import pytest

from ocrexp.charset.sources import from_characters
from ocrexp.errors import CheckpointError
from ocrexp.models.charset_transfer import transfer_classes
from ocrexp.models.heads.attention import AttentionHead
from ocrexp.models.heads.auxiliary import AuxiliaryCTC
from ocrexp.models.heads.ctc import CTCHead
from ocrexp.models.heads.nrtr import NRTRHead
from ocrexp.models.heads.parseq import ParseQHead
from ocrexp.models.heads.sar import SARHead
from ocrexp.models.model import OCRModel

HEADS = {
    "ctc": CTCHead,
    "attention": partial(AttentionHead, hidden_size=8),
    "nrtr": partial(NRTRHead, nhead=2, num_encoder_layers=0, num_decoder_layers=1, dim_feedforward=16),
    "sar": partial(SARHead, enc_dim=8, d_k=8),
    "parseq": partial(ParseQHead, dec_num_heads=2),
}
OLD, NEW = from_characters("abc"), from_characters("xcb")


def model(kind: str, characters: int) -> OCRModel:
    backbone = paddle.nn.Conv2D(3, 8, 1)
    backbone.out_channels = 8
    counts = from_characters([chr(97 + i) for i in range(characters)]).class_counts()
    return OCRModel(backbone, head=partial(HEADS[kind], out_channels=counts[kind]))


@pytest.mark.parametrize("kind", HEADS)
def test_rows_follow_their_characters_and_special_tokens_stay(kind: str) -> None:
    source, target = model(kind, 3), model(kind, 3)
    before = {name: value.numpy().copy() for name, value in target.state_dict().items()}
    file = {name: value.numpy() for name, value in source.state_dict().items()}
    moved = transfer_classes(file, target, OLD, NEW)
    assert (moved.kept, moved.new, moved.lost) == (("c", "b"), ("x",), ("a",))
    codec = OLD.codec(kind)  # type: ignore[arg-type]
    for name, along in target.head.class_axes().items():
        array, theirs, ours = (
            np.moveaxis(arrays[f"head.{name}"], along.axis, 0)[along.offset :]
            for arrays in (moved.arrays, file, before)
        )
        first = codec.before
        np.testing.assert_array_equal(array[first], ours[first])
        np.testing.assert_array_equal(array[first + 1 : first + 3], theirs[[first + 2, first + 1]])
        np.testing.assert_array_equal(array[:first], theirs[:first])
        np.testing.assert_array_equal(array[first + 3 :], theirs[first + 3 :])
    assert moved.arrays["backbone.weight"] is file["backbone.weight"]
    assert (
        moved.describe() == "2 characters keep their rows in the head; 1 start from random values: x; 1 are dropped: a"
    )


def test_characters_can_be_added() -> None:
    more = from_characters("abcde")
    file = {name: value.numpy() for name, value in model("ctc", 3).state_dict().items()}
    target = model("ctc", 5)
    target.set_state_dict(transfer_classes(file, target, OLD, more).arrays)
    np.testing.assert_array_equal(target.head.fc.weight.numpy()[:, :4], file["head.fc.weight"])


def test_a_file_of_another_charset_is_refused() -> None:
    file = {name: value.numpy() for name, value in model("ctc", 5).state_dict().items()}
    with pytest.raises(CheckpointError, match=r"head\.fc\.weight: the file has 6 classes, the charset .* needs 4"):
        transfer_classes(file, model("ctc", 3), OLD, NEW)


def test_an_auxiliary_head_is_rearranged_too() -> None:
    backbone = paddle.nn.Conv2D(3, 8, 1)
    backbone.out_channels = 8
    heads = {"head": partial(CTCHead, out_channels=4), "auxiliary": partial(AuxiliaryCTC, out_channels=4)}
    target = OCRModel(backbone, **heads)
    name = "auxiliary.ctc_head.fc.bias"
    file = {name: np.array([9, 1, 2, 3], dtype=np.float32)}  # blank, a, b, c
    moved = transfer_classes(file, target, OLD, NEW).arrays[name]  # blank, x, c, b
    assert moved.tolist() == [9, float(target.state_dict()[name][1]), 3, 2]
