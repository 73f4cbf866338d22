"""`ocrexp browse dataset.root=DATA`: a local page to look through a data set before anything is trained on it."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import OmegaConf

from ocrexp.commands.check_data import ModelSteps, compose_for, own_keys
from ocrexp.config.compose import setup_hydra
from ocrexp.errors import ConfigError, nothing_done, printable
from ocrexp.logs import show_notices
from ocrexp.processes import StoppedBySignal

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from ocrexp.browse.session import Session
    from ocrexp.data.browsing.found import FoundProblems
    from ocrexp.data.checking.plan import DataPlan
    from ocrexp.types import DataSource

SUMMARY = "Look through a data set in the browser: labels, problems, augmented samples, targets"
USAGE = """
Usage
  python -m ocrexp browse dataset.root=DATA [task=det|rec|cls] [key=value ...]
  python -m ocrexp browse model=crnn_mbv3 dataset=rec_list dataset.root=DATA charset.use_space_char=true
  python -m ocrexp browse dataset.root=DATA report=outputs/check-data/DATE_TIME/check_data.json

Prints the address of a page that only this machine's browser can open, and serves it until Ctrl-C. The page filters the
samples of a training with these keys by problem, text and size, and shows each one as training sees it: augmented, with
the targets of the loss. The keys are those of training and of check-data."""

_MOST_PORT = 65535


@dataclass(frozen=True)
class BrowseSettings:
    """The keys of conf/browse.yaml."""

    task: str | None
    port: int
    open: bool
    check: bool
    images: bool
    workers: int | None
    report: str | None


def run(arguments: Sequence[str]) -> int:
    """Serve the page until a signal; Ctrl-C is the usual end, and returns 0."""
    from ocrexp.browse.server import BrowseServer
    from ocrexp.report.sample_page import make_browse_page

    setup_hydra()
    show_notices()
    with ExitStack() as held:
        with nothing_done():
            own, changes = own_keys("browse", arguments)
            settings = _checked(BrowseSettings(**own))
            config = compose_for(settings.task, changes)
            session, line = _session(config, settings, held)
            title = _title(config)
            server = BrowseServer(session, lambda nonce: make_browse_page(title, line, nonce), settings.port)
            held.callback(server.server_close)
        session.start()
        held.callback(session.stop)
        print(f"{title}: {line}")
        print(f"open {server.address} in the browser of this machine; Ctrl-C ends it", flush=True)
        if settings.open:
            import webbrowser

            webbrowser.open(server.address)
        try:
            server.serve_forever(poll_interval=0.2)
        except StoppedBySignal as stop:
            if stop.number != signal.SIGINT:
                raise
            print("ended")
    return 0


def _checked(settings: BrowseSettings) -> BrowseSettings:
    for name in ("open", "check", "images"):
        if not isinstance(getattr(settings, name), bool):
            raise ConfigError(f"{name}: expected true or false, got {getattr(settings, name)!r}")
    if type(settings.port) is not int or not 0 <= settings.port <= _MOST_PORT:
        raise ConfigError(f"port: expected a number from 0 to {_MOST_PORT}, got {settings.port!r}")
    if settings.workers is not None and (type(settings.workers) is not int or settings.workers < 1):
        raise ConfigError(f"workers: expected a whole number, 1 or more, got {settings.workers!r}")
    import importlib.util

    if importlib.util.find_spec("jinja2") is None:
        raise ConfigError("browse: needs jinja2; run pip install 'ocrexp[report]'")
    return settings


def _session(config: DictConfig, settings: BrowseSettings, held: ExitStack) -> tuple[Session, str]:
    """The data set with its problems, and a line about it."""
    from ocrexp.assemble.data import build_source
    from ocrexp.browse.pipelines import RunPipelines
    from ocrexp.browse.session import Session
    from ocrexp.data.browsing.found import FoundProblems
    from ocrexp.data.browsing.index import DataIndex
    from ocrexp.data.images import limit_pixels
    from ocrexp.data.shards.sources import InMemory, ShardSource
    from ocrexp.data.source import SplitSource
    from ocrexp.runs.hooks import prepare_process

    limit_pixels(int(config.loader.max_pixels))
    source = build_source(config.dataset)
    listed = InMemory(source) if isinstance(source, ShardSource) else source
    index = DataIndex({"train": listed.train_records(), "val": listed.val_records()}, str(config.task))
    if index.task != "det":
        index.read_texts()
    found = FoundProblems(index, isinstance(listed, SplitSource) and listed.val_split is not None)
    _begin_check(config, settings, source, found, held)

    def pipelines() -> RunPipelines:
        prepare_process(config)
        return RunPipelines(config, source, listed.indices if isinstance(listed, InMemory) else None)

    counts = ", ".join(f"{len(records)} {split}" for split, records in index.splits.items())
    return Session(index, found, pipelines), f"{counts} samples ({config.task}, model {config.model.name})"


def _begin_check(
    config: DictConfig, settings: BrowseSettings, source: DataSource, found: FoundProblems, held: ExitStack
) -> None:
    from ocrexp.assemble.data_plan import make_data_plan
    from ocrexp.browse.checking import CheckProcess, read_report

    if settings.report is not None:
        read_report(Path(settings.report).expanduser(), found, source.fingerprint())
        return
    if not settings.check:
        return
    try:
        make_data_plan(config)
    except ConfigError:
        found.state = "not for this kind of data set"
        return

    def plan() -> DataPlan:
        made = make_data_plan(config, ModelSteps(config).of)
        made.images, made.workers = settings.images, settings.workers
        return made

    process = CheckProcess(plan, found)
    held.callback(process.stop)
    process.start()


def _title(config: DictConfig) -> str:
    root = OmegaConf.select(config, "dataset.root")
    if root is None:
        return "Samples"
    return f"Samples of {printable(Path(str(root)).expanduser().resolve().name or str(root))}"
