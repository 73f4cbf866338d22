"""A term of a distillation loss: it compares one output of pairs of networks.

A network's output is under `NETWORK.OUTPUT`, as `teacher.ctc` or `student2.maps`; see `ocrexp.models.distill`. A term
gives the sum over its pairs, a scalar, computed in float32 also under AMP.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import paddle
from paddle import Tensor

from ocrexp.errors import ConfigError
from ocrexp.nearest import did_you_mean

Pairs = Sequence[Sequence[str]]
TAUGHT: Pairs = (("student", "teacher"),)


class Term:
    """What all terms have.

    Args:
        output: name of the output, such as `ctc`, `nrtr`, `maps`, or a feature of `model.features`.
        pairs: pairs of networks, the one that learns first: `[[student, teacher]]`.
        weight: of the term in the total.

    `one_way`: the first network of a pair learns from the second, so the fixed teacher cannot be the first one.
    """

    one_way = False

    def __init__(self, output: str, pairs: Pairs = TAUGHT, weight: float = 1.0) -> None:
        if not pairs or any(len(pair) != 2 for pair in pairs):
            raise ValueError(f"pairs: expected pairs of networks as [[student, teacher]], got {list(map(list, pairs))}")
        for first, second in pairs:
            if first == second or (self.one_way and first == "teacher"):
                raise ValueError(f"pairs: expected the network that learns and then another one, got {[first, second]}")
        if weight < 0:
            raise ValueError(f"weight: expected 0 or more, got {weight}")
        self.output, self.pairs, self.weight = output, [tuple(pair) for pair in pairs], weight

    def __call__(self, outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor]) -> Tensor:
        with paddle.amp.auto_cast(enable=False):
            parts = [self.compare(*self._both(outputs, pair), batch) for pair in self.pairs]
            return sum(parts[1:], start=parts[0]) * self.weight

    def compare(self, ours: Tensor, theirs: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """The loss of one pair."""
        raise NotImplementedError

    def _both(self, outputs: Mapping[str, Tensor], pair: Sequence[str]) -> tuple[Tensor, Tensor]:
        found = []
        for network in pair:
            name = f"{network}.{self.output}"
            if name not in outputs:
                raise ConfigError(self._missing(outputs, network))
            found.append(outputs[name].astype("float32"))
        ours, theirs = found
        if list(ours.shape) != list(theirs.shape):
            raise ConfigError(
                f"loss.terms: {self.output} has the shape {list(ours.shape)} in {pair[0]} and {list(theirs.shape)} in "
                f"{pair[1]}; choose networks whose maps have equal sizes, or another output"
            )
        return ours, theirs

    def _missing(self, outputs: Mapping[str, Tensor], network: str) -> str:
        networks = list(dict.fromkeys(key.partition(".")[0] for key in outputs if "." in key))
        if network not in networks:
            return (
                f"loss.terms: a pair names {network}, but the model has {', '.join(networks)}"
                f"{did_you_mean(network, networks) or f'; choose it with model/{network}=NAME'}"
            )
        known = [key.partition(".")[2] for key in outputs if key.startswith(f"{network}.")]
        return (
            f"loss.terms: {network} gives no output {self.output}; it gives {', '.join(known)}"
            f"{did_you_mean(self.output, known) or '; set output to one that both networks have'}"
        )
