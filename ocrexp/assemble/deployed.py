"""`model.pretrained=` a deployed model: its layers by our names, checked against the file's own outputs.

The model is first built with the file's characters, filled and compared; then its arrays go the way of any pretrained
file, so that the rows of characters that both know are kept.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ocrexp.assemble.comparison import Comparison, compare, evaluating, picture
from ocrexp.deploy.folder import ModelFolder
from ocrexp.errors import CheckpointError
from ocrexp.weights.registry import DICTIONARY, REGISTRY, fetched

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from ocrexp.charset.charset import Charset
    from ocrexp.models.deployed import Taken
    from ocrexp.models.model import OCRModel
    from ocrexp.types import Sample, Transform
    from ocrexp.weights.deployed import Deployed

log = logging.getLogger(__name__)

MODES = ("auto", "fused", "calibrated")
_MOST_IMAGES, _MOST_PIXELS, _BATCH = 160, 20 * 640 * 640, 8  # that the statistics are measured on
_SUFFIXES = (".onnx", ".pdmodel", ".json", ".pdiparams")


@dataclass(frozen=True, slots=True)
class Start:
    """A deployed model, ready to be put into ours.

    Args:
        folder: where it is.
        taken: its layers by the names of our model.
        charset: its characters; None for another task.
        comparison: of the outputs, see `compare`.
    """

    folder: ModelFolder
    taken: Taken
    charset: Charset | None
    comparison: Comparison


def deployed_folder(path: str | Path) -> ModelFolder | None:
    """The deployed model that a path names, a folder or one of its files, or a name of the registry; None if it is
    something else.

    Raises DeployError if a part of it is missing, CheckpointError where a registered one has not been fetched.
    """
    place = Path(path).expanduser()
    if str(path) in REGISTRY and not place.exists():
        return ModelFolder.open(fetched(REGISTRY[str(path)]))
    if place.suffix in _SUFFIXES and (place.suffix == ".onnx" or place.is_file()):
        if place.suffix == ".onnx" and not place.is_file():
            raise CheckpointError(f"model.pretrained={path}: there is no such file; give an existing .onnx file")
        if place.suffix == ".onnx":
            return ModelFolder.open(place)
        return replace(ModelFolder.open(place.parent), onnx=None)  # Paddle's files are the ones that were named
    if not place.is_dir() or (place / "checkpoints").is_dir() or any(place.glob("*.pdparams")):
        return None
    names = {found.suffix for found in place.iterdir() if found.is_file()}
    return ModelFolder.open(place) if names & {*_SUFFIXES} else None


def start_from(
    config: DictConfig, folder: ModelFolder, charset: Charset | None, build: Callable[[Charset | None], OCRModel]
) -> Start:
    """Reads a deployed model, puts its layers into a network of ours and compares the outputs of both.

    Args:
        config: a checked training configuration.
        folder: see `deployed_folder`.
        charset: the characters of the new model.
        build: makes the network for characters.

    Raises CheckpointError: layers or outputs differ, or the characters are unknown; DeployError: the library that runs
    the file is missing.
    """
    import paddle

    from ocrexp.deploy.backends.base import chosen
    from ocrexp.models.deployed import take
    from ocrexp.weights.deployed import read_deployed

    backend = chosen(folder, "auto")
    program, parameters = folder.paddle or (None, None)
    if backend == "onnx":
        program, parameters = folder.onnx, None
    assert program is not None
    deployed = read_deployed(program, parameters)
    characters = None if charset is None else _characters(config, folder, deployed, charset)
    network = build(characters)
    with evaluating(network):
        images = network.prepare(paddle.to_tensor(picture(config)))
        taken = take(network, deployed.items, images, str(program))
    comparison = compare(config, network, folder)
    log.info("pretrained %s: %d layers with weights, all fit; %s", program, taken.layers, comparison.describe())
    return Start(folder, taken, characters, comparison)


def training_images(
    sample: Callable[[int], Sample], count: int
) -> Iterator[tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64] | None]]:
    """Batches of equally large training images, uint8 [N, H, W, 3], with the columns of each that are not padding.

    Up to 160 images from the whole list, fewer where they are large: a page has as many places as fifty lines.

    Args:
        sample: a training sample with `image` and maybe `valid_width`; raises UnusableSample.
        count: of the records.
    """
    from ocrexp.types import UnusableSample

    groups: dict[tuple[int, ...], list[Sample]] = {}
    pixels = 0
    indices = np.linspace(0, count - 1, min(count, _MOST_IMAGES)).round().astype(int)
    for index in np.random.default_rng(0).permutation(indices):
        if pixels >= _MOST_PIXELS:
            break
        try:
            found = sample(int(index))
        except UnusableSample:
            continue
        height, width = found["image"].shape[:2]
        pixels += height * width
        group = groups.setdefault(found["image"].shape, [])
        group.append(found)
        if len(group) == _BATCH:
            yield _stacked(group)
            group.clear()
    for group in groups.values():
        if group:
            yield _stacked(group)


def sampler_of(records: Sequence[Any], transforms: Sequence[Transform], seed: int) -> Callable[[int], Sample]:
    """Gives the training sample of a number, augmented, without what only the loss needs."""
    from ocrexp.data.dataset import TrainPipeline

    pipeline = TrainPipeline(records, transforms, seed)
    return lambda index: pipeline.sample(index, epoch=0)


def _stacked(group: list[Sample]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64] | None]:
    images = np.stack([sample["image"] for sample in group])
    if not all("valid_width" in sample for sample in group):
        return images, None
    return images, np.array([sample["valid_width"] for sample in group], np.int64)


# Characters


def _characters(config: DictConfig, folder: ModelFolder, deployed: Deployed, charset: Charset) -> Charset:
    """The characters of a deployed recognizer. Raises CheckpointError if no fitting list is found."""
    from ocrexp.charset.codecs import KINDS
    from ocrexp.charset.sources import from_classes, from_dictionary
    from ocrexp.config.build import build
    from ocrexp.models.hooks import token_kind

    kind = token_kind(build(config.model.head))
    codec = KINDS["ctc" if kind is None or kind == "multi" else kind]  # of several kinds, CTC is deployed
    form, invisible = charset.normalization.form, charset.normalization.invisible
    dictionary, source = config.model.get("pretrained_charset"), ""
    beside = folder.path / DICTIONARY
    stated = None if folder.description is None else folder.description.characters
    if stated is None:
        stated = deployed.characters
    if stated is None and not dictionary and beside.is_file():
        dictionary = str(beside)
    known: list[Charset] = []
    if dictionary:
        source = str(dictionary)
        known = [from_dictionary(dictionary, space, normalize=form, invisible=invisible) for space in (False, True)]
    elif stated is not None:
        source = "the file's own list"
        direction = charset.direction
        known = [
            from_classes([*stated, *more], direction=direction, normalize=form, invisible=invisible)
            for more in ([], [" "])
        ]
    last = deployed.items[-1] if deployed.items else None
    if last is None or last.kind != "linear" or last.arrays["weight"].ndim != 2:
        raise CheckpointError(
            f"{deployed.path}: its last layer is {'missing' if last is None else last.describe()}, of a recognizer it "
            "gives the classes; choose the model that the file was made from"
        )
    classes = last.shape[1]
    if not known:
        if classes == codec(len(charset)).classes:
            log.info(
                "pretrained: %s does not state its characters; as it has %d classes, they are taken to be those of the "
                "charset; else give them with model.pretrained_charset=DICTIONARY", deployed.path, classes,
            )  # fmt: skip
            return charset
        raise CheckpointError(
            f"{deployed.path}: has {classes} classes and does not state its characters; give its dictionary with "
            "model.pretrained_charset=DICTIONARY.txt, or choose the model that the file was made from"
        )
    for each in known:
        if codec(len(each)).classes == classes:
            return each
    raise CheckpointError(
        f"{deployed.path}: has {classes} classes, {source} of {len(known[0])} characters makes "
        f"{' or '.join(str(codec(len(each)).classes) for each in known)}; give the dictionary that belongs to "
        "the file with model.pretrained_charset=DICTIONARY.txt"
    )


def warn_of_other_normalization(config: DictConfig, folder: ModelFolder) -> None:
    """Warns if the file's description has another mean or deviation of pixels than the configuration."""
    stated = folder.description
    normalize = config.model.get("normalize")
    if stated is None or normalize is None:
        return
    for key in ("mean", "std"):
        theirs, ours = [float(value) for value in getattr(stated, key)], [float(value) for value in normalize[key]]
        if stated.channels == "RGB":
            theirs = theirs[::-1]
        if len(theirs) != len(ours) or not np.allclose(theirs, ours, atol=1e-3):
            log.warning(
                "pretrained %s: was trained with %s %s of BGR images, model.normalize.%s is %s; set "
                "model.normalize.%s=%s", folder.path, key, theirs, key, ours, key, theirs,
            )  # fmt: skip
