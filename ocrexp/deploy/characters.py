"""The characters of an exported recognizer, matched with the number of classes of its network."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy.typing as npt

from ocrexp.charset import codecs
from ocrexp.charset.charset import Charset
from ocrexp.charset.codecs import Kind
from ocrexp.charset.dictionary import entries_of, explain_most, read_lines
from ocrexp.charset.direction import Direction, resolved
from ocrexp.charset.normalization import Normalization, of_facts
from ocrexp.deploy.backends.base import Backend
from ocrexp.deploy.description import Description
from ocrexp.deploy.folder import ModelFolder
from ocrexp.errors import ConfigError, DeployError
from ocrexp.postprocess.ctc import CTCGreedyDecoder
from ocrexp.postprocess.tokens import TokenDecoder, check_classes
from ocrexp.results import RecPrediction

log = logging.getLogger(__name__)

# By PaddleOCR's names of postprocessing classes.
KINDS: dict[str, Kind] = {codec.decoder: cast(Kind, kind) for kind, codec in codecs.KINDS.items()}
METADATA_KEY = "character"  # in RapidOCR's .onnx files: one character per line

Outputs = list[npt.NDArray[Any]]
ReadTexts = Callable[[Outputs], list[RecPrediction]]


def decoder_of(
    folder: ModelFolder,
    description: Description,
    backend: Backend,
    dictionary: str | Path | None = None,
    use_space_char: bool | None = None,
) -> ReadTexts:
    """Decodes the network's outputs to texts.

    The characters come from the dictionary, else from the description, else from the .onnx file. Their number is
    compared with the network's classes at once if the file states these, otherwise at the first output. Raises
    DeployError.
    """
    name = str(description.postprocess.get("name"))
    if name not in KINDS:
        raise DeployError(f"{folder.path}: PostProcess.name: expected one of {', '.join(KINDS)}, got {name!r}")
    kind = KINDS[name]
    characters: Sequence[str]
    if dictionary is not None:
        characters, source = read_dictionary(dictionary), str(dictionary)
        if doubt := explain_most(characters, source):
            log.warning("%s", doubt)
    elif description.characters is not None:
        characters, source = description.characters, f"{folder.path}'s inference.yml"
    elif METADATA_KEY in backend.metadata:
        characters, source = entries_of(backend.metadata[METADATA_KEY]), f"{folder.path}'s metadata"
    else:
        raise DeployError(f"{folder.path}: the model's characters are unknown; set rec_char_dict_path=DICTIONARY.txt")
    own = (description.ocrexp or {}).get("charset") if dictionary is None else None
    if own:
        direction: Direction = "rtl" if own.get("direction") == "rtl" else "ltr"
    elif (
        kind == "ctc"
    ):  # PaddleOCR reverses the texts of its Arabic models: it goes by the dictionary's name, and only for CTC
        direction = resolved("auto", characters, str(dictionary or description.model_name))
    else:
        direction = "ltr"
    try:
        normalization = of_facts(own or {})
    except ValueError as error:
        raise DeployError(f"{folder.path}'s inference.yml: charset.{error}") from None
    decoder = _LazyDecoder(
        folder, description, kind, tuple(characters), source, use_space_char, direction, normalization
    )
    if dictionary is None:
        decoder.check_fingerprint()
    if backend.classes is not None:
        decoder.settle(backend.classes)
    return decoder


def read_dictionary(path: str | Path) -> list[str]:
    """Read a PaddleOCR dictionary: UTF-8, one character per line. Raises DeployError."""
    try:
        return read_lines(Path(path).expanduser())
    except OSError as error:
        raise DeployError(f"rec_char_dict_path={path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise DeployError(f"rec_char_dict_path={path}:{error}") from None


class _LazyDecoder:
    """Waits for the number of classes, which decides whether the list is missing its last entry, the space."""

    def __init__(
        self,
        folder: ModelFolder,
        description: Description,
        kind: Kind,
        characters: tuple[str, ...],
        source: str,
        use_space_char: bool | None,
        direction: Direction,
        normalization: Normalization,
    ) -> None:
        self._folder = folder
        self._stated: dict[str, Any] = (description.ocrexp or {}).get("charset") or {}
        self._kind = kind
        self._characters = characters
        self._source = source
        self._use_space_char = use_space_char
        self._direction: Direction = direction
        self._normalization = normalization
        self._decode: CTCGreedyDecoder | TokenDecoder | None = None
        self._classes: int | None = None

    def __call__(self, outputs: Outputs) -> list[RecPrediction]:
        if self._kind == "nrtr" and len(outputs) == 2 and outputs[0].ndim == 2:
            ids, scores = sorted(outputs, key=lambda output: output.dtype.kind == "f")
            if self._decode is None:
                self._decode = self._built(self._charset(self._characters))
            return self._decode({"nrtr_ids": ids, "nrtr_scores": scores}, {})
        first = outputs[0]
        if first.ndim != 3:
            raise DeployError(
                f"{self._folder.path}: the network's output: expected [N, T, classes], got {list(first.shape)}"
            )
        if self._decode is None or first.shape[-1] != self._classes:
            self.settle(first.shape[-1])
        assert self._decode is not None
        return self._decode({self._kind: first}, {})

    def check_fingerprint(self) -> None:
        """Raises DeployError if the export states another charset."""
        stated = self._stated.get("fingerprint")
        if stated is not None and self._charset(self._characters).fingerprint != stated:
            raise DeployError(
                f"{self._source}: the characters are not those of the export (fingerprint mismatch); copy the "
                "folder again or export again"
            )

    def settle(self, classes: int) -> None:
        """The decoder for this number of classes. Raises DeployError if the characters do not fit it."""
        with_space = (*self._characters, " ")
        if self._use_space_char is None:
            choices = [self._characters, with_space]
        else:
            choices = [with_space if self._use_space_char else self._characters]
            if self._use_space_char and self._characters[-1:] == (" ",):
                choices.append(self._characters)  # the requested space is in the list already, as in our exports
        for characters in choices:
            charset = self._charset(characters)
            try:
                check_classes(classes, charset.codec(self._kind), charset)
            except ConfigError:
                continue
            self._decode, self._classes = self._built(charset), classes
            return
        needed = self._charset(choices[0]).codec(self._kind).classes
        space = " (one more with a space at the end)" if len(choices) > 1 else ""
        raise DeployError(
            f"{self._folder.path}: the network has {classes} classes, but the {len(choices[0])} characters of "
            f"{self._source} need {needed}{space}; use the model's own dictionary"
        )

    def _built(self, charset: Charset) -> CTCGreedyDecoder | TokenDecoder:
        return CTCGreedyDecoder(charset) if self._kind == "ctc" else TokenDecoder(charset, self._kind)

    def _charset(self, characters: tuple[str, ...]) -> Charset:
        # A file defines its classes, even if it lists a character twice.
        try:
            return Charset(
                characters,
                "drop",
                source=self._source,
                aliases=range(len(characters)),
                direction=self._direction,
                normalization=self._normalization,
            )
        except ConfigError as error:
            raise DeployError(str(error)) from None
