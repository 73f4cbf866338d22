"""What the page of `browse` asks: samples, pictures, variants; no address of it names a file."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ocrexp.browse.pictures import THUMBNAIL, WHOLE, Encoded, Pictures
from ocrexp.data.browsing.found import FoundProblems
from ocrexp.data.browsing.index import DataIndex
from ocrexp.data.browsing.query import SORTS, Numbers, read_query, select, whole
from ocrexp.data.dataset import EvalPipeline
from ocrexp.data.variants import TrainVariants, evaluation_sample
from ocrexp.errors import OcrexpError
from ocrexp.report.sample_view import ShowsTargets, record_view, sample_item, train_view, unusable_view, variant_view
from ocrexp.types import UnusableSample

_MOST_ON_A_PAGE = 200
_LONGEST = 960  # pixels of a variant


class Pipelines(Protocol):
    """The pipelines of a training; made when they are first asked for, which may load the model."""

    @property
    def task(self) -> ShowsTargets: ...

    @property
    def train(self) -> TrainVariants: ...

    @property
    def val(self) -> EvalPipeline: ...


@dataclass
class Session:
    """A data set that is looked at.

    Args:
        index: its samples.
        found: their problems.
        pipelines: makes the training's pipelines; called at the first variant.
        regex_seconds: that a regular expression may take.
    """

    index: DataIndex
    found: FoundProblems
    pipelines: Callable[[], Pipelines]
    regex_seconds: float = 3.0
    _stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.pictures = Pictures(self.index.record)
        self._ready: Pipelines | None = None
        self._one = threading.Lock()  # transforms of users need not be safe for threads
        self._last: tuple[Any, tuple[Numbers, int]] | None = None

    def start(self) -> None:
        """Read what takes long, in another thread."""
        threading.Thread(target=self._read, name="index", daemon=True).start()

    def stop(self) -> None:
        """End that thread."""
        self._stop.set()

    def _read(self) -> None:
        if self.index.texts_known < len(self.index):
            self.index.read_texts(self._stop)
        self.index.read_sizes(self._stop)

    def state(self) -> dict[str, Any]:
        """How far reading and checking are."""
        return {
            "task": self.index.task,
            "count": len(self.index),
            "splits": {split: len(records) for split, records in self.index.splits.items()},
            "texts": self.index.texts_known,
            "sizes": self.index.sizes_known,
            "check": self.found.state,
            "checking": self.found.running,
            "kinds": self.found.kinds(),
            "sorts": SORTS,
            "version": self.found.version,
        }

    def samples(self, values: Mapping[str, str]) -> dict[str, Any]:
        """A page of the samples that a query asks for. Raises ValueError for an invalid query."""
        per_page = min(max(whole(values, "per", 60), 1), _MOST_ON_A_PAGE)
        numbers, unknown = self._select(values)
        pages = max(1, -(-len(numbers) // per_page))
        page = min(whole(values, "page", 0), pages - 1)
        shown = numbers[page * per_page : (page + 1) * per_page]
        problem = values.get("problem", "")
        return {
            "matched": len(numbers),
            "unknown": unknown,
            "page": page,
            "pages": pages,
            "first": page * per_page,
            "samples": [self._item(int(number)) for number in shown],
            "elsewhere": self.found.elsewhere(problem) if problem else [],
        }

    def _select(self, values: Mapping[str, str]) -> tuple[Numbers, int]:
        query = read_query(values)
        known = (query, self.found.version if query.problem else 0, self.index.texts_known, self.index.sizes_known)
        if self._last is None or self._last[0] != known:
            self._last = known, select(self.index, query, self.found.numbers, self.regex_seconds)
        return self._last[1]

    def sample(self, split: str, index: int) -> dict[str, Any]:
        """All of one sample but its variants. Raises IndexError if there is no such sample."""
        number = self.index.number(split, index)
        view = record_view(self.index.record(number), self.index.size(number))
        return {"split": split, "index": index, **view, "problems": self.found.of(number)}

    def _item(self, number: int) -> dict[str, Any]:
        index = self.index
        return sample_item(index.record(number), index.place(number), index.size(number), self.found.of(number))

    def picture(self, split: str, index: int, thumbnail: bool) -> Encoded:
        """Raises IndexError if there is no such sample, UnusableSample if its image cannot be read."""
        return self.pictures.get(self.index.number(split, index), THUMBNAIL if thumbnail else WHOLE)

    def variant(self, split: str, index: int, epoch: int) -> dict[str, Any]:
        """A sample as training sees it in an epoch, or as evaluation sees it. Raises IndexError."""
        self.index.number(split, index)
        with self._one:
            title = f"Epoch {epoch}" if split == "train" else "Evaluation"
            try:
                if self._ready is None:
                    self._ready = self.pipelines()
                if split == "train":
                    return train_view(self._ready.train, index, epoch, self._ready.task, _LONGEST)
                sample = evaluation_sample(self._ready.val, index)
                targets = self._ready.train.pipeline.transforms[-1]
                return variant_view(title, sample, self._ready.task, targets, _LONGEST)
            except (UnusableSample, OcrexpError) as reason:
                return unusable_view(title, reason)
