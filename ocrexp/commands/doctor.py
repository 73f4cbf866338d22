"""`ocrexp doctor`: what this machine offers for training, as a table with advice."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from ocrexp.diagnosis import Finding, diagnose
from ocrexp.errors import ConfigError, printable

SUMMARY = "Check this machine: Python, paddle, GPUs, disk, fonts, packages"
USAGE = """
Usage
  python -m ocrexp doctor

Prints a table of what this machine has for training: Python, packages, paddle, CUDA, GPUs, cores, memory, /dev/shm,
disks, fonts and optional packages, each with advice where something is wrong (ok, note, warn, fail). It works where
paddle or a package is missing or broken. The exit code is 0 where training can run, 1 where it cannot."""


_WIDTH = 100


def run(arguments: Sequence[str]) -> int:
    """Print the table; returns 0 if training can run, otherwise 1."""
    if arguments:
        raise ConfigError(f"{arguments[0]}: doctor takes no arguments; write: python -m ocrexp doctor")
    findings = diagnose()
    for line in table(findings):
        print(line)
    failed = [finding.what for finding in findings if finding.state == "fail"]
    if failed:
        print(f"training cannot run here: {', '.join(failed)}")
        return 1
    warned = sum(finding.state == "warn" for finding in findings)
    print(f"training can run here{f'; warnings: {warned}' if warned else ''}")
    return 0


def table(findings: Sequence[Finding]) -> list[str]:
    """Format state, name and value in columns; advice is below its line."""
    name_width = max(len(finding.what) for finding in findings)
    indent = " " * (name_width + 8)
    lines = []
    for finding in findings:
        head = f"{finding.state:4}  {finding.what:{name_width}}  "
        lines += textwrap.wrap(printable(finding.value), _WIDTH, initial_indent=head, subsequent_indent=indent)
        if finding.advice:
            advice = f"→ {printable(finding.advice)}"
            lines += textwrap.wrap(advice, _WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ")
    return lines
