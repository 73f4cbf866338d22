"""Label Studio's JSON: tasks with annotations, whose results make regions by their id (shape, labels, text).

Positions are in percent of the image; a rectangle is turned about its top left corner, in degrees clockwise. Of several
annotations of a task the latest one that was not canceled counts; predictions and drafts are not ground truth. Regions
may lie in others (`parentID`): `level=line` takes those without a parent, `level=word` those that are not a parent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ocrexp.data.formats.addresses import base_name
from ocrexp.data.formats.base import DET, IGNORED, Format
from ocrexp.data.formats.entries import NO, Account, Entry, Guess, Points, ReadOptions, Region
from ocrexp.data.formats.folder import Folder
from ocrexp.data.formats.json_values import kept_json, sequence
from ocrexp.data.formats.shapes import ellipse, number, sized_box, turned
from ocrexp.data.formats.user_names import TEXT_KEYS, is_ignored
from ocrexp.data.formats.writer import CLASS, LABELS, Writer
from ocrexp.files import as_json

_UPLOAD = re.compile(r"^[0-9a-f]{8}-")
_IGNORE_LABEL = "ignore"
_TEXT = "text"
_OWN_KEYS = frozenset(("annotator", "created_at", "updated_at"))  # of tasks in JSON-MIN, beside numbers


def _read(folder: Folder, options: ReadOptions, account: Account) -> Iterator[Entry]:
    for name in folder.files(".json"):
        if not folder.only and not _is(folder.probe(name)):
            continue
        path = folder.base / name
        for i, task in enumerate(sequence(kept_json(folder, name), str(path)), start=1):
            place = f"{path}: task {task.get('id', i) if isinstance(task, dict) else i}"
            named = _image_name(task) if isinstance(task, dict) else None
            if named is None:
                account.drop("task without an image", place)
                continue
            entry = Entry(named, _find(folder, named, name), [], source=place)
            entry.name = folder.below(entry.image) if isinstance(entry.image, Path) else named
            results = _results(task, place, account)
            if results is None:
                continue
            entry.regions = list(_regions(entry, results, options.level, place, account))
            yield entry


def _image_name(task: dict[str, Any]) -> str | None:
    """The address of a task's image."""
    data = task.get("data") if isinstance(task.get("data"), dict) else task
    assert isinstance(data, dict)
    keys = ["ocr", "image", "img", *data]
    for value in (data.get(name) for name in keys):
        if isinstance(value, str) and re.search(r"\.\w{3,4}$", base_name(value)):
            return value
    return None


def _find(folder: Folder, named: str, label: str) -> Path | None:
    """The image at an address, or the one whose name was preceded by a number when it was uploaded."""
    return folder.image(named.lstrip("/"), label) or folder.image(_UPLOAD.sub("", base_name(named)), label)


def _results(task: dict[str, Any], place: str, account: Account) -> list[Any] | None:
    """The results of the annotation that counts; None if no person has labeled the image."""
    annotations = task.get("annotations", task.get("completions"))
    if not annotations and ("predictions" in task or annotations is not None):
        account.drop("task without annotations", place)
        return None
    if not isinstance(annotations, list):
        return _flat_results(task, place, account)
    done = [one for one in annotations if isinstance(one, dict) and not one.get("was_cancelled")]
    account.drop("canceled annotation", place, len(annotations) - len(done))
    if not done:
        account.drop("task all of whose annotations were canceled", place)
        return None
    account.drop("annotation of a task that has a later one", place, len(done) - 1)
    latest = max(done, key=lambda one: str(one.get("updated_at") or one.get("created_at") or ""))
    results = latest.get("result")
    return results if isinstance(results, list) else []


