"""Drawn data straight into the formats of data sets: LMDB, tar shards, and words cut from drawn pages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ocrexp.data.formats.entries import Account, Entry
from ocrexp.data.formats.registry import FORMATS
from ocrexp.data.formats.writer import WriteOptions
from ocrexp.data.formats.writing import PartWriters
from ocrexp.data.synth.cache import filled
from ocrexp.data.synth.drawn import DrawnData
from ocrexp.data.synth.entries import entry_of
from ocrexp.data.synth.parallel import in_order
from ocrexp.data.synth.words import SPLITS, Split
from ocrexp.deploy.label_crops import cut_entries
from ocrexp.deploy.progress import Progress
from ocrexp.files import write_json

REPORT = "synth.json"


@dataclass(frozen=True, slots=True)
class DrawnOutput:
    """How drawn data is written.

    Args:
        to: the format; pages are lists where it holds none.
        crops: the words of pages are cut too: pages are in the folder `det`, words in `rec`.
        crop_margin: around a crop, as a share of its height.
    """

    to: str
    crops: bool
    crop_margin: float


def write_drawn(folder: Path, source: DrawnData, output: DrawnOutput) -> list[str]:
    """Draw into a new folder, which has its name only when it is complete.

    The content does not depend on the number of processes. Returns one line for each kind of thing that is not in it.

    Raises DataError if the folder holds something or cannot be written.
    """
    folder = folder.expanduser().absolute()
    settings = source.description()  # what cannot be drawn is known before anything is written
    account = Account()
    jobs = [(split, index) for split in SPLITS for index in range(source.counts[split])]

    def work(job: tuple[Split, int]) -> tuple[Entry, list[Entry], Account]:
        entry = entry_of(*job, source.draw(*job))
        own = Account()
        pages = iter([(job[0], entry)] if output.crops else [])
        return entry, [crop for _, crop in cut_entries(pages, output.crop_margin, 1, own)], own

    with filled(folder) as part, Progress(len(jobs), "drawing") as bar:
        images, crops = _writers(part, folder, output, account)
        for (split, _), (entry, cut, own) in zip(jobs, in_order(jobs, work, source.workers), strict=True):
            images.add(split, entry)
            for crop in cut:
                crops.add(split, crop)
            account.merge(own)
            bar.advance(entry.name)
        for parts in (images, crops):
            parts.close()
        written = {"det": images, "rec": crops} if output.crops else {source.task: images}
        found = {kind: {name: w.as_json() for name, w in parts.written.items()} for kind, parts in written.items()}
        meta = {"to": output.to, "written": found, "settings": settings, **account.as_json()}
        write_json(part / REPORT, meta)
    return list(account.lines())


def _writers(part: Path, final: Path, output: DrawnOutput, account: Account) -> tuple[PartWriters, PartWriters]:
    """The writers of the images, and of their crops."""

    def made(below: str, to: str) -> PartWriters:
        writer = FORMATS[to].writer
        assert writer is not None
        (part / below).mkdir(exist_ok=True)
        return PartWriters(writer, part / below, final / below, list(SPLITS), WriteOptions(copy=True), account)

    if not output.crops:
        return made("", output.to), made("", output.to)
    pages = output.to if "det" in FORMATS[output.to].kinds else "paddleocr"
    return made("det", pages), made("rec", output.to)
