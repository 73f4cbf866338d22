"""The verbs of the command line, in the order of the help page.

`ocrexp/commands/` contains one file per verb, with its summary and its usage.
"""

from __future__ import annotations

VERBS = (
    "train", "resume", "eval", "predict", "serve", "eval-system", "export", "extract-student", "prune", "list", "copy",
    "fetch", "synth", "convert", "cut-lines", "convert-config", "check-data", "browse", "find-lr", "find-batch",
    "compare", "report", "wandb-sync", "doctor", "bench",
)  # fmt: skip
TAKES_RUNS = ("compare", "report", "wandb-sync")  # words without = are runs, the value of `runs`
WITHOUT_CONFIG = ("list", "copy", "fetch")  # these read their arguments themselves; nothing is composed
