"""Sections Global and Optimizer: length, learning rate, checkpoints."""

from __future__ import annotations

from typing import Any

from ocrexp.config.paddleocr.experiment import Experiment
from ocrexp.config.paddleocr.source import Section
from ocrexp.errors import ConfigError
from ocrexp.nearest import did_you_mean

_IDLE = {
    "model_name": "of exported models",
    "debug": "the data is always checked",
    "log_smooth_window": "logged values are means since the previous line",
    "save_model_dir": "the run folder is outputs/<name>/<date>_<time>; run_dir=… sets another one",
    "save_inference_dir": "exporting is a separate command",
    "infer_img": "used for inference, not for training",
    "infer_mode": "used for inference, not for training",
    "infer_visual_type": "used for inference, not for training",
    "save_res_path": "used for inference, not for training",
    "load_static_weights": "PaddleOCR 2.10 does not read it",
    "character_type": "PaddleOCR 2.10 does not read it, but character_dict_path",
    "loss_type": "PaddleOCR 2.x does not read it, but the section Loss",
    "vdl_log_dir": "VisualDL's files are in the run folder",
    "print_mem_info": "the peak memory is always shown",
    "log_ranks": "only the first process logs",
    "uniform_output_enabled": "used by PaddleX",
    "find_unused_parameters": "an option of the data-parallel wrapper",
    "scale_loss": "losses of float16 are scaled dynamically",
    "use_dynamic_loss_scaling": "losses of float16 are scaled dynamically",
    "training_step": "of the head",
    "num_heads": "of the head",
    "calc_epoch_interval": "an option of the metric on training batches",
    "d2s_train_image_shape": "an option of training with to_static",
    "to_static": "training is always dynamic",
    "use_mlu": "", "use_npu": "", "use_xpu": "", "use_gcu": "",
}  # fmt: skip
_ACCELERATORS = ("use_mlu", "use_npu", "use_xpu", "use_gcu")


def convert_global(experiment: Experiment, root: Section, task: str) -> None:
    """Length, intervals, device, precision, weights to start from, loggers."""
    section = root.section("Global")
    experiment.take(section, "epoch_num", "trainer.max_epochs")
    experiment.take(section, "print_batch_step", "trainer.log_every_steps")
    if section.number("save_epoch_step"):
        experiment.take(section, "save_epoch_step", "trainer.save_every_epochs", remark="iter_epoch_N")
    if section.get("cal_metric_during_train") is True:
        if task == "rec":
            experiment.take(section, "cal_metric_during_train", "trainer.metric_during_train")
        else:
            experiment.note(
                "dropped",
                section,
                "cal_metric_during_train",
                "the metric is not computed on a detector's training batches",
            )
    _evaluation(experiment, section)
    _device(experiment, section)
    _weights(experiment, root, section)
    _accumulation(experiment, root)
    _loggers(experiment, root, section)
    if "seed" in section:
        experiment.note("changed", section, "seed", "the same number gives other random numbers here")
        experiment.set("seed", section.get("seed"), section.key("seed"))
    for name in ("amp_custom_black_list", "amp_custom_white_list"):
        if section.get("use_amp") is True:
            experiment.only(section, name, (None, []), "lists of operators for mixed precision are not supported")
        else:
            experiment.drop(section, {name: "use_amp is off"})
    experiment.only(section, "model_average", (None, False), "averaged weights", "trainer.ema_decay=0.999 is similar")
    _average(experiment, section)
    for name in _ACCELERATORS:
        experiment.only(section, name, (None, False), "training runs on CPUs and CUDA GPUs only")
    idle = {name: why or "off" for name, why in _IDLE.items() if section.get(name) not in (None, "")}
    experiment.drop(section, {name: why for name, why in idle.items() if why != "off"})
    for name in _IDLE:
        section.get(name)  # an empty key has no effect
    profiler = root.get("profiler_options")
    if profiler is not None:
        experiment.note("dropped", root, "profiler_options", "an option of the profiler")


def _average(experiment: Experiment, section: Section) -> None:
    """PaddleOCR 3.7's averaged weights."""
    if section.get("use_ema") is not True:
        experiment.drop(section, dict.fromkeys(("ema_decay", "ema_decay_type"), "use_ema is off"))
        return
    experiment.take(section, "ema_decay", "trainer.ema_decay", 0.9998, "at most (1 + step) / (10 + step)")
    kind = section.text("ema_decay_type", "threshold")
    if kind != "threshold":
        experiment.note("changed", section, "ema_decay_type", "the decay grows as type threshold here")


