"""ocrexp: composable training of text detection and recognition models on PaddlePaddle."""

__version__ = "0.1.0"