def _flat_results(task: dict[str, Any], place: str, account: Account) -> list[Any]:
    """The results of the form JSON-MIN, in which boxes and texts are lists of equal length, under names of users."""
    shapes = {name: value for name, value in task.items() if _is_shapes(value)}
    # Of several kinds of shapes only `label` has all, in the order of the texts.
    boxes: list[Any] = max(shapes.values(), key=len, default=[])
    texts = _flat_texts(task, len(boxes))
    if texts and len(texts) != len(boxes):
        account.change("task with other numbers of texts and regions, read without texts; export it as JSON", place)
        texts = []
    results: list[Any] = []
    for i, value in enumerate(boxes):
        shape: dict[str, Any] = {"id": str(i), "type": "rectangle", "value": value}
        shape |= {key: value.get(key) for key in ("original_width", "original_height")}
        results.append(shape)
        if i < len(texts):
            results.append({"id": str(i), "type": "textarea", "value": {_TEXT: texts[i]}})
    return results


def _is_shapes(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) and "original_width" in v for v in value)


def _flat_texts(task: dict[str, Any], count: int) -> list[Any]:
    """The texts of a task: under a usual name, else the only values that are as many texts as there are regions."""
    named = _image_name(task)
    found = {
        name: [value] if isinstance(value, str) else value for name, value in task.items()
        if name not in _OWN_KEYS and value and value != named and _are_texts(value)
    }  # fmt: skip
    usual = next((found[key] for key in TEXT_KEYS if key in found), None)
    fitting = [texts for texts in found.values() if len(texts) == count]
    return usual or (fitting[0] if len(fitting) == 1 else [])


def _are_texts(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(map(_is_text, value)))


def _is_text(value: Any) -> bool:
    """Whether a value is a text, or the several texts of one region."""
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(one, str) for one in value))


def _regions(entry: Entry, results: list[Any], level: str | None, place: str, account: Account) -> Iterator[Region]:
    by_id: dict[str, list[dict[str, Any]]] = {}
    parents: dict[str, str] = {}
    for result in results:
        if isinstance(result, dict) and isinstance(result.get("value"), dict):
            by_id.setdefault(str(result.get("id")), []).append(result)
            if result.get("parentID"):
                parents[str(result.get("id"))] = str(result["parentID"])
    if level is None and parents:
        account.change("task whose regions lie in others, all of which were read; level=line or word chooses", place)
    outer = set(parents.values())
    for identity, parts in by_id.items():
        if (level == "line" and identity in parents) or (level == "word" and identity in outer):
            account.drop(f"region of another level than {level}", f"{place}: region {identity}")
            continue
        try:
            region = _region(entry, parts)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            account.drop("annotation that cannot be read", f"{place}: region {identity}: {error!r}")
            continue
        if region is None:
            account.drop("result without an outline", f"{place}: region {identity}")
        else:
            yield region


def _region(entry: Entry, parts: list[dict[str, Any]]) -> Region | None:
    points: Points | None = None
    texts: list[str] = []
    labels: list[str] = []
    for part in parts:
        value = part["value"]
        if points is None and part.get("original_width") and part.get("original_height"):
            width, height = number(part["original_width"]), number(part["original_height"])
            if part.get("image_rotation"):
                raise ValueError(f"the image was turned by {part['image_rotation']} degrees, which is not supported")
            points = _outline(value, width, height)
            if points is not None:
                entry.size = (int(width), int(height))
        text = value.get(_TEXT)
        texts += [text] if isinstance(text, str) else [str(one) for one in text or ()]
        for key in ("labels", "rectanglelabels", "polygonlabels", "ellipselabels"):
            labels += [str(label) for label in value.get(key) or ()]
    if points is None:
        return None
    joined = "\n".join(texts) or None
    ignored = joined == IGNORED or any(is_ignored(label) for label in labels)
    kept = list(dict.fromkeys(label for label in labels if label.lower() not in (_IGNORE_LABEL, _TEXT)))
    return Region(points, None if joined == IGNORED else joined, ignored, extra={"labels": kept} if kept else {})


def _outline(value: dict[str, Any], width: float, height: float) -> Points | None:
    if "points" in value:
        return [(number(x) * width / 100, number(y) * height / 100) for x, y in value["points"]]
    if "radiusX" in value:
        x, y, rx, ry = (number(value[key]) for key in ("x", "y", "radiusX", "radiusY"))
        degrees = number(value.get("rotation") or 0)
        return ellipse(x * width / 100, y * height / 100, rx * width / 100, ry * height / 100, degrees)
    if not all(key in value for key in ("x", "y", "width", "height")):  # a point has no height
        return None
    x, y, w, h = (number(value[key]) / 100 for key in ("x", "y", "width", "height"))
    points = sized_box(x * width, y * height, w * width, h * height)
    return turned(points, number(value.get("rotation") or 0), points[0])


