"""What is done to the entries of every format: coordinates become those of the image file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ocrexp.data.formats.addresses import base_name, is_elsewhere
from ocrexp.data.formats.entries import Account, Entry
from ocrexp.data.formats.folder import Folder
from ocrexp.data.formats.shapes import unclosed
from ocrexp.data.lmdb_file import is_entry


def tidied(entry: Entry, folder: Folder, account: Account) -> Entry:
    """The entry with a name below its data set, open outlines, and the coordinates of its image file.

    A label that states another size than that of the file is about a larger or a smaller copy of the image.
    """
    if entry.regions is not None:
        regions = [replace(region, points=unclosed(region.points)) for region in entry.regions]
        entry = replace(entry, regions=regions)
    if not isinstance(entry.image, bytes) and is_elsewhere(entry.name):
        name = base_name(entry.name) if entry.image is None else folder.below(entry.image)
        entry = replace(entry, name=name or "image")
    return _at_size_of_file(entry, account)


def _at_size_of_file(entry: Entry, account: Account) -> Entry:
    if entry.size is None or entry.regions is None or not isinstance(entry.image, Path) or is_entry(entry.image):
        return entry
    from ocrexp.data.image_size import read_size

    found = read_size(entry.image)
    stated = entry.size
    if found is None or found[::-1] == stated:
        return entry
    height, width = found
    place = f"{entry.source}: {stated[0]} × {stated[1]}, file {width} × {height}"
    if abs(width * stated[1] - height * stated[0]) > max(*found, *stated):  # more than rounding
        account.change("image whose label states a size of another shape; check whether its regions fit", place)
        return replace(entry, size=(width, height))
    account.change("image of another size than its label states, to which the coordinates were scaled", place)
    x_scale, y_scale = width / stated[0], height / stated[1]
    regions = [
        replace(region, points=[(x * x_scale, y * y_scale) for x, y in region.points]) for region in entry.regions
    ]
    return replace(entry, regions=regions, size=(width, height))
