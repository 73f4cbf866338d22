"""The kinds of problems that a check of a data set finds: how severe each is, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem.

    Args:
        name: its identifier in `check_data.json`.
        severity: `error`: training skips it, refuses it or learns something wrong; `warning`: training uses it, and
            it is probably not what was meant; `note`: worth knowing.
        title: what there are, for a table.
        advice: what to do, where a problem has no advice of its own.
        fixed: whether `fix=true` corrects it.
    """

    name: str
    severity: Severity
    title: str
    advice: str
    fixed: bool = False


_ERRORS = (
    ("list-missing", "training lists that do not exist", "correct dataset.root, or the names of the lists", False),
    ("list-empty", "lists and databases without an entry", "give another one, or remove it from the data set", False),
    ("encoding-wide", "lists in UTF-16 or UTF-32", "convert the list to UTF-8", True),
    ("encoding-other", "lines in another encoding than UTF-8", "convert them to UTF-8", True),
    ("encoding-unknown", "lines that are not UTF-8", "convert them from the encoding they were saved in", False),
    ("line-delimiter", "lines without a tab", "separate path and label with a tab", True),
    ("line-no-path", "lines without an image path", "write the path relative to the root folder", False),
    ("line-nul", "lines with NUL bytes", "the file is damaged; write these lines again", False),
    ("line-too-long", "lines of megabytes", "is it a label list?", False),
    ("line-joined", "lines that are joined", "write one image per line", True),
    ("line-ends", "carriage returns within lines", "end lines with LF or CR LF", True),
    ("label-empty", "empty labels", "write the text after the tab, or remove the line", False),
    ("label-conflict", "images with several different labels", "keep the correct line", False),
    ("label-broken", "labels that cannot be read", "correct the line", False),
    ("json-quotes", "JSON with single quotes", "write double quotes", True),
    ("json-commas", "JSON with trailing commas", "remove the last comma of each list", True),
    ("json-joined", "JSON lists that are joined", "write one list per line", True),
    ("json-single", "regions that are not in a list", "write [ before the region and ] after it", True),
    ("json-broken", "broken JSON", "correct the line", False),
    ("label-not-regions", "labels that are not lists of regions",
     'write [{"transcription": "word", "points": [[x, y], ...]}]', False),
    ("region-keys", "regions without points or transcription", "give both; ### marks a region to ignore", False),
    ("region-text", "transcriptions that are not texts", "write the text in quotes", False),
    ("image-missing", "images that do not exist", "correct the path or dataset.root, or remove the line", False),
    ("image-empty", "image files of 0 bytes", "copy the file again", False),
    ("image-truncated", "truncated images", "copy the file again", False),
    ("image-corrupt", "images that cannot be decoded", "replace the file", False),
    ("image-too-large", "images above the limit of pixels", "raise loader.max_pixels, or shrink the image", False),
    ("image-too-small", "images with too few pixels to be used", "remove the line", False),
    ("polygon-few-points", "regions with fewer than 3 points", "give 3 points or more", False),
    ("polygon-coordinates", "regions with invalid coordinates", "write [x, y] in pixels of the image", False),
    ("polygon-no-area", "regions without area", "correct the points, or remove the region", True),
    ("polygon-crossing", "regions that cross themselves", "write the points in order around the region", True),
    ("polygon-outside", "regions outside their image", "correct the points", False),
    ("polygon-unrotated", "regions that fit the image before its EXIF rotation only",
     "rotate the points, or the image's pixels", True),
    ("text-outside-charset", "characters that the charset refuses",
     "choose another charset, correct the label, or set charset.unknown=map or drop", False),
    ("class-unknown", "labels that are not classes", "set labels=[…] to the classes, or correct the label", False),
    ("leak-image", "validation images that are training images", "remove them from one list", False),
    ("leak-content", "validation images equal to training images", "remove them from one list", False),
    ("source-skipped", "entries that the reader skips", "", False),
    ("shard-damaged", "shards that are truncated or damaged", "copy the shard again, or write it again", False),
    ("shard-sample", "samples of shards that cannot be used", "write the shard again", False),
    ("shard-member", "members of shards that are not used", "write the shard again", False),
    ("lmdb-entry", "LMDB entries that cannot be used", "create the database again", False),
)  # fmt: skip
_WARNINGS = (
    ("encoding-bom", "byte order marks", "save the list without: PaddleOCR takes it for a part of the path",
     True),
    ("line-header", "header lines", "remove the line", True),
    ("line-columns", "lines with a third column", "remove it: the label is the second column", True),
    ("line-tabs", "tabs beside the label", "write one tab, between path and label", True),
    ("line-duplicate", "lines that repeat an earlier one", "remove the line", True),
    ("image-near-empty", "images of one color", "is it the right image?", False),
    ("image-damaged", "images that the decoder reports as damaged", "open the image; copy it again", False),
    ("image-duplicate", "images equal to another one", "remove all but one", False),
    ("image-same-labels-differ", "equal images with different labels", "keep the correct label", False),
    ("image-suffix", "images of another format than their suffix", "rename the file: other programs may refuse it",
     False),
    ("polygon-partly-outside", "regions more than half outside their image", "correct the points", False),
    ("polygon-counterclockwise", "regions whose points run counterclockwise",
     "write the points clockwise: crops for recognition are mirrored otherwise", True),
    ("polygon-start", "regions that do not start at the text's upper left",
     "start there: crops for recognition are turned otherwise", True),
    ("polygon-duplicate", "regions that repeat another one", "remove one of them", True),
    ("polygon-tiny", "legible regions too small for the model", "mark them with ###, or use larger images", False),
    ("polygon-enormous", "regions larger than the model sees at once", "use smaller images", False),
    ("region-no-text", "regions with an empty transcription", "write the text, or ###", True),
    ("text-unreadable", "validation characters that the charset lacks", "the model cannot read them", False),
    ("text-dropped", "characters that the charset drops or replaces", "is that what you want?", False),
    ("text-lookalike", "letters of another script that look alike", "write the letter of the word's own script", True),
    ("text-full-width", "full-width letters and digits", "write the plain ones, or set charset.normalize=nfkc", True),
    ("text-dashes", "dashes that look like another one in use", "use one character for one dash", True),
    ("text-nbsp", "non-breaking and other special spaces", "write U+0020, or set charset.invisible=clean", True),
    ("text-invisible", "invisible characters", "remove them, or set charset.invisible=clean", True),
    ("text-unnormalized", "texts that are not in Unicode's form NFC", "write them in NFC", True),
    ("text-spaces", "spaces at the ends of labels", "remove them: no image shows them", True),
    ("text-double-space", "several spaces in a row", "write one: an image does not show how many", True),
    ("text-garbled", "texts from a wrong conversion", "convert the list again from its original encoding", False),
    ("text-entities", "HTML entities", "write the character itself", True),
    ("text-too-long", "texts longer than max_text_length", "raise targets.max_text_length", False),
    ("text-steps", "texts longer than CTC can emit", "use a wider image", False),
    ("text-width", "texts that do not fit the width of their image", "look at image and label", False),
    ("leak-near", "validation images nearly equal to training images", "remove them from one list", False),
    ("leak-source", "validation images from the photograph of training images",
     "split by photograph: dataset.val_split_by", False),
    ("class-imbalance", "classes with few images", "add images of this class", False),
    ("class-missing", "classes without images", "add images, or remove the class from labels", False),
    ("split-missing", "validation lists that do not exist", "give the list, or set dataset.val_split=0.1", False),
)  # fmt: skip
_NOTES = (
    ("line-crlf", "Windows line ends", "", False),
    ("image-near", "nearly equal images", "frames of a video? Keep them on one side of a split", False),
    ("image-exif", "images with an EXIF rotation", "labels have to be in coordinates of the rotated image", False),
    ("polygon-beyond", "regions that reach beyond their image", "", True),
    ("image-no-regions", "images without regions", "right if they contain no text", False),
    ("image-no-legible", "images whose regions are all ignored", "", False),
    ("text-dash-kinds", "several kinds of dashes", "are they distinguished on purpose?", False),
    ("text-quote-kinds", "several kinds of quotes", "are they distinguished on purpose?", False),
    ("leak-texts", "validation texts that are training texts", "", False),
)
KINDS: dict[str, Kind] = {
    name: Kind(name, severity, title, advice, fixed)
    for severity, kinds in zip(SEVERITIES, (_ERRORS, _WARNINGS, _NOTES), strict=True)
    for name, title, advice, fixed in kinds
}
