"""The command line: `python -m ocrexp [VERB] [overrides]`.

Nothing heavy is imported here: `--help` and config errors answer before paddle is loaded.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Sequence

from ocrexp.config.verbs import VERBS, WITHOUT_CONFIG
from ocrexp.environment import start_here
from ocrexp.errors import ConfigError, OcrexpError, explain, printable, report_error
from ocrexp.logs import ignore_paddle_warnings
from ocrexp.nearest import did_you_mean
from ocrexp.processes import StoppedBySignal, owning, stopping


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code: 0, 1 for a failed run, 2 for a config error, 128 + signal if interrupted."""
    try:
        code = _run(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _run(arguments: list[str]) -> int:
    _import_nothing_from_a_run_folder()
    ignore_paddle_warnings()
    try:
        start_here()
        verb, rest = split_verb(arguments)
        if "-h" in rest or "--help" in rest:
            from ocrexp.help import page

            print(page(verb))
            return 0
        if "--version" in rest:
            from ocrexp import __version__

            print(f"ocrexp {__version__}")
            return 0
        from ocrexp.config.arguments import arrange

        if verb not in WITHOUT_CONFIG:
            rest = arrange(verb, rest)
        with stopping(), owning():
            return int(importlib.import_module(f"ocrexp.commands.{verb.replace('-', '_')}").run(rest))
    except OcrexpError as error:
        report_error(error)
        return error.exit_code
    except StoppedBySignal as stop:
        with contextlib.suppress(OSError):  # the terminal is closed
            print(f"ocrexp: {stop}: stopped", file=sys.stderr)
        return 128 + stop.number
    except KeyboardInterrupt:
        return 130
    except (ImportError, OSError) as error:
        if (line := explain(error)) is None:
            raise
        print(f"ocrexp: {printable(line)}", file=sys.stderr)
        return 1


def _import_nothing_from_a_run_folder() -> None:
    """`python -m` looks for modules in the current folder first; in a run folder from someone else they are theirs."""
    from pathlib import Path

    if Path(".hydra", "config.yaml").is_file():
        here = Path.cwd().resolve()
        sys.path[:] = [entry for entry in sys.path if entry and Path(entry).resolve() != here]


def split_verb(arguments: list[str]) -> tuple[str, list[str]]:
    """The verb (`train` where none is given) and the arguments behind it."""
    _strip_verb_from_completion()
    if not arguments or "=" in arguments[0] or arguments[0][:1] in "-+~":
        return "train", arguments
    verb = arguments[0]
    if verb not in VERBS:
        hint = did_you_mean(verb, VERBS) or f"; verbs: {', '.join(VERBS)}"
        raise ConfigError(f"unknown verb '{verb}'{hint} (overrides are written key=value)")
    return verb, arguments[1:]


def _strip_verb_from_completion() -> None:
    """Hydra completes overrides from COMP_LINE and knows nothing of verbs: take the verb out of the line."""
    line = os.environ.get("COMP_LINE")
    if not line:
        return
    words = line.split(" ")
    if len(words) > 2 and words[1] in VERBS:
        os.environ["COMP_LINE"] = " ".join([words[0], *words[2:]])
        point = int(os.environ.get("COMP_POINT", len(line)))
        os.environ["COMP_POINT"] = str(max(len(words[0]) + 1, point - len(words[1]) - 1))


if __name__ == "__main__":
    sys.exit(main())
