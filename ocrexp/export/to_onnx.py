"""`python -m ocrexp.export.to_onnx MODEL WEIGHTS FILE OPSET`: paddle2onnx without its optimizer.

The optimizer of its command line installs packages automatically; the library function is called without it.
"""

from __future__ import annotations

import sys


def main(model: str, weights: str, target: str, opset: int) -> None:
    """Convert; the opset is kept, and not raised silently if an operator needs a newer one."""
    import paddle2onnx

    paddle2onnx.export(
        model,
        weights,
        save_file=target,
        opset_version=opset,
        auto_upgrade_opset=False,
        enable_onnx_checker=True,
        optimize_tool="None",
    )


if __name__ == "__main__":
    _, program, parameters, file, number = sys.argv
    main(program, parameters, file, int(number))
