"""Small shards for tests."""

import io
import json
import tarfile
from pathlib import Path

import cv2
import numpy as np


def png(value: int, size: tuple[int, int] = (8, 24)) -> bytes:
    return cv2.imencode(".png", np.full((*size, 3), value, np.uint8))[1].tobytes()


def write_tar(path: Path, members: list[tuple[str, bytes]], **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", **options) as archive:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def word_shards(folder: Path, sizes: list[int], name: str = "train") -> list[Path]:
    """Shards of words w0, w1, …; the gray of an image is the number of its word."""
    paths, number = [], 0
    for shard, size in enumerate(sizes):
        members = []
        for _ in range(size):
            members += [(f"{number:05d}.png", png(number % 256)), (f"{number:05d}.txt", f"w{number}".encode())]
            number += 1
        paths.append(write_tar(folder / f"{name}-{shard:03d}.tar", members))
    return paths


def page_members(key: str, regions: list[dict]) -> list[tuple[str, bytes]]:
    return [(f"{key}.png", png(90, (64, 96))), (f"{key}.json", json.dumps({"regions": regions}).encode())]
