"""Projects of VGG Image Annotator (VIA) 3, in the shape of those of VIA 2.

`view` names the files of each view, `metadata` has its regions: `xy` a shape and its numbers, `av` the values of
attributes, `z` times of a video. `attribute` has the names and options that users chose.
"""

from __future__ import annotations

from typing import Any

from ocrexp.data.formats.entries import Account
from ocrexp.data.formats.json_values import mapping
from ocrexp.data.formats.shapes import bounds, number, pairs

_IMAGE = "2"  # type of a file
_KEYS = {
    2: ("rect", "x", "y", "width", "height"),
    3: ("circle", "cx", "cy", "r"),
    4: ("ellipse", "cx", "cy", "rx", "ry"),
}
_OPEN = {1: "point", 5: "line"}
_POLYGONS = (6, 7)  # a polyline, as in VIA 2, and a polygon
_EXTREME_RECTANGLE, _EXTREME_CIRCLE = 8, 9  # points on it: four, three


def is_project(value: dict[str, Any]) -> bool:
    """Whether it is a project of VIA 3."""
    return all(isinstance(value.get(key), dict) for key in ("file", "view", "metadata"))


def images_of(project: dict[str, Any], place: str, account: Account) -> tuple[dict[str, Any], dict[str, Any]]:
    """The images with their regions, and the attributes of regions by name, as VIA 2 has them."""
    attributes = {key: value for key, value in mapping(project.get("attribute") or {}, place).items() if _named(value)}
    images: dict[str, Any] = {}
    for view, value in project["view"].items():
        files = value.get("fid_list") if isinstance(value, dict) else None
        listed = [project["file"].get(str(one)) for one in files] if isinstance(files, list) else []
        if len(listed) == 1 and isinstance(listed[0], dict) and str(listed[0].get("type")) == _IMAGE:
            images[view] = {"filename": _name(listed[0]), "regions": []}
        else:
            account.drop("view that is not of one image", f"{place}: view {view}")
    for key, value in project["metadata"].items():
        where = f"{place}: metadata {key}"
        try:
            image = images.get(str(value["vid"]))
            if image is None:
                account.drop("annotation of a view that is not of one image", where)
            elif not value["xy"]:
                account.drop("annotation without a shape", where)
            else:
                named = {attributes[one]["aname"]: text for one, text in value["av"].items() if one in attributes}
                image["regions"].append({"shape_attributes": _shape(value["xy"]), "region_attributes": named})
        except (ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError) as error:
            account.drop("annotation that cannot be read", f"{where}: {error!r}")
    return images, {value["aname"]: value for value in attributes.values()}


def _named(attribute: Any) -> bool:
    return isinstance(attribute, dict) and isinstance(attribute.get("aname"), str)


def _name(file: dict[str, Any]) -> Any:
    """The path or address of an image, or its name, where the project holds the image itself."""
    source = file.get("src")
    return source if isinstance(source, str) and source and not source.startswith("data:") else file.get("fname")


def _shape(values: list[Any]) -> dict[str, Any]:
    """`[shape, number, …]` as VIA 2 has it. Raises ValueError."""
    kind, numbers = int(number(values[0])), [number(value) for value in values[1:]]
    if kind in _KEYS:
        name, *keys = _KEYS[kind]
        return {"name": name} | dict(zip(keys, numbers, strict=True))
    if kind in _OPEN:
        return {"name": _OPEN[kind]}
    points = pairs(numbers)
    if kind in _POLYGONS:
        return {"name": "polygon", "all_points_x": [x for x, _ in points], "all_points_y": [y for _, y in points]}
    if kind == _EXTREME_RECTANGLE:
        left, top, right, bottom = bounds(points)
        return {"name": "rect", "x": left, "y": top, "width": right - left, "height": bottom - top}
    if kind == _EXTREME_CIRCLE:
        x, y, radius = _circle(*points)
        return {"name": "circle", "cx": x, "cy": y, "r": radius}
    raise ValueError(f"expected a shape from 1 to 9, got {kind}")


def _circle(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> tuple[float, float, float]:
    """The middle and the radius of the circle through three points. Raises ZeroDivisionError for points on a line."""
    bx, by, cx, cy = b[0] - a[0], b[1] - a[1], c[0] - a[0], c[1] - a[1]
    twice = 2 * (bx * cy - by * cx)
    x = (cy * (bx * bx + by * by) - by * (cx * cx + cy * cy)) / twice
    y = (bx * (cx * cx + cy * cy) - cx * (bx * bx + by * by)) / twice
    return a[0] + x, a[1] + y, float((x * x + y * y) ** 0.5)
