"""What a machine has to train with, for `ocrexp doctor`: each check gives a line and, if something is wrong, advice.

The checks import neither paddle nor any optional package into this process: one that is broken, or that ends its
process, is reported like one that is missing.
"""

from ocrexp.diagnosis import machine, packages
from ocrexp.diagnosis.finding import Finding

__all__ = ["Finding", "diagnose"]


def diagnose() -> list[Finding]:
    """All checks, in the order of the table."""
    told = packages.ask_paddle()
    return [
        machine.check_python(),
        machine.check_system(),
        *packages.check_required(),
        *packages.check_paddle(told),
        *machine.check_gpus(told),
        machine.check_cores(),
        machine.check_memory(),
        machine.check_shared_memory(len(told.get("cards", ()))),
        *machine.check_disks(),
        machine.check_fonts(),
        *packages.check_optional(),
    ]