def _evaluation(experiment: Experiment, section: Section) -> None:
    every_epochs = section.number("eval_batch_epoch")
    interval = section.get("eval_batch_step")
    if every_epochs:
        experiment.take(section, "eval_batch_epoch", "trainer.eval_every_epochs")
        if interval is not None:
            experiment.note("dropped", section, "eval_batch_step", "eval_batch_epoch has priority")
        return
    if interval is None:
        return
    start, every = (interval[0], interval[1]) if isinstance(interval, list) and len(interval) > 1 else (0, interval)
    if isinstance(every, list) or not isinstance(every, int) or every < 1 or not isinstance(start, int):
        raise ConfigError(f"{section.key('eval_batch_step')}: expected [first step, steps between], got {interval!r}")
    key = section.key("eval_batch_step")
    experiment.set("trainer.eval_every_steps", every, f"{key}; there is also one at the end")
    experiment.set("trainer.eval_every_epochs", None, "determined by steps")
    if start:
        experiment.set("trainer.eval_start_step", start, key)
        if start % every:
            experiment.note(
                "changed", section, "eval_batch_step",
                f"evaluations are at multiples of {every} from step {start} on; PaddleOCR counts from that step",
            )  # fmt: skip


def _device(experiment: Experiment, section: Section) -> None:
    if section.get("use_gpu") is True:
        experiment.set(
            "trainer.device", "auto", f"{section.key('use_gpu')}: a GPU if one is available, otherwise the CPU"
        )
    elif "use_gpu" in section:
        experiment.set("trainer.device", "cpu", section.key("use_gpu"))
    if section.get("distributed") is True:
        experiment.set(
            "trainer.devices", "auto",
            f"{section.key('distributed')}: all GPUs that CUDA_VISIBLE_DEVICES shows; a list chooses cards: [0, 2]",
        )  # fmt: skip
    level, dtype = section.text("amp_level", "O1"), section.text("amp_dtype", "float16")
    if section.get("use_amp") is True:
        if level not in ("O1", "O2") or dtype not in ("float16", "bfloat16"):
            raise ConfigError(
                f"{section.path}: expected amp_level O1 or O2 with a supported amp_dtype, got {level} with {dtype}"
            )
        experiment.set("trainer.precision", f"amp_{level.lower()}", f"{section.key('use_amp')}, amp_level")
        experiment.set("trainer.amp_dtype", dtype, section.key("amp_dtype"))
    if section.get("use_sync_bn") is True:
        experiment.take(section, "use_sync_bn", "trainer.sync_bn")


def _weights(experiment: Experiment, root: Section, section: Section) -> None:
    pretrained, checkpoints = section.text("pretrained_model"), section.text("checkpoints")
    part = _why_in_part(root) if checkpoints else ""
    if checkpoints and not part:
        experiment.set(
            "trainer.start_from", checkpoints.removesuffix(".pdparams"),
            f"{section.key('checkpoints')}: with .pdparams, .pdopt and .states",
        )  # fmt: skip
    elif file := checkpoints or pretrained:
        key = section.key("checkpoints" if checkpoints else "pretrained_model")
        path = file if file.endswith(".pdparams") else f"{file}.pdparams"
        experiment.set("model.pretrained", path, f"{key}: the file must exist; null: random weights")
    if checkpoints:
        how = "continues this training with the epoch after it; the best metric starts again"
        experiment.note(
            "changed", section, "checkpoints",
            f"a new run starts from these weights alone, because {part}" if part else f"a new run {how}",
            "a run of ocrexp is resumed by: python -m ocrexp resume run_dir=RUN",
        )  # fmt: skip
        if pretrained:
            experiment.note("dropped", section, "pretrained_model", "PaddleOCR uses checkpoints if both are given")


def _why_in_part(root: Section) -> str:
    """Why a run cannot continue a training of PaddleOCR with its optimizer's state; empty if it can."""
    modes = [keys.get("img_mode") for _, keys in root.section("Train").section("dataset").entries("transforms")]
    return "its images are RGB, ours BGR" if "RGB" in modes else ""


def _accumulation(experiment: Experiment, root: Section) -> None:
    """Convert `accumulation_steps`, wherever the file has it."""
    train = root.section("Train")
    for section in (root.section("Global"), root.section("Optimizer"), train, train.section("loader")):
        if "accumulation_steps" not in section:
            continue
        steps = section.number("accumulation_steps", 1)
        if not isinstance(steps, int) or steps < 1:
            raise ConfigError(f"{section.key('accumulation_steps')}: expected a whole number, 1 or more, got {steps!r}")
        experiment.take(section, "accumulation_steps", "trainer.accumulate", remark="batches per optimizer step")


