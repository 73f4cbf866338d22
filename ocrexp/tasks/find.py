"""From the name of a task, key `task` of the configuration, to its object."""

from __future__ import annotations

import importlib
import pkgutil

from ocrexp import tasks
from ocrexp.errors import ConfigError
from ocrexp.nearest import nearest
from ocrexp.tasks.base import Task

_HELPERS = ("base", "drawn", "find", "gate")


def task_names() -> list[str]:
    """Names of the shipped tasks."""
    return [module.name for module in pkgutil.iter_modules(tasks.__path__) if module.name not in _HELPERS]


def find_task(name: str) -> Task:
    """The task of this name: a module of `ocrexp.tasks`, or the dotted path of a user's own `Task` object or class.

    Raises ConfigError for a name that is neither.
    """
    if "." in name:
        module_name, _, attribute = name.rpartition(".")
        try:
            found = getattr(importlib.import_module(module_name), attribute)
        except (ImportError, AttributeError) as error:
            raise ConfigError(f"task: {name} cannot be imported ({error}); write MODULE.OBJECT") from error
        task = found() if isinstance(found, type) else found
    elif name in task_names():
        task = importlib.import_module(f"ocrexp.tasks.{name}").TASK
    else:
        near = nearest(name, task_names())
        hint = f"did you mean {near}?" if near else "for your own task, write MODULE.OBJECT"
        raise ConfigError(f"task: expected one of {', '.join(task_names())}, got '{name}'; {hint}")
    if not isinstance(task, Task):
        raise ConfigError(f"task: expected a subclass of ocrexp.tasks.base.Task, got {name}, a {type(task).__name__}")
    return task
