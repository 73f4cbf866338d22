"""A process that trains one prepared run folder: a job of a sweep, or a rank of a distributed run.

A job on several devices starts its ranks.

python worker.py RUN_DIR [--resume]
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path


def main() -> int:
    """Train the folder from its `config_resolved.yaml`; returns the exit code of `ocrexp.runs.fit.fit`."""
    here = str(Path(__file__).resolve().parent)
    sys.path[:] = [entry for entry in sys.path if entry != here]  # a script's folder must not shadow top-level modules
    from ocrexp.processes import StoppedBySignal, end_with_command, stopping

    end_with_command()
    from ocrexp.environment import find_own_modules

    find_own_modules()
    from ocrexp.logs import ignore_paddle_warnings

    ignore_paddle_warnings()
    from ocrexp.config.frozen import read_resolved
    from ocrexp.engine.devices import process_count
    from ocrexp.errors import OcrexpError, explain, printable, report_error
    from ocrexp.runs.fit import fit, train_in
    from ocrexp.runs.folder import locked
    from ocrexp.runs.resuming import read_proposed

    run_dir = Path(sys.argv[1])
    rank = os.environ.get("PADDLE_TRAINER_ID")
    first = rank in (None, "0")  # the process that writes
    try:
        resume = "--resume" in sys.argv[2:]
        config = read_proposed(run_dir) if resume else read_resolved(run_dir)
        with stopping(), locked(run_dir, config, adopt=True) if first else contextlib.nullcontext():
            if rank is None and process_count(config.trainer.devices) > 1:  # a job that has ranks of its own
                return train_in(run_dir, config, resume=resume)
            return fit(run_dir, config, resume=resume)
    except OcrexpError as error:
        report_error(error)
        return error.exit_code
    except (ImportError, OSError) as error:
        if (line := explain(error)) is None:
            raise
        print(f"ocrexp: {printable(line)}", file=sys.stderr)
        return 1
    except StoppedBySignal as stop:  # before the training itself listens to it
        return 128 + stop.number
    except KeyboardInterrupt:  # before the training itself listens to it
        return 130


if __name__ == "__main__":
    sys.exit(main())
