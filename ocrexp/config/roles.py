"""`model/teacher=NAME`, `model/student=NAME`: the networks of model=distill are options of the group `model`.

The files of `conf/model/` are the options of these groups too, with their parts: `model/teacher/backbone=NAME`. Nothing
is copied. A model's file also chooses its task, which only the student's may do; the loss that a task chooses is the
loss of each student, `loss.own`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from omegaconf import OmegaConf

from ocrexp.config.paths import files_of, shipped_conf

_TASK = "/task@_global_"
_OF_STUDENT = "task/of_student"  # a task's files, whose loss is `loss.own`
# Terms of `loss.terms` by the loss of the task; tasks that are not named choose them with loss/terms=NAME.
_TERMS = {
    "db": "kd_maps", "db_bce": "kd_maps", "db_focal": "kd_maps", "ctc": "kd_ctc", "multi_sar": "kd_ctc",
    "multi_nrtr": "kd_ctc", "nrtr": "kd_nrtr",
}  # fmt: skip


class RoleOptions(ConfigSource):
    """A config source of Hydra: the files of a folder of configuration under the names of the networks."""

    def __init__(self, provider: str, path: str) -> None:
        from hydra._internal.core_plugins.file_config_source import FileConfigSource

        from ocrexp.config.user_files import UserFiles

        super().__init__(provider=provider, path=path)
        shipped = Path(self.path) == shipped_conf()
        self._files = (
            FileConfigSource(provider, f"file://{self.path}")
            if shipped
            else UserFiles(provider, f"{UserFiles.scheme()}://{self.path}")
        )

    @staticmethod
    def scheme() -> str:
        """The scheme of `roles://FOLDER` in the search path."""
        return "roles"

    def load_config(self, config_path: str) -> ConfigResult:
        """A model's file without its task, the student's with it, or a task's file for a student."""
        path = _file(config_path)
        if path is None or not self._files.is_config(path):
            raise ConfigLoadError(f"Config not found : {config_path}")
        found = self._files.load_config(path)
        content = OmegaConf.to_container(found.config, resolve=False)
        of_task = config_path.startswith(f"{_OF_STUDENT}/")
        student = config_path.startswith("model/student/")
        if isinstance(content, dict) and isinstance(content.get("defaults"), list):
            tasks = [entry[_TASK] for entry in content["defaults"] if isinstance(entry, dict) and _TASK in entry]
            if tasks and not of_task and not student:
                content["of_task"] = tasks[0]
            content["defaults"] = [
                changed
                for entry in content["defaults"]
                for changed in (_of_task(entry) if of_task else _of_model(entry, student))
            ]
        return ConfigResult(
            config=OmegaConf.create(content), path=found.path, provider=found.provider, header=found.header
        )

    def available(self) -> bool:
        """Whether the folder exists."""
        return bool(self._files.available())

    def is_group(self, config_path: str) -> bool:
        """Whether a path is a network or a group below one."""
        path = _file(config_path)
        return path is not None and bool(self._files.is_group(path))

    def is_config(self, config_path: str) -> bool:
        """Whether a path is an option of a network."""
        path = _file(config_path)
        return path is not None and bool(self._files.is_config(path))

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """The options below a path."""
        path = _file(config_path)
        return [] if path is None else list(self._files.list(path, results_filter))


def _file(config_path: str) -> str | None:
    """The path of the file that a network's option is; None for any other path."""
    if config_path == _OF_STUDENT or config_path.startswith(f"{_OF_STUDENT}/"):
        return f"task{config_path.removeprefix(_OF_STUDENT)}"
    path = files_of(config_path)
    return None if path == config_path else path


def _of_model(entry: Any, student: bool) -> list[Any]:
    """An entry of a model's defaults as that of a network."""
    if not isinstance(entry, dict) or len(entry) != 1:
        return [entry]
    ((key, value),) = entry.items()
    if key == _TASK:
        return [{f"/{_OF_STUDENT}@_global_": value}] if student else []
    chooses = str(key).startswith("override ") and "@_global_" in str(key)
    return [] if chooses and not student else [entry]


def _of_task(entry: Any) -> list[Any]:
    """An entry of a task's defaults with the loss as the student's own."""
    if not isinstance(entry, dict) or list(entry) != ["override /loss"]:
        return [entry]
    loss = entry["override /loss"]
    terms = [{"override /loss/terms@loss.terms": _TERMS[loss]}] if loss in _TERMS else []
    return [{"override /loss@loss.own": loss}, *terms]
