"""`ocrexp check-data dataset.root=DATA`: what is wrong with a data set, before anything is trained on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from ocrexp.command_line import key_of
from ocrexp.config.changes import split_overrides
from ocrexp.config.check import check_early
from ocrexp.config.compose import compose, setup_hydra
from ocrexp.config.task import LISTS, MODELS, with_default_model
from ocrexp.errors import ConfigError, nothing_done, printable
from ocrexp.files import write_json
from ocrexp.logs import show_notices
from ocrexp.nearest import did_you_mean, expected_one_of
from ocrexp.runs.output import output_folder

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from ocrexp.data.checking.fix import FixedList
    from ocrexp.data.checking.plan import DataFindings, DataPlan

SUMMARY = "Check a data set: lists, labels, images, leakage; a table, JSON and a page"
USAGE = """
Usage
  python -m ocrexp check-data dataset.root=DATA [task=det|rec|cls] [key=value ...]
  python -m ocrexp check-data model=crnn_mbv3 dataset=rec_list dataset.root=DATA charset.use_space_char=true
  python -m ocrexp check-data dataset=det_list dataset.root=DATA dataset.train_labels=Label.txt fix=true

Reads label lists or LMDB folders as a training with these keys would, and reports every problem with its file and line,
what is wrong and how to correct it: encoding, delimiter, JSON, images, regions, characters, lengths, images that are in
training and validation. Writes check_data.json and check_data.html. The exit code is 1 if there are errors, and 0 if
there are only warnings."""

REPORT, PAGE = "check_data.json", "check_data.html"
TASKS = ("det", "rec", "cls")


@dataclass(frozen=True)
class CheckDataSettings:
    """The keys of conf/check-data.yaml."""

    task: str | None
    images: bool
    workers: int | None
    fix: bool | list[str]
    source: str | None
    most_per_kind: int | None
    most_pairs: int
    page: bool
    pictures: int
    output: str | None
    overwrite: bool


def run(arguments: Sequence[str]) -> int:
    """Check the data, print a table, write the reports; returns 1 if there are errors."""
    setup_hydra()
    show_notices()
    with ExitStack() as held:
        with nothing_done():
            own, changes = own_keys("check-data", arguments)
            settings = _checked(CheckDataSettings(**own))
            config = compose_for(settings.task, changes)
            plan = _plan(config, settings)
            if settings.fix:
                _check_places(plan)
            folder = held.enter_context(
                output_folder(settings.output, "outputs/check-data", REPORT, "a check", settings.overwrite)
            )
        started = time.perf_counter()
        from ocrexp.data.checking.check import check_dataset

        with nothing_done():
            findings = check_dataset(plan)
        findings.facts["seconds"] = round(time.perf_counter() - started, 1)
        findings.facts["peak memory (MB)"] = _peak_megabytes()
        return _report(findings, folder, settings)


def own_keys(verb: str, arguments: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """The values of the verb's own keys, `task` among them, and the other arguments, which are keys of training.

    Raises ConfigError for a task that does not exist.
    """
    own, changes = split_overrides([str(key) for key in compose(verb, [])], arguments)
    tasks = [item.partition("=")[2].strip("'\"") for item in own if key_of(item) == "task"]
    own = [item for item in own if key_of(item) != "task"]  # Hydra would take it for the group of this name
    task = tasks[-1] if tasks and tasks[-1] != "null" else None
    if task is not None and task not in TASKS:
        raise ConfigError(f"task: {expected_one_of(task, TASKS)}")
    values = OmegaConf.to_container(compose(verb, own))
    assert isinstance(values, dict)
    return {**{str(key): value for key, value in values.items()}, "task": task}, changes


def _checked(settings: CheckDataSettings) -> CheckDataSettings:
    _check_fix(settings.fix)
    for name in ("images", "page", "overwrite"):
        if not isinstance(getattr(settings, name), bool):
            raise ConfigError(f"{name}: expected true or false, got {getattr(settings, name)!r}")
    for name, least, optional in (
        ("workers", 1, True), ("most_per_kind", 1, True), ("most_pairs", 0, False), ("pictures", 0, False),
    ):  # fmt: skip
        value = getattr(settings, name)
        if not (value is None and optional) and (type(value) is not int or value < least):
            raise ConfigError(f"{name}: expected a whole number, {least} or more, got {value!r}")
    if settings.source:
        import re

        try:
            re.compile(settings.source)
        except re.error as error:
            raise ConfigError(f"source: expected a regular expression, got {settings.source!r} ({error})") from None
    if settings.page:
        import importlib.util

        if importlib.util.find_spec("jinja2") is None:
            raise ConfigError("page: needs jinja2; run pip install 'ocrexp[report]', or set page=false")
    return settings


def _check_fix(fix: object) -> None:
    from ocrexp.data.checking.kinds import KINDS

    if isinstance(fix, bool):
        return
    known = [name for name, kind in KINDS.items() if kind.fixed]
    if not isinstance(fix, list) or not fix:
        raise ConfigError(f"fix: expected true, false or a list of kinds such as [text-spaces], got {fix!r}")
    for name in fix:
        if name not in known:
            hint = did_you_mean(str(name), known) or f"; kinds that can be corrected: {', '.join(known)}"
            raise ConfigError(f"fix: {name!r} is not a kind that can be corrected{hint}")


def _check_places(plan: DataPlan) -> None:
    """Raises ConfigError where corrected lists could not be written, before all is checked."""
    from ocrexp.config.places import writable

    if plan.lmdb or plan.source_data is not None:
        return
    for folder in {(plan.root / name).parent for names in plan.lists.values() for name in names}:
        if folder.is_dir() and not writable(folder):
            raise ConfigError(
                f"fix: corrected lists are written beside the originals, and {printable(str(folder))} cannot be "
                "written; copy the lists, or set fix=false"
            )


def compose_for(task: str | None, overrides: Sequence[str]) -> DictConfig:
    """The training configuration of these overrides, with a data set of lists or LMDB folders.

    What chooses no data set gets the lists of its task, or LMDB folders, where there are some. Raises ConfigError.
    """
    keys = [key_of(item) for item in overrides]
    choices = list(overrides)
    if "dataset" not in keys and "experiment" not in keys:
        if "model" in keys:
            found = str(compose("train", [item for item in overrides if key_of(item) == "model"]).task)
            if task is not None and found != task:
                raise ConfigError(f"task={task}: the chosen model is for {found}; remove one of them")
            task = found
        else:
            from ocrexp.data.checking.recognize import task_of_data

            task = task or task_of_data(overrides)
            choices.insert(0, f"model={MODELS[task]}")
        choices.insert(0, f"dataset={_dataset(task, overrides)}")
    config = compose("train", with_default_model(choices))
    if OmegaConf.is_missing(config.dataset, "root"):
        raise ConfigError("dataset.root: is missing; add the folder of the data: dataset.root=DIR")
    if task is not None and config.task != task:
        raise ConfigError(f"task={task}: the chosen data set or model is for {config.task}; remove one of them")
    check_early(config)
    return config


def _dataset(task: str, overrides: Sequence[str]) -> str:
    from ocrexp.data.checking.recognize import has_databases

    return "rec_lmdb" if task == "rec" and has_databases(overrides) else LISTS[task]


def _plan(config: DictConfig, settings: CheckDataSettings) -> DataPlan:
    from ocrexp.assemble.data_plan import make_data_plan
    from ocrexp.data.images import limit_pixels
    from ocrexp.data.other_task import refuse_other_task

    limit_pixels(int(config.loader.max_pixels))
    steps = ModelSteps(config)
    plan = make_data_plan(config, steps.of)
    if plan.source_data is None and not plan.lmdb:
        for name in chain.from_iterable(plan.lists.values()):
            refuse_other_task(plan.root / name, "det" if plan.task == "det" else "rec")
    plan.images, plan.workers, plan.most = settings.images, settings.workers, settings.most_per_kind
    plan.most_pairs, plan.source, plan.progress = settings.most_pairs, settings.source, _progress
    return plan


class ModelSteps:
    """How many steps the model of a configuration emits; the model is built when that is first asked."""

    def __init__(self, config: DictConfig) -> None:
        self._config = config
        self._model: Any = None

    def of(self, charset: Any) -> Callable[[int], int | None]:
        """Image width → steps; None for a width that the model does not take."""
        from ocrexp.runs.hooks import prepare_process

        prepare_process(self._config)

        def steps(width: int) -> int | None:
            from ocrexp.assemble.model import build_network
            from ocrexp.models.steps import ctc_steps

            if self._model is None:
                self._model = build_network(self._config, charset)
            try:
                return ctc_steps(self._model, (int(self._config.model.image_shape[0]), width))
            except (ConfigError, ValueError):  # paddle raises ValueError for a size that a layer cannot take
                return None

        return steps


def _progress(total: int, what: str) -> Callable[[str], None]:
    """A bar that is removed when it is called with an empty name."""
    from ocrexp.deploy.progress import Progress

    bar = Progress(total, what).__enter__()

    def advance(name: str) -> None:
        if name:
            bar.advance(name)
        else:
            bar.__exit__(None, None, None)

    return advance


def _peak_megabytes() -> int:
    import resource

    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) // 1024


def _report(findings: DataFindings, folder: Path, settings: CheckDataSettings) -> int:
    from ocrexp.data.checking.summary import summary_lines, verdict

    for line in summary_lines(findings):
        print(line)
    fixed = _fix(findings, settings.fix)
    write_json(folder / REPORT, {**findings.as_json(), "fixed": {str(one.original): str(one.path) for one in fixed}})
    written = [folder / REPORT]
    if settings.page:
        from ocrexp.report.data_page import make_data_page
        from ocrexp.report.page import write_page

        written.append(folder / PAGE)
        write_page(folder / PAGE, make_data_page(findings, fixed, pictures=settings.pictures))
    print(f"{findings.plan.task} data in {printable(str(findings.plan.root))}: {verdict(findings)}")
    print(f"written: {', '.join(printable(str(path)) for path in written)}")
    return 1 if findings.problems.number("error") else 0


def _fix(findings: DataFindings, fix: bool | list[str]) -> list[FixedList]:
    """Write corrected lists, and print what is in them."""
    if not fix:
        return []
    from ocrexp.data.checking.fix import write_fixed

    fixed = write_fixed(findings, None if fix is True else fix)
    for one in fixed:
        changes = ", ".join(f"{kind} {count}" for kind, count in one.changed.most_common())
        print(f"corrected: {printable(str(one.path))}: {one.lines} lines, {one.removed} removed ({changes})")
    if not fixed:
        print("corrected: no list has a problem that fix corrects")
    return fixed
