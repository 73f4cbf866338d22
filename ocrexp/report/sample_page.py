"""The page that shows samples: `browse` serves it, and `debug=samples` writes it as one file with its samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from ocrexp.data.browsing.query import SORTS
from ocrexp.data.checking.kinds import KINDS, SEVERITIES
from ocrexp.report.page import as_script, render


def make_browse_page(title: str, under: str, nonce: str) -> str:
    """The page that asks its server. Raises ImportError without jinja2.

    Args:
        title: its heading.
        under: a line about the data.
        nonce: of its scripts; the server names it in its policy.
    """
    return render("browse.html", title=title, under=under, nonce=nonce, data="null")


def make_sample_page(title: str, under: str, task: str, samples: Sequence[dict[str, Any]]) -> str:
    """The page as one file. Raises ImportError without jinja2.

    Args:
        title, under: as above.
        task: "det", "rec" or "cls".
        samples: each with `item` (of the list), `detail` and `variants`; see ocrexp.report.sample_view.
    """
    counts = Counter(found["kind"] for one in samples for found in one["detail"]["problems"])
    kinds = [
        {"name": name, "title": KINDS[name].title, "severity": KINDS[name].severity, "count": count, "samples": count}
        for name, count in sorted(counts.items(), key=lambda item: SEVERITIES.index(KINDS[item[0]].severity))
    ]
    state = {
        "count": len(samples), "texts": len(samples), "sizes": len(samples), "check": "", "checking": False,
        "kinds": kinds, "sorts": SORTS, "version": 0, "task": task,
    }  # fmt: skip
    data = as_script({"state": state, "samples": list(samples)})
    return render("browse.html", title=title, under=under, data=data)
