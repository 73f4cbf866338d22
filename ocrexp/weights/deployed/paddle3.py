"""A Paddle 3 inference model (`inference.json`, `.pdiparams`) as layers in order of execution.

The JSON is what paddle's PIR serializer writes (paddle/fluid/pir/serialize_deserialize).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ocrexp.errors import CheckpointError, printable
from ocrexp.weights.deployed.items import Item, Operation, items_of
from ocrexp.weights.deployed.paddle_operations import RENAMING, lstm_operations, operation, refuse
from ocrexp.weights.deployed.paddle_weights import read_weights
from ocrexp.weights.reader import read_content

_MOST_BYTES = 256 << 20
_PARAMETER = "p"
_PERSISTABLE = 0  # place among a parameter's flags; a dropout's state is none and is not in the file
# Places of the inputs that are weights, in the order of `Item`'s arrays, where it is another one than theirs.
_NORM_ORDER = (2, 3, 0, 1)  # mean, variance, weight, bias


def read_paddle3(program: Path, parameters: Path) -> list[Item]:
    """The layers of a model.

    Raises CheckpointError: damaged, of two exports, quantized, half-precision or optimized.
    """
    try:
        operators, shapes, by_value = _parse(program)
        for operator in operators:
            refuse(program, _name(operator))
        if not shapes:
            raise CheckpointError(f"{program}: has no weights; give the folder of an exported model")
        arrays = read_weights(parameters, shapes)
        found: list[Operation] = []
        combined: dict[str, list[str]] = {}
        source = dict(by_value)
        for operator in operators:
            kind = _name(operator)
            inputs = [str(each["%"]) for each in operator.get("I", [])]
            outputs = [str(each["%"]) for each in operator["O"]] if isinstance(operator["O"], list) else []
            output = outputs[0] if outputs else ""
            if kind == "combine":
                combined[output] = inputs
                continue
            inputs = [name for each in inputs for name in combined.get(each, [each])]
            if kind in RENAMING and inputs and source.get(inputs[0]) in arrays:
                source[output] = source[inputs[0]]
                continue
            computed = [name for name in inputs if name not in source]
            weights = [source[name] for name in inputs if source.get(name) in arrays]
            if kind.startswith("batch_norm") and len(weights) == len(_NORM_ORDER):
                weights = [weights[place] for place in _NORM_ORDER]
            if kind == "rnn":
                both = bool(_attribute(operator, "is_bidirec"))
                found += lstm_operations(computed, weights, output, arrays.__getitem__, both)
                continue
            turned = bool(_attribute(operator, "transpose_y"))
            made = operation(kind, computed, weights, output, arrays.__getitem__, turned)
            if made is not None:
                found.append(made)
    except (KeyError, TypeError, IndexError, AttributeError, ValueError, RecursionError) as error:
        reason = printable(str(error))[:100]
        raise CheckpointError(
            f"{program}: is no program of Paddle 3, or is damaged ({type(error).__name__}: {reason}); fetch it or "
            "export it again"
        ) from None
    return items_of(found)


def _parse(program: Path) -> tuple[list[dict[str, Any]], dict[str, tuple[int, ...]], dict[str, str]]:
    """The operators that are not parameters, the shapes of the parameters by name, and the names by value."""
    content = read_content(program)
    if len(content) > _MOST_BYTES:
        raise CheckpointError(
            f"{program}: has {len(content)} bytes, up to {_MOST_BYTES} were expected; export it again"
        )
    parsed = json.loads(content)
    if parsed["base_code"]["magic"] != "pir":
        raise ValueError("base_code.magic is not pir")
    regions = parsed["program"]["regions"]
    operators = regions[0]["blocks"][0]["ops"]
    shapes: dict[str, tuple[int, ...]] = {}
    by_value: dict[str, str] = {}
    for operator in operators:
        if operator["#"] == _PARAMETER:
            name = str(operator["A"][3])
            if operator["OA"][_PERSISTABLE]:
                shapes[name] = tuple(int(size) for size in operator["O"]["TT"]["D"][1])
            by_value[str(operator["O"]["%"])] = name
    return [each for each in operators if each["#"] != _PARAMETER], shapes, by_value


def _name(operator: dict[str, Any]) -> str:
    """`conv2d` of `1.conv2d`: the number is that of a dialect."""
    return str(operator["#"]).rpartition(".")[2]


def _attribute(operator: dict[str, Any], name: str) -> Any:
    return next((each["AT"]["D"] for each in operator.get("A", []) if each["N"] == name), None)
