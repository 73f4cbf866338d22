"""`ocrexp prune run_dir=RUN output=FOLDER flops=0.6`: a smaller network to fine-tune, as a run folder of its own."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from ocrexp.command_line import typed
from ocrexp.commands.eval import report_unfinished, weights_of
from ocrexp.config.compose import compose, setup_hydra
from ocrexp.config.frozen import read_frozen, trusted_of
from ocrexp.errors import ConfigError, nothing_done, printable
from ocrexp.logs import show_notices
from ocrexp.nearest import did_you_mean
from ocrexp.runs.derived import check_output, write_run
from ocrexp.runs.hooks import prepare_process

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from ocrexp.assemble import Parts
    from ocrexp.compress.pruning import GroupChoice
    from ocrexp.models.model import OCRModel

SUMMARY = "Remove channels of a trained network, to fine-tune a smaller one"
USAGE = """
Usage
  python -m ocrexp prune run_dir=outputs/NAME/DATE_TIME output=FOLDER [flops=0.6] [criterion=thinet|fpgm|l1]
      [images=24] [refit=256]

Measures with training images how sensitive each group of channels is, removes the filters that matter least until the
share `flops` of the multiply-accumulates remains, fits the layers behind them again, and writes a run folder with the
smaller network (its model.widths) and pruning.csv.
Then fine-tune: python -m ocrexp model.pretrained=FOLDER, with the data set and the rates of the run, or with its
experiment=NAME."""

TABLE = "pruning.csv"


def run(arguments: Sequence[str]) -> int:
    """Write the pruned network; returns 0."""
    setup_hydra()
    show_notices()
    verb = compose("prune", arguments)
    for key in ("run_dir", "output"):
        if verb[key] is None:
            raise ConfigError(f"{key}: is missing; add {key}=FOLDER")
    _check(verb)
    run_dir, output = Path(str(verb.run_dir)), Path(str(verb.output))
    config = read_frozen(run_dir, trusted_of(verb, arguments))
    check_output(output)
    prepare_process(config)
    weights = weights_of(verb)
    report_unfinished(verb)
    import paddle

    from ocrexp.assemble import assemble
    from ocrexp.engine.weights import states_beside
    from ocrexp.models.summary import summarize

    paddle.device.set_device("cpu")
    with nothing_done():
        parts = assemble(config, weights=weights)
    model, choices = _choose(parts, verb)
    from ocrexp.compress.pruning import prune

    size = _image_size(config)
    before = summarize(model, size)
    widths = prune(model, choices)
    after = summarize(model, size)
    OmegaConf.set_struct(config, False)
    config.model.widths = {**(config.model.get("widths") or {}), **widths}
    OmegaConf.update(config, "model.quantize_aware", False, force_add=True)
    arrays = {name: value.numpy() for name, value in model.state_dict().items()}
    write_run(output, config, arrays, states_beside(weights), {TABLE: _table(choices)})
    print(printable(f"pruned {weights}: {len(widths)} layers"))
    for what, one in (("before", before), ("after", after)):
        height, width = one.size
        print(f"{what}: {one.parameters / 1e6:.2f} M parameters, {one.macs / 1e9:.3g} GMAC at {height}×{width}")
    print(
        f"{after.macs / before.macs:.1%} of the multiply-accumulates and {after.parameters / before.parameters:.1%} of "
        f"the parameters remain; groups: {TABLE}"
    )
    print(printable(f"written: {output}; fine-tune with {typed('train', 'model.pretrained', output)}"))
    return 0


def _choose(parts: Parts, verb: DictConfig) -> tuple[OCRModel, list[GroupChoice]]:
    """The trained model, fitted again, and what stays of its groups. Raises ConfigError if it cannot be pruned."""
    from ocrexp.compress.channels import find_structure
    from ocrexp.compress.images import first_pixels, training_batches
    from ocrexp.compress.moments import Moments
    from ocrexp.compress.pruning import choose
    from ocrexp.compress.refit import refit
    from ocrexp.models.fake_int8 import compute_in_float

    model = parts.new_model()
    compute_in_float(model)
    shape = parts.config.model.get("image_shape")
    if parts.deployed_of(model) is not model:
        raise ConfigError(
            f"run_dir={verb.run_dir}: its model {parts.config.model.name} has several networks; write the one that is "
            "deployed first: python -m ocrexp extract-student"
        )
    size = (_SMALL, _SMALL)
    if shape is not None:
        size = (int(shape[0]), int(shape[1]) if model.fixed_width else _SMALL)
    inputs = first_pixels([images for _, images in training_batches(parts, int(verb.images))], _MEASURED_PIXELS)
    # Their values in all layers are in the memory at once.
    fitted = first_pixels([images for _, images in training_batches(parts, int(verb.refit))], _FITTED_PIXELS)
    if not inputs:
        raise ConfigError(f"run_dir={verb.run_dir}: no training image could be read; check the training list")
    try:
        copy = parts.new_model()
        compute_in_float(copy)
        structure = find_structure(copy, size, _image_size(parts.config))
        choices = choose(
            model,
            structure,
            inputs,
            float(verb.flops),
            Moments(model, fitted) if fitted else None,
            str(verb.criterion),
            float(verb.most),
            int(verb.multiple),
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error
    if fitted:
        print(f"fitted again on {len(fitted)} images: {refit(model, choices, fitted)} layers")
    return model, choices


def _image_size(config: DictConfig) -> tuple[int, int] | None:
    """Height and width of the network's images; None: it takes any."""
    shape = config.model.get("image_shape")
    return None if shape is None else (int(shape[0]), int(shape[1]))


# Of all images together; a page has about 1 million.
_MEASURED_PIXELS = 4_000_000  # on which the network is measured, three times for each group of channels
_FITTED_PIXELS = 8_000_000  # on which layers are fitted
_SMALL = 32  # pixels that all networks of any size take


def _check(verb: DictConfig) -> None:
    from ocrexp.compress.order import CRITERIA
    from ocrexp.compress.settings import is_number

    for key in ("flops", "most"):
        if not is_number(verb[key], int | float) or not 0 < verb[key] < 1:
            raise ConfigError(f"{key}: expected a number between 0 and 1, got {verb[key]}")
    for key in ("images", "multiple"):
        if not is_number(verb[key], int) or verb[key] < 1:
            raise ConfigError(f"{key}: expected 1 or more, got {verb[key]}")
    if not is_number(verb.refit, int) or verb.refit < 0:
        raise ConfigError(f"refit: expected 0 or more, got {verb.refit}")
    if verb.criterion not in CRITERIA:
        hint = did_you_mean(str(verb.criterion), CRITERIA)
        raise ConfigError(f"criterion: expected one of {', '.join(CRITERIA)}, got {verb.criterion!r}{hint}")
    if verb.criterion == "thinet" and not verb.refit:
        raise ConfigError("criterion=thinet: needs images to fit layers on; set refit=256, or criterion=fpgm")


def _table(choices: Sequence[GroupChoice]) -> str:
    """A row for each group, the most sensitive one first."""
    from ocrexp.compress.pruning import MEASURED

    text = io.StringIO()
    writer: Any = csv.writer(text, lineterminator="\n")
    writer.writerow(["layers", "channels", "kept", *(f"change_without_{share:g}" for share in MEASURED)])
    for choice in sorted(choices, key=lambda one: -one.sensitivity[-1]):
        values = (f"{value:.4g}" for value in choice.sensitivity)
        writer.writerow([" ".join(choice.group.producers), choice.group.channels, len(choice.kept), *values])
    return text.getvalue()
