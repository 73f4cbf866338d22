"""Augmenters of imgaug, named in the config as PaddleOCR names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ocrexp.augment.geometry import as_polygon
from ocrexp.errors import ConfigError
from ocrexp.nearest import did_you_mean
from ocrexp.types import Sample


class ImgaugList:
    """Applies a list of imgaug augmenters to image and polygons, in order.

    Each entry is `{type: Name, args: {...}}`, as in PaddleOCR's IaaAugment; `args` go to `imgaug.augmenters.Name` by
    name, with lists as tuples, since imgaug reads a tuple as a range and a list as a choice. Entries may be nested: an
    argument such as `children` or `then_list` takes entries too. PaddleOCR's older form `[Name, value, ...]` works as
    well.

    For detection, follow it with `ocrexp.augment.warp.EastRandomCrop`; for recognition, which has no polygons, choose
    augmenters that neither mirror nor cut. Seeded from the sample's own generator. Polygons may have any
    number of points and may leave the image.

    Raises ConfigError for an unknown augmenter or argument, and where imgaug is not installed.
    """

    def __init__(self, augmenter_args: Sequence[Any] | None = None) -> None:
        entries = _DEFAULT if augmenter_args is None else augmenter_args
        if isinstance(entries, str | Mapping) or not isinstance(entries, Sequence):
            raise ValueError(f"augmenter_args: expected a list of {{type: Name, args: {{...}}}}, got {entries!r}")
        self._iaa = import_imgaug()
        self._augmenter = self._iaa.Sequential([self._build(entry) for entry in entries])

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        self._augmenter.seed_(int(rng.integers(2**31)))
        polygons = sample.get("polygons", [])
        points = np.concatenate([*polygons, np.empty((0, 2), np.float32)])
        image, moved = self._augmenter(image=sample["image"], keypoints=points[None])
        sample["image"] = np.ascontiguousarray(image)
        ends = np.cumsum([len(polygon) for polygon in polygons])[:-1]
        if polygons:
            sample["polygons"] = [as_polygon(part) for part in np.split(moved[0], ends)]
        return sample

    def _build(self, entry: Any) -> Any:
        if isinstance(entry, Mapping):
            unknown = set(entry) - {"type", "args"}
            if "type" not in entry or unknown:
                raise ValueError(f"augmenter_args: expected the keys type and args, got {dict(entry)!r}")
            return self._make(str(entry["type"]), (), entry.get("args") or {})
        if _is_older_form(entry):
            name, *values = entry
            return self._make(name, values, {})
        raise ValueError(f"augmenter_args: expected {{type: Name, args: {{...}}}}, got {entry!r}")

    def _make(self, name: str, values: Sequence[Any], named: Mapping[str, Any]) -> Any:
        augmenter = getattr(self._iaa, name, None)
        if not isinstance(augmenter, type) or not issubclass(augmenter, self._iaa.Augmenter):
            known = [each for each in dir(self._iaa) if each[0].isupper()]
            hint = did_you_mean(name, known) or "; see imgaug's documentation for the names"
            raise ValueError(f"augmenter_args: imgaug has no augmenter {name!r}{hint}")
        try:
            return augmenter(
                *(self._argument(value) for value in values),
                **{str(key): self._argument(value) for key, value in named.items()},
            )
        except ConfigError:
            raise
        except Exception as error:  # imgaug's own complaint about a value; any type
            raise ValueError(f"augmenter_args: {name} does not accept {dict(named) or values} ({error})") from error

    def _argument(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return self._build(value) if "type" in value else {key: self._argument(each) for key, each in value.items()}
        if isinstance(value, Sequence) and not isinstance(value, str):
            if value and all(isinstance(each, Mapping) and "type" in each for each in value):
                return [self._build(each) for each in value]  # children: a list, as imgaug wants them
            return tuple(self._argument(each) for each in value)
        return value


def _is_older_form(entry: Any) -> bool:
    return isinstance(entry, Sequence) and not isinstance(entry, str) and bool(entry) and isinstance(entry[0], str)


_DEFAULT: tuple[Mapping[str, Any], ...] = (
    {"type": "Fliplr", "args": {"p": 0.5}},
    {"type": "Affine", "args": {"rotate": [-10, 10]}},
    {"type": "Resize", "args": {"size": [0.5, 3]}},
)


def import_imgaug() -> Any:
    """`imgaug.augmenters`, with the names that imgaug 0.4 uses and NumPy 2 has removed put back where they are missing.

    Raises ConfigError if imgaug is not installed.
    """
    replaced: dict[str, Any] = {
        "bool": np.bool_,
        "complex": complex,
        "sctypes": {
            "int": [np.int8, np.int16, np.int32, np.int64],
            "uint": [np.uint8, np.uint16, np.uint32, np.uint64],
            "float": [np.float16, np.float32, np.float64],
            "complex": [np.complex64, np.complex128],
            "others": [bool, object, bytes, str, np.void],
        },
    }
    import warnings

    with warnings.catch_warnings():
        # NumPy 1.24 to 1.26 warn at the mere question whether the old names exist.
        warnings.simplefilter("ignore")
        for name, value in replaced.items():
            if not hasattr(np, name):
                setattr(np, name, value)
        try:
            import imgaug.augmenters as augmenters
        except ImportError as error:
            raise ConfigError(f"augmenter_args: needs imgaug ({error}); run: pip install 'ocrexp[imgaug]'") from None
    return augmenters
