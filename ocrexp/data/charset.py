"""Earlier place of `ocrexp.charset`: the configurations of runs made before name it."""

from ocrexp.charset.charset import Charset
from ocrexp.charset.saved import from_saved
from ocrexp.charset.sources import from_characters, from_dictionary, from_labels
from ocrexp.charset.unknown import Coverage, UnknownCharacter, describe

__all__ = [
    "Charset", "Coverage", "UnknownCharacter", "describe", "from_characters", "from_dictionary", "from_labels",
    "from_saved",
]  # fmt: skip
