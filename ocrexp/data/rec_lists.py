"""Recognition data from label lists and a folder of word or line images."""

from __future__ import annotations

from pathlib import Path

from ocrexp.data.label_file import LabelFile
from ocrexp.data.lists import LabelLists
from ocrexp.data.other_task import refuse_other_task
from ocrexp.data.rec_labels import read_rec_label_file


class RecLists(LabelLists):
    """A data source of PaddleOCR recognition lists; arguments, and what is skipped, as in LabelLists.

    A line with several images of one text makes as many records.
    """

    task = "rec"
    missed = "counted as images in which nothing was read"

    def read(self, path: Path) -> LabelFile:
        """One text a line."""
        refuse_other_task(path, "rec")
        return read_rec_label_file(path)
