"""Exported models at work: detection, recognition, and both together, without paddle unless it is the backend."""

from ocrexp.deploy.classifier import TextClassifier
from ocrexp.deploy.description import Description
from ocrexp.deploy.detector import TextDetector
from ocrexp.deploy.recognizer import TextRecognizer
from ocrexp.deploy.system import TextSystem

__all__ = ["Description", "TextClassifier", "TextDetector", "TextRecognizer", "TextSystem"]
