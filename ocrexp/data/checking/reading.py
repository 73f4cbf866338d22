"""From the plan of a check to the entries of its lists, of whatever kind they are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from ocrexp.data.checking.databases import read_database
from ocrexp.data.checking.encoding import Digest
from ocrexp.data.checking.entries import Entries, RecordEntries
from ocrexp.data.checking.lines import read_entries
from ocrexp.data.checking.plan import DataFindings
from ocrexp.data.checking.problems import Place, Problem
from ocrexp.data.checking.shards import read_shards
from ocrexp.data.list_advice import missing_list
from ocrexp.data.lists import LabelLists
from ocrexp.data.lmdb import lmdb_folders
from ocrexp.data.shards.sources import ShardSource
from ocrexp.data.source import SPLITS, SplitSource
from ocrexp.errors import DataError
from ocrexp.files import exists


def read_lists(findings: DataFindings) -> None:
    """Read all lists, databases, shards or records of the plan into `entries`, with problems and fingerprints.

    Raises DataError if there is nothing to check: no list, or none that can be read.
    """
    plan, problems = findings.plan, findings.problems
    if isinstance(plan.source_data, ShardSource):
        for split in SPLITS:
            entries, fingerprint = read_shards(plan.source_data, split, problems)
            findings.entries.append(entries)
            findings.fingerprint |= fingerprint
        return
    if plan.source_data is not None:
        _read_records(findings, plan.source_data)
        return
    others = {plan.keys.get(split, split): list(names) for split, names in plan.lists.items()}
    for split, names in plan.lists.items():
        digest = hashlib.sha256()
        images = 0
        for index, name in enumerate(names):
            for one in _read_part(findings, split, name, index, others, digest):
                findings.entries.append(one)
                images += int(one.exists.sum()) if split == "train" else len(one)
        if any(one.split == split for one in findings.entries):
            findings.fingerprint |= {f"{split}_sha256": digest.hexdigest(), f"{split}_images": str(images)}
    if not findings.entries:
        reason = next((_with_advice(problem) for problem in problems), f"{plan.root} has no list")
        raise DataError(f"dataset: there is nothing to check: {reason}")
    if not any(len(one) for one in findings.entries) and not problems.number("error"):
        raise DataError(f"{findings.entries[0].path}: is empty; write one line per image, path<TAB>label")


def _read_records(findings: DataFindings, source: SplitSource) -> None:
    """The records of a source of another kind, and what it reports about those that it skips."""
    for split, records in (("train", source.train_records()), ("val", source.val_records())):
        one = RecordEntries(split, source.root, records)
        findings.entries.append(one)
        for i in np.flatnonzero(~one.exists).tolist():
            what = f"image {one.image(i)} does not exist"
            findings.problems.add("image-missing", one.place(i), what)
    for line in source.report():
        split, _, what = line.partition(": ")
        if split in SPLITS:
            findings.problems.add("source-skipped", Place(split, str(source.root)), what)
    findings.fingerprint |= source.fingerprint()


def _read_part(
    findings: DataFindings, split: str, name: str, index: int, others: dict[str, list[str]], digest: Digest
) -> Iterable[Entries]:
    plan, problems = findings.plan, findings.problems
    path = plan.root / name
    if not exists(path):
        kind = "list-missing" if split == "train" else "split-missing"
        what = f"LMDB folder {path} does not exist"
        if not plan.lmdb:
            what = missing_list(path, plan.root, others, LabelLists.usual_val, lambda option: f"dataset.{option}")
        problems.add(kind, Place(split, str(path)), what, None if plan.lmdb else "")
        return []
    if plan.lmdb:
        return [read_database(folder, split, problems, digest) for folder in lmdb_folders(path)]
    return [read_entries(path, split, plan.task, plan.root, index, others, problems, digest)]


def _with_advice(problem: Problem) -> str:
    return f"{problem.what}; {problem.advice}" if problem.advice else problem.what
