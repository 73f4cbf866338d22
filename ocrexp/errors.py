"""Errors meant for the user: one line that says what is wrong, where, and the mend."""


class OcrexpError(Exception):
    """A failure whose message is complete by itself; the command line prints it without a traceback."""

    exit_code = 1


class ConfigError(OcrexpError):
    """The configuration cannot be used: unknown key, wrong type, parts that do not fit."""

    exit_code = 2


class DataError(OcrexpError):
    """Labels or images cannot be used."""


class CheckpointError(OcrexpError):
    """A checkpoint or a pretrained file is missing, damaged or does not fit the model."""


class TrainingError(OcrexpError):
    """Training cannot go on: non-finite loss, out of memory, a dead worker."""
