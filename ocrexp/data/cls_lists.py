"""Classification data from label lists and a folder of line images."""

from __future__ import annotations

from ocrexp.data.rec_lists import RecLists


class ClsLists(RecLists):
    """A data source of PaddleOCR's classification lists, `path<TAB>label` a line; arguments as LabelLists says.

    Which labels there are is the configuration's affair (`labels`): other ones are counted before training.
    """

    missed = "counted as wrong"
