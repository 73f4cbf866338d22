"""Where Hydra looks for files: the user's `./conf` before the shipped one."""

from __future__ import annotations

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from ocrexp.config.paths import own_folders, shipped_conf
from ocrexp.config.renamed import RenamedOptions
from ocrexp.config.roles import RoleOptions
from ocrexp.config.user_files import UserFiles


class OcrexpSearchPath(SearchPathPlugin):
    """One class for all compositions: Hydra keeps each class that it is given, and asks all of them each time."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for own in reversed(own_folders()):
            search_path.prepend("user", f"{RoleOptions.scheme()}://{own}")
            search_path.prepend("user", f"{UserFiles.scheme()}://{own}")
        search_path.append("roles", f"{RoleOptions.scheme()}://{shipped_conf()}")
        search_path.append("renamed", f"{RenamedOptions.scheme()}://ocrexp")
