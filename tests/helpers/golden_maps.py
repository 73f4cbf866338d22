"""DB's target maps of recorded pages."""

from collections.abc import Mapping, Sequence

import numpy as np

SHAPE = (160, 160)


def stacked_targets(
    arrays: Mapping[str, np.ndarray], pages: Sequence[str], shape: tuple[int, int] = SHAPE
) -> dict[str, np.ndarray]:
    """DB's four targets [pages, *shape] from `PAGE.TARGET`; all but the threshold map are packed as bits."""

    def stacked(field: str) -> np.ndarray:
        maps = [arrays[f"{page}.{field}"] for page in pages]
        if field == "threshold_map":
            return np.stack(maps)
        return np.stack([np.unpackbits(m)[: shape[0] * shape[1]].reshape(shape) for m in maps])

    return {name: stacked(name) for name in ("shrink_map", "shrink_mask", "threshold_map", "threshold_mask")}
