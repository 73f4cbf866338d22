"""Labels of a classifier: which are classes, and how many images each has."""

from __future__ import annotations

from collections import Counter

from ocrexp.data.checking.plan import DataFindings
from ocrexp.data.checking.problems import Place
from ocrexp.data.label_format import short
from ocrexp.data.source import SPLITS

_RARE = 0.1  # of an equal share of the images


def check_classes(findings: DataFindings) -> None:
    """Report labels that are not classes, and classes with few images or none."""
    classes = findings.plan.classes
    for split in SPLITS:
        if not (lists := findings.of(split)):
            continue
        counts: Counter[str] = Counter()
        for one in lists:
            start = 0
            for texts in one.texts():
                counts.update(texts)
                for i, text in enumerate(texts):
                    if classes is not None and text not in classes:
                        what = f"{short(text)} is not one of the classes {', '.join(classes)}"
                        findings.problems.add("class-unknown", one.place(start + i), what, image=one.image(start + i))
                start += len(texts)
        findings.facts[f"{split} classes"] = dict(counts.most_common(50))
        known = list(classes) if classes is not None else list(counts)
        place, total = Place(split, str(lists[0].path)), sum(counts[name] for name in known)
        for name in known:
            if not counts[name]:
                findings.problems.add("class-missing", place, f"class {short(name)} has no image")
            elif counts[name] < _RARE * total / len(known):
                what = f"class {short(name)} has {counts[name]} of {total} images"
                findings.problems.add("class-imbalance", place, what)