def _is(head: str) -> bool:
    return head.lstrip().startswith("[") and (
        ('"original_width"' in head and '"result"' in head)
        or ('"original_width"' in head and any(f'"{key}"' in head for key in ("bbox", "poly", "annotation_id")))
        or '"from_name"' in head
    )


def _recognize(folder: Folder) -> Guess:
    for name in folder.like(r".*\.json")[:20]:
        if _is(folder.probe(name)):
            return Guess(0.95, f"{name} has tasks with results in percent of original_width")
    return NO


class LabelStudioWriter(Writer):
    """Writes `tasks.json` with polygons and texts, and `template.xml`, the labeling interface that it is for.

    The tasks of a draft have predictions, which annotators start from, and what `Entry.extra` knows among their data.
    """

    attributes = frozenset((CLASS, LABELS))

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._tasks: list[Any] = []

    def put(self, entry: Entry) -> bool:
        """One task."""
        width, height = entry.known_size()
        name = self.images.put(entry, "images")
        results = []
        for i, region in enumerate(entry.regions or ()):
            common = {
                "id": f"r{i}", "to_name": "image", "original_width": width, "original_height": height,
                "image_rotation": 0,
            } | ({} if region.score is None else {"score": round(region.score, 4)})  # fmt: skip
            points = [[x / width * 100, y / height * 100] for x, y in region.points]
            labels = [
                *(str(label) for label in region.extra.get(LABELS, ())),
                *([str(region.extra[CLASS])] if region.extra.get(CLASS) else []),
                *(["Ignore"] if region.ignored else []),
            ]
            value = {"points": points, "closed": True}
            results.append(common | {"type": "polygon", "from_name": "poly", "value": value})
            results.append(
                common | {"type": "labels", "from_name": "label", "value": value | {"labels": labels or ["Text"]}}
            )
            if region.text is not None:
                text = {"text": [region.text]}
                results.append(common | {"type": "textarea", "from_name": "transcription", "value": value | text})
        task: dict[str, Any] = {"data": {"ocr": f"{self.options.address}{quote(name)}"}}
        if self.options.draft:
            task["data"] |= entry.extra
            scores = [region.score for region in entry.regions or () if region.score is not None]
            mean = {"score": round(sum(scores) / len(scores), 4)} if scores else {}
            task["predictions"] = [{"model_version": "ocrexp", **mean, "result": results}]
        else:
            task["annotations"] = [{"result": results}]
        self._tasks.append(task)
        return True

    def close(self) -> None:
        """All tasks are known."""
        (self.folder / "tasks.json").write_text(as_json(self._tasks), encoding="utf-8")
        labels = {
            label
            for task in self._tasks
            for result in task["predictions" if self.options.draft else "annotations"][0]["result"]
            for label in result["value"].get("labels", ())
        }
        from xml.sax.saxutils import quoteattr

        rows = "".join(f"    <Label value={quoteattr(label)}/>\n" for label in sorted(labels | {"Text", "Ignore"}))
        (self.folder / "template.xml").write_text(_TEMPLATE.format(labels=rows), encoding="utf-8")


_TEMPLATE = """<View>
  <Image name="image" value="$ocr"/>
  <Labels name="label" toName="image">
{labels}  </Labels>
  <Rectangle name="bbox" toName="image"/>
  <Polygon name="poly" toName="image"/>
  <TextArea name="transcription" toName="image" editable="true" perRegion="true" maxSubmissions="1"
            displayMode="region-list"/>
</View>
"""

FORMATS = [
    Format("label_studio", "Label Studio", DET, "export as JSON or JSON-MIN (level=line, word)", _recognize, _read,
           LabelStudioWriter, frozenset(("level",))),
]  # fmt: skip
