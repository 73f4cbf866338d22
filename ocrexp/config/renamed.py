"""Options of config groups that have a new name: the old name is accepted, and one line prints the new one."""

from __future__ import annotations

import sys

from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from omegaconf import OmegaConf

OPTIONS = {"model/backbone/mobilenetv3_large_x0_5_nose": "mobilenetv3_large_x0_5_no_se"}  # path: new name in its group
_reported: set[str] = set()


class RenamedOptions(ConfigSource):
    """A config source of Hydra for the old names, searched after all folders; each includes the renamed option."""

    @staticmethod
    def scheme() -> str:
        """The scheme of `renamed://ocrexp` in the search path."""
        return "renamed"

    def load_config(self, config_path: str) -> ConfigResult:
        """An option that includes the renamed one; its first use prints a line."""
        old = config_path.removesuffix(".yaml")
        if old not in OPTIONS:
            raise ConfigLoadError(f"Config not found : {config_path}")
        if old not in _reported:
            _reported.add(old)
            group, _, name = old.rpartition("/")
            print(f"ocrexp: {group}={name}: this option was renamed; write {group}={OPTIONS[old]}", file=sys.stderr)
        return ConfigResult(
            config=OmegaConf.create({"defaults": [OPTIONS[old]]}),
            path=f"{self.scheme()}://{self.path}",
            provider=self.provider,
            header={"package": None},
        )

    def available(self) -> bool:
        """Always true: the names are in this module."""
        return True

    def is_group(self, config_path: str) -> bool:
        """Whether there are old names below a path."""
        return any(name.startswith(f"{config_path}/") for name in OPTIONS)

    def is_config(self, config_path: str) -> bool:
        """Whether a path is an old name."""
        return config_path.removesuffix(".yaml") in OPTIONS

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:  # noqa: ARG002
        """Nothing: old names are accepted, but not listed."""
        return []
