"""The runtime for exported models: detection, recognition, and both together. Needs paddle only as a backend."""

from ocrexp.deploy.classifier import TextClassifier
from ocrexp.deploy.description import Description
from ocrexp.deploy.detector import TextDetector
from ocrexp.deploy.recognizer import TextRecognizer
from ocrexp.deploy.system import TextSystem

__all__ = ["Description", "TextClassifier", "TextDetector", "TextRecognizer", "TextSystem"]
