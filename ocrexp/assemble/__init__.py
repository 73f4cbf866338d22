"""From a configuration to the parts of a run: the one place where they are put together, for all verbs."""

from ocrexp.assemble.model import build_charset, build_model, saved_charset
from ocrexp.assemble.parts import Parts, assemble

__all__ = ["Parts", "assemble", "build_charset", "build_model", "saved_charset"]
