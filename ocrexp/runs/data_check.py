"""The quick look at a run's data before its training."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ocrexp.data.source import SplitSource

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from ocrexp.types import DataSource

log = logging.getLogger(__name__)


def log_data_check(config: DictConfig, source: DataSource) -> None:
    """Log what a quick look at lists or databases shows, and what was looked at; `data_check_seconds` bounds its time.

    Nothing for other data, which is drawn, and for a run on one batch.
    """
    seconds = config.get("data_check_seconds") or 0  # runs of earlier versions have no such key
    if seconds <= 0 or not isinstance(source, SplitSource) or config.get("overfit"):
        return
    from ocrexp.data.checking.quick import quick_check
    from ocrexp.data.records import some_records

    train, remark = some_records(source.train_records())
    splits = {"train": train, "val": source.val_records()}
    found, looked = quick_check(splits, str(config.task), float(seconds))
    for line in found:
        log.warning("%s", line)
    log.info("%s%s", looked, f"; {remark}" if remark else "")
