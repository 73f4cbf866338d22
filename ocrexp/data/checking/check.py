"""The check of a data set: reads the lists, looks at labels and images, compares the splits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ocrexp.data.checking.advice import advise
from ocrexp.data.checking.classes import check_classes
from ocrexp.data.checking.entries import Entries, Hashes
from ocrexp.data.checking.figures import character_counts, histogram
from ocrexp.data.checking.image_check import check_images, repeated_images
from ocrexp.data.checking.images import ImageTable, look_at_images
from ocrexp.data.checking.leakage import shared_images, shared_sources, shared_texts
from ocrexp.data.checking.lengths import LengthCheck, TextLimits
from ocrexp.data.checking.plan import DataFindings, DataPlan
from ocrexp.data.checking.problems import Place, Problems
from ocrexp.data.checking.reading import read_lists
from ocrexp.data.checking.regions import RegionCheck, combined
from ocrexp.data.checking.repeats import label_hashes, repeated_lines
from ocrexp.data.checking.texts import TextCheck
from ocrexp.data.checking.worst import find_worst
from ocrexp.data.source import SPLITS

_PORTION = 4096


def check_dataset(plan: DataPlan) -> DataFindings:
    """Check a data set. Raises DataError if there is nothing to check: no list, or none that can be read."""
    findings = DataFindings(plan, Problems(plan.most, plan.heard))
    read_lists(findings)
    hashes = [one.hashes() for one in findings.entries]
    for split in SPLITS:
        chosen = [i for i, one in enumerate(findings.entries) if one.split == split]
        repeated_lines([findings.entries[i] for i in chosen], [hashes[i] for i in chosen], findings.problems)
    shared_images(findings.entries, hashes, findings.problems)
    first = _table(findings, hashes)
    if plan.images:
        _open_images(findings)
    else:
        findings.not_looked.append("the images (images=false): sizes, damage, equal and nearly equal images")
    _labels(findings)
    _compare_splits(findings, first)
    _totals(findings)
    advise(findings)
    find_worst(findings)
    return findings


def _table(findings: DataFindings, hashes: Sequence[Hashes]) -> npt.NDArray[np.int64]:
    """Make the table of different images that exist; returns the first entry of each, by its number among all."""
    every = np.concatenate(hashes)
    there = np.concatenate([one.exists for one in findings.entries])
    places = np.flatnonzero(there)
    keys, first = np.unique(every[places], return_index=True)
    first = places[first]
    ends = np.cumsum([len(one) for one in findings.entries])

    def path(row: int) -> Path:
        which = int(np.searchsorted(ends, first[row], "right"))
        return findings.entries[which].image(int(first[row] - (ends[which - 1] if which else 0)))

    table = ImageTable.empty(len(keys), path, keys)
    findings.images = table
    findings.rows = [table.rows_of(of_list) for of_list in hashes]
    return first


def _open_images(findings: DataFindings) -> None:
    table, plan = findings.images, findings.plan
    assert table is not None
    order = np.concatenate(findings.rows)  # as the lists name them: neighbors on the disk are read one after the other
    order = order[order >= 0]
    order = order[np.sort(np.unique(order, return_index=True)[1])]
    advance = plan.progress(len(order), "images")
    for row, facts in look_at_images(table.paths, order.tolist(), plan.workers, advance):
        table.put(row, facts)
    advance("")
    contents = table.content[order]
    findings.fingerprint["images_sha256"] = hashlib.sha256(contents.tobytes()).hexdigest()
    check_images(findings)


def _portions(entries: Entries) -> Iterator[tuple[int, list[str]]]:
    start = 0
    for texts in entries.texts():
        yield start, texts
        start += len(texts)


def _labels(findings: DataFindings) -> None:
    if findings.plan.task == "det":
        _regions(findings)
    elif findings.plan.task == "cls":
        check_classes(findings)
    else:
        _texts(findings)


def _texts(findings: DataFindings) -> None:
    plan, problems = findings.plan, findings.problems
    limits: TextLimits | None = None
    if plan.text_limits is not None:
        train = findings.of("train") or findings.entries
        limits = plan.text_limits(chain.from_iterable(texts for one in train for texts in one.texts()))
    lengths, needed, checks = [], [], []
    for split in SPLITS:
        if not (lists := findings.of(split)):
            continue
        look = TextCheck(split, problems)
        fits = None if limits is None else LengthCheck(split, limits, problems)
        for one in lists:
            for start, texts in _portions(one):

                def place(i: int, one: Entries = one, start: int = start) -> Place:
                    return one.place(start + i)

                look.look(texts, place)
                if fits is not None:
                    fits.look(texts, place)
        checks.append(look)
        if fits is not None:
            fits.finish()
            lengths += fits.lengths
            needed += fits.needed
            findings.advice += fits.advice()
    every: npt.NDArray[np.int64] = np.sum([look.characters for look in checks], axis=0)
    for look in checks:
        look.finish(every)
    findings.characters = character_counts(every)
    marks = {} if limits is None else {"max_text_length": float(limits.max_text_length)}
    findings.histograms += filter(None, [histogram("length", "Length of texts", "characters", lengths, marks, True)])
    if limits is not None and (emitted := limits.emitted()) is not None:
        steps = histogram("steps", "CTC steps that texts need", "steps", needed, {"steps of the model": emitted}, True)
        findings.histograms += filter(None, [steps])


def _regions(findings: DataFindings) -> None:
    plan, problems = findings.plan, findings.problems
    assert plan.region_limits is not None
    checks = []
    for split in SPLITS:
        if not findings.of(split):
            continue
        check = RegionCheck(split, plan.region_limits, problems)
        for number, one in enumerate(findings.entries):
            if one.split == split:
                check.look(one, findings.rows[number], findings.images if plan.images else None)
        checks.append(check)
        total = sum(check.per_image)
        findings.facts |= {
            f"{split} regions": total,
            f"{split} ignored share": round(check.ignored / total, 4) if total else 0.0,
        }
    every: npt.NDArray[np.int64] = np.sum([check.texts.characters for check in checks], axis=0)
    for check in checks:
        check.texts.finish(every)
    findings.characters = character_counts(every)
    per_image = [np.array(check.per_image) for check in checks]
    short = [combined(check.short) for check in checks]
    resized = [combined(check.resized) for check in checks]
    smallest = {"too small": plan.region_limits.smallest}
    findings.histograms += filter(
        None,
        [
            histogram("regions", "Regions per image", "regions", per_image, whole=True),
            histogram("heights", "Short sides of legible regions", "pixels of the image", short),
            histogram("resized", "Short sides after the resize of evaluation", "pixels", resized, smallest),
        ],
    )


def _compare_splits(findings: DataFindings, first: npt.NDArray[np.int64]) -> None:
    """What training and validation share, beside the paths."""
    plan, problems, table = findings.plan, findings.problems, findings.images
    assert table is not None
    train, val = _split_rows(findings)
    if plan.images:
        repeated_images(findings, train, val, first)
    if not len(val):
        return
    if plan.task == "rec" and plan.val_split is None:
        hashes = {split: [label_hashes(one) for one in findings.of(split)] for split in SPLITS}
        place = Place("val", str(findings.of("val")[0].path))
        share = shared_texts(hashes["train"], hashes["val"], place, problems)
        if share is not None:
            findings.facts["val texts that are train texts"] = round(share, 4)
    if plan.source != "" and (plan.task == "rec" or plan.source is not None):
        rows = np.setdiff1d(val, train)
        train, rows = train[np.argsort(first[train])], rows[np.argsort(first[rows])]  # in the order of the lists
        count = shared_sources(
            train, rows, table.paths, lambda row: findings.place_of(int(first[row])), plan.source, problems
        )
        if count is None:
            findings.not_looked.append("photographs of crops: names do not state them; set source=REGEX")
        else:
            findings.facts["photographs in train"] = count


def _split_rows(findings: DataFindings) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The different rows of training and of validation images."""
    plan = findings.plan
    rows = {
        split: np.unique(np.concatenate([rows for one, rows in zip(findings.entries, findings.rows, strict=True)
                                         if one.split == split] or [np.zeros(0, np.int64)]))
        for split in SPLITS
    }  # fmt: skip
    train, val = (some[some >= 0] for some in (rows["train"], rows["val"]))
    if plan.val_split is None or plan.lmdb or plan.source_data is not None or not len(train):
        return train, val
    from ocrexp.data.checking.entries import ListEntries
    from ocrexp.data.records import ListRecords, image_hashes

    parts = [one.part.keep(one.exists) for one in findings.of("train") if isinstance(one, ListEntries)]
    kept, held, line = plan.val_split(ListRecords(parts), plan.root)
    findings.facts["val_split"] = line
    assert findings.images is not None
    return tuple(np.unique(findings.images.rows_of(image_hashes(some))) for some in (kept, held))  # type: ignore[return-value]


def _totals(findings: DataFindings) -> None:
    facts: dict[str, object] = {}
    for split in SPLITS:
        lists = findings.of(split)
        if lists:
            facts[f"{split} images"] = sum(len(one) for one in lists)
            facts[f"{split} images that exist"] = int(sum(one.exists.sum() for one in lists))
    findings.facts = facts | findings.facts
    if findings.plan.images and findings.images is not None:
        findings.facts["images opened"] = findings.images.looked