def _loggers(experiment: Experiment, root: Section, section: Section) -> None:
    wandb = section.get("use_wandb") is True or "wandb" in root
    visualdl = section.get("use_visualdl") is True
    if wandb and visualdl:
        experiment.choose("logger", ["wandb", "visualdl"])
    elif wandb or visualdl:
        experiment.choose("logger", "wandb" if wandb else "visualdl")
    if wandb:
        _wandb(experiment, root)


def _wandb(experiment: Experiment, root: Section) -> None:
    own = root.section("wandb")
    for name in ("project", "entity", "name"):
        if own.text(name):
            experiment.take(own, name, f"logger.wandb.{name}")
    experiment.drop(own, {"save_dir": "W&B's files are in the run folder"})


OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "Adam": ("adam", {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}),
    "AdamW": ("adamw", {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}),
    "Momentum": ("momentum", {"momentum": 0.9}),
    "RMSProp": ("rmsprop", {"rho": 0.95, "momentum": 0.0, "epsilon": 1e-6}),
    "Adadelta": ("adadelta", {"rho": 0.95, "epsilon": 1e-8}),
}


def convert_optimizer(experiment: Experiment, root: Section) -> None:
    """Convert optimizer, weight decay and clipping."""
    section = root.section("Optimizer")
    name = section.text("name")
    if name not in OPTIMIZERS:
        raise ConfigError(
            f"{section.key('name')}: unsupported optimizer {name or 'without a name'}"
            f"{did_you_mean(name, OPTIMIZERS)}; supported: {', '.join(OPTIMIZERS)}"
        )
    option, values = OPTIMIZERS[name]
    experiment.choose("optimizer", option)
    for key, default in values.items():
        experiment.take(section, key, f"optim.optimizer.{key}", default)
    _decay(experiment, section, decoupled=option == "adamw")
    if section.number("clip_norm_global"):
        experiment.take(section, "clip_norm_global", "optim.clip_norm")
        experiment.only(section, "clip_norm", (None,), "clip_norm_global is also set; only one limit is supported")
    elif section.number("clip_norm"):
        experiment.take(section, "clip_norm", "optim.clip_norm")
        experiment.set("optim.clip_scope", "tensor", "PaddleOCR's clip_norm clips each tensor separately")
    names = section.text("no_weight_decay_name")
    if names:
        experiment.set("optim.no_decay_names", names.split(), section.key("no_weight_decay_name"))
    if section.get("one_dim_param_no_weight_decay") is True:
        experiment.take(section, "one_dim_param_no_weight_decay", "optim.no_decay_1d")
    experiment.drop(section, {"multi_precision": "float32 master weights are kept if necessary", "lazy_mode": "off"})
    _group_rates(experiment, section)
    experiment.drop(section, {"weight_deacy": "a key of SEED's file, which PaddleOCR does not read"})
    if name == "Adadelta":
        experiment.drop(section, {"momentum": "Adadelta has none"})


def _group_rates(experiment: Experiment, section: Section) -> None:
    """`group_lr`, which PaddleOCR has for VisionLAN's second step alone."""
    if section.get("group_lr") and section.text("training_step") == "LF_2":
        experiment.note(
            "missing", section, "group_lr", "PaddleOCR multiplies the rates of what LF_1 has learned by lr / 10",
            "optim.lr_scale={backbone: 0.1} makes a part slower",
        )  # fmt: skip
        section.get("training_step")
    else:
        experiment.drop(section, dict.fromkeys(("group_lr", "training_step"), "it has an effect in the step LF_2 only"))


def _decay(experiment: Experiment, section: Section, decoupled: bool) -> None:
    regularizer = section.section("regularizer")
    factor, key = None, ""
    if regularizer.text("name"):
        name = "coeff" if "coeff" in regularizer else "factor"
        factor, key = regularizer.number(name, 0.0), regularizer.key(name)
        kind = regularizer.text("name")
        if kind != "L2" and factor:
            experiment.note(
                "missing",
                regularizer,
                "name",
                "weight decay is always L2",
                "the run has no weight decay; optim.weight_decay=… sets L2",
            )
            return
    elif section.number("weight_decay") is not None:
        factor, key = section.number("weight_decay"), section.key("weight_decay")
    if decoupled:
        factor = 0.01 if factor is None else factor
        key = f"{key or 'PaddleOCR’s default'}: decoupled, as in AdamW"
    experiment.set("optim.weight_decay", float(factor or 0.0), key, implied=not key)
