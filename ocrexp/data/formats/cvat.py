"""CVAT for images 1.1: one XML file; boxes may be turned, in degrees clockwise about their middle.

The text is an attribute whose name users choose: `text_key`, or one of the usual names, or the only one. Tracks of
videos (CVAT for video 1.1) name no images: a frame is looked up as `frame_000012` or `12`.
"""

from __future__ import annotations

from collections.abc import Iterator

from ocrexp.data.formats.base import DET, IGNORED, Format
from ocrexp.data.formats.entries import NO, Account, Entry, Guess, Points, ReadOptions, Region
from ocrexp.data.formats.folder import Folder, split_of
from ocrexp.data.formats.safe_files import Element, read_xml
from ocrexp.data.formats.shapes import box, ellipse, middle, number, sized_box, turned
from ocrexp.data.formats.user_names import is_ignored, take_marks, text_key

_SHAPES = ("box", "polygon", "polyline", "ellipse", "points", "mask", "skeleton", "cuboid", "tag")
_UNDEFINED = ("", "__undefined__")


def _read(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    for name in folder.files(".xml"):
        if not folder.only and not _is(folder.head(name)):
            continue
        root = read_xml(folder.base / name)
        key = text_key(_attributes(root), options.text_key, str(folder.base / name), account)
        for image in root.all("image"):
            yield _image(folder, name, image, key, account)
        yield from _frames(folder, name, root, key, account)


def _attributes(root: Element) -> Iterator[str]:
    """The names of the attributes of all shapes."""
    for shape in root.walk():
        if shape.tag in _SHAPES:
            yield from (one.attributes.get("name", "") for one in shape.all("attribute"))


def _image(folder: Folder, name: str, image: Element, key: str | None, account: Account) -> Entry:
    named = image.attributes.get("name", "")
    place = f"{folder.base / name}:{image.line}"
    regions = list(_regions(image.all(*_SHAPES), str(folder.base / name), key, account))
    entry = Entry(named, folder.image(named, name), regions, source=place)
    entry.split = split_of(image.attributes.get("subset", "")) or split_of(named.rpartition("/")[0])
    try:
        entry.size = (int(number(image.attributes["width"])), int(number(image.attributes["height"])))
    except (KeyError, ValueError):
        entry.size = None
    return entry


def _frames(folder: Folder, name: str, root: Element, key: str | None, account: Account) -> Iterator[Entry]:
    """The frames of tracks, each as an image."""
    frames: dict[int, list[Element]] = {}
    path = str(folder.base / name)
    for track in root.all("track"):
        for shape in track.all(*_SHAPES):
            try:
                frame = int(number(shape.attributes["frame"]))
            except (KeyError, ValueError):
                account.drop("annotation that cannot be read", f"{path}:{shape.line}: has no frame")
                continue
            if shape.attributes.get("outside") == "1":
                account.drop("shape of a track outside the frame", f"{path}:{shape.line}")
                continue
            if shape.tag == "polyline" and shape.attributes.get("points", "").count(";") == 3:
                shape.tag = "polygon"
            shape.attributes.setdefault("label", track.attributes.get("label", ""))
            frames.setdefault(frame, []).append(shape)
    for frame, shapes in sorted(frames.items()):
        stems = (f"frame_{frame:06d}", f"{frame:06d}", str(frame))
        image = next((found for stem in stems if (found := folder.image_of(stem, name))), None)
        regions = list(_regions(shapes, path, key, account))
        shown = folder.below(image) if image else f"{stems[0]}.png"
        yield Entry(shown, image, regions, source=f"{path}: frame {frame}")


def _regions(shapes: list[Element], path: str, key: str | None, account: Account) -> Iterator[Region]:
    for shape in shapes:
        try:
            points = _outline(shape)
        except (KeyError, ValueError) as error:
            account.drop("annotation that cannot be read", f"{path}:{shape.line}: {error!r}")
            continue
        if shape.tag == "mask":
            account.change("mask, read as its box", f"{path}:{shape.line}")
        if points is None:
            account.drop(f"shape that encloses nothing ({shape.tag})", f"{path}:{shape.line}")
            continue
        attributes = {child.attributes.get("name", ""): child.text.strip() for child in shape.all("attribute")}
        text = attributes.pop(key, None) if key is not None else None
        text = None if text in _UNDEFINED else text
        extra: dict[str, object] = {name: value for name, value in attributes.items() if value not in _UNDEFINED}
        label = shape.attributes.get("label", "")
        ignored = take_marks(extra) or text == IGNORED or is_ignored(label)
        if label:
            extra["class"] = label
        yield Region(points, None if text == IGNORED else text, ignored, extra=extra)


def _outline(shape: Element) -> Points | None:
    values = shape.attributes
    degrees = number(values.get("rotation", "0"))
    if shape.tag == "box":
        points = box(*(number(values[side]) for side in ("xtl", "ytl", "xbr", "ybr")))
        return turned(points, degrees, middle(points))
    if shape.tag == "mask":
        return sized_box(*(number(values[side]) for side in ("left", "top", "width", "height")))
    if shape.tag == "polygon":
        pairs = [point.split(",") for point in values["points"].split(";") if point]
        return [(number(x), number(y)) for x, y in pairs]
    if shape.tag == "ellipse":
        x, y, radius_x, radius_y = (number(values[key]) for key in ("cx", "cy", "rx", "ry"))
        return ellipse(x, y, radius_x, radius_y, degrees)
    return None


def _is(head: str) -> bool:
    return "<annotations>" in head and ("<image " in head or "<track " in head or "<meta>" in head)


def _recognize(folder: Folder) -> Guess:
    for name in folder.like(r".*\.xml")[:20]:
        if _is(folder.head(name)):
            return Guess(0.95, f"{name} has annotations with images or tracks")
    return NO


FORMATS = [
    Format("cvat", "CVAT for images, video 1.1", DET, "annotations.xml: box, polygon; an attribute has the text",
           _recognize, _read, options=frozenset(("text_key",))),
]  # fmt: skip
