"""Classification data from label lists and a folder of line images."""

from __future__ import annotations

from pathlib import Path

from ocrexp.data.label_file import LabelFile
from ocrexp.data.other_task import refuse_other_task
from ocrexp.data.rec_labels import read_rec_label_file
from ocrexp.data.rec_lists import RecLists


class ClsLists(RecLists):
    """A data source of PaddleOCR's classification lists, `path<TAB>label` per line; arguments as in LabelLists.

    Which labels there are is the configuration's affair (`labels`): other ones are counted before training.
    """

    task = "cls"
    missed = "counted as wrong"

    def read(self, path: Path) -> LabelFile:
        """One label a line."""
        refuse_other_task(path, "rec")  # the same format
        return read_rec_label_file(path)
