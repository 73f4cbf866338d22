"""Classes that differ in case alone, joined: for labels that do not keep the case of the picture."""

from __future__ import annotations

from collections.abc import Sequence

import paddle
from paddle import Tensor

_NEVER = -1e30  # the logarithm of a probability that adds nothing; finite, so that its gradient is 0 and not NaN


class CaseGroups:
    """Groups of CTC classes: each holds a character in all cases; the blank, class 0, is group 0.

    Args:
        characters: of the charset, in class order; class 0, the blank, is not among them.
    """

    def __init__(self, characters: Sequence[str]) -> None:
        numbers: dict[str, int] = {}
        groups: list[list[int]] = [[0]]
        table = [0]
        for position, character in enumerate(characters):
            key = character.casefold() if character.strip() else character
            # An empty entry, which no label has, and equal entries stay apart.
            if not character or (
                key in numbers and any(characters[each - 1] == character for each in groups[numbers[key]])
            ):
                key = f"{key}\0{position}"
            number = numbers.setdefault(key, len(groups))
            if number == len(groups):
                groups.append([])
            groups[number].append(position + 1)
            table.append(number)
        self.count = len(groups)
        most = max(map(len, groups))
        self._members = [[group[min(row, len(group) - 1)] for group in groups] for row in range(most)]
        self._absent = [[row >= len(group) for group in groups] for row in range(most)]
        self._table = table

    def logits(self, logits: Tensor) -> Tensor:
        """Logarithms of the groups' probabilities [N, T, groups] for logits of classes [N, T, C]."""
        values = paddle.nn.functional.log_softmax(logits, axis=-1)
        rows = []
        for members, absent in zip(self._members, self._absent, strict=True):
            row = paddle.index_select(values, paddle.to_tensor(members), axis=2)
            if any(absent):
                row = paddle.where(paddle.to_tensor(absent), paddle.full_like(row, _NEVER), row)
            rows.append(row)
        return rows[0] if len(rows) == 1 else paddle.logsumexp(paddle.stack(rows, axis=-1), axis=-1)

    def labels(self, labels: Tensor) -> Tensor:
        """Labels [N, L] of groups for labels of classes."""
        table = paddle.to_tensor(self._table, dtype="int64")
        return paddle.index_select(table, labels.flatten(), axis=0).reshape(labels.shape)
