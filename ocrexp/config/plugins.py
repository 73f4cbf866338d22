"""Options of Hydra's own groups that come with another package, and ours in place of them."""

from __future__ import annotations

from ocrexp.config.paths import options_of
from ocrexp.errors import ConfigError
from ocrexp.nearest import did_you_mean

# Options of Hydra's own groups: what we have in place of it, with its extra, and the package that contains the others.
OURS = {
    "hydra/launcher": {
        "joblib": ("launcher=joblib", ""), "submitit_local": ("launcher=slurm_local", "slurm"),
        "submitit_slurm": ("launcher=slurm", "slurm"), "ray": ("launcher=ray", "ray"),
    },
    "hydra/sweeper": {"optuna": ("hydra/sweeper=ocrexp_optuna", "search")},
}  # fmt: skip
PLUGINS = {
    "hydra/launcher": {"ray_aws": "hydra-ray-launcher", "rq": "hydra-rq-launcher"},
    "hydra/sweeper": {
        "ocrexp_optuna": "ocrexp[search]", "ax": "hydra-ax-sweeper", "nevergrad": "hydra-nevergrad-sweeper",
    },
    "hydra/job_logging": {"colorlog": "hydra_colorlog"},
    "hydra/hydra_logging": {"colorlog": "hydra_colorlog"},
}  # fmt: skip


def missing_plugin(group: str, option: str) -> ConfigError:
    """One line for an option of such a group that is not installed."""
    from hydra.core.config_store import ConfigStore

    there = sorted({name.removesuffix(".yaml") for name in ConfigStore.instance().list(group)} | set(options_of(group)))
    packages, ours = PLUGINS[group], OURS.get(group, {})
    if option in ours:
        other, extra = ours[option]
        needs = f" (pip install 'ocrexp[{extra}]')" if extra else ", which needs no further package"
        hint = f"; use {other}{needs};"
    elif option in packages:
        hint = f"; run: pip install '{packages[option]}';"
    else:
        known = [*there, *packages, *ours]
        hint = did_you_mean(option, known) or "; install the package that contains it;"
    return ConfigError(f"{group}={option}: unknown option{hint} installed options: {', '.join(there)}")
