"""`hydra.job.chdir=true`: a run works in its own folder, but its paths stay relative to the start folder."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig, OmegaConf, open_dict

from ocrexp.config.paths import ROLES

# Keys with paths relative to the start folder; paths of lists are relative to dataset.root.
KEYS = (
    "dataset.root", "dataset.cache_dir", "dataset.backgrounds", "dataset.fonts", "dataset.words", "dataset.dictionary",
    "dataset.text.corpus.path", "dataset.fonts.folder.path", "dataset.backgrounds.photographs.path", "dataset.outlines",
    "dataset.style_root",
    "charset.path", "model.pretrained", "model.pretrained_charset", "trainer.start_from", "callbacks.pictures.font",
    *(f"model.{role}.{key}" for role in ROLES for key in ("pretrained", "pretrained_charset")),
)  # fmt: skip


def anchor(config: DictConfig, start: Path) -> None:
    """Make the relative paths of a run absolute; paths that do not exist in the start folder are not changed."""
    for key in KEYS:
        *parents, name = key.split(".")
        holder: object = config
        for parent in parents:  # `dataset.fonts` is a folder, a list of them or a group
            holder = holder.get(parent) if isinstance(holder, DictConfig) else None
        if not isinstance(holder, DictConfig) or name not in holder or OmegaConf.is_missing(holder, name):
            continue
        value = holder.get(name)
        several = OmegaConf.is_list(value)
        texts = [_absolute(item, start) for item in (value if several else [value])]
        with open_dict(holder):
            holder[name] = texts if several else texts[0]


def _absolute(value: object, start: Path) -> object:
    if not isinstance(value, str) or not value:
        return value
    path = start / Path(value).expanduser()
    return str(path) if path.exists() or path.with_name(f"{path.name}.pdparams").exists() else value
