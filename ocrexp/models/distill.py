"""Networks that learn from each other: a student with a fixed teacher, two students, or both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import paddle
from paddle import Tensor, nn

from ocrexp.charset.codecs import KINDS
from ocrexp.environment import untuned
from ocrexp.models.features import Features
from ocrexp.models.heads.multi import MultiHead
from ocrexp.models.hooks import token_kind
from ocrexp.models.model import OCRModel, as_in_training
from ocrexp.models.network import Network

if TYPE_CHECKING:
    from ocrexp.models.pretrained import Coverage

_SMALL = 1e-30  # keeps the logarithm of a probability finite in float32


class DistilledModel(Network):
    """A student, and the networks that it learns with.

    What learns is the student, a second one and the projections of features. A checkpoint has the student's parameters
    under their own names, so that it is a checkpoint of the student as well; the others follow as `student2.…` and
    `projection.…`. The teacher is never saved. Without teacher and second student it is the student alone.

    Args:
        student: what is evaluated, saved and exported.
        teacher: fixed; None: there is none.
        student2: learns beside the student; None: there is none.
        features: feature → network (`student`, `teacher`, `student2`) → name of the layer whose output is compared, as
            `neck` or `backbone.3`. `student2` has the student's layer where it is not stated. A student's
            feature with other channels than the teacher's is projected by a learned linear layer.
        image_shape: (height, width) of an image for which the sizes of features are compared.
        normalize: the student's, which an export states; each network normalizes for itself. None: not compared.
        unknown: classes that the teacher does not know, positions of characters in the charset: comparisons with the
            teacher leave them out.

    `forward(images, targets)` gives in evaluation the student's outputs; in training also all outputs and features of
    each network as `student.NAME`, `teacher.NAME`, `student2.NAME`: what losses of pairs take. Where they leave classes
    out, the second student's outputs with all classes are `whole.student2.NAME`.

    Raises ValueError if the networks have no output in common, or features of different sizes.
    """

    def __init__(
        self,
        student: OCRModel,
        teacher: OCRModel | None = None,
        student2: OCRModel | None = None,
        features: Mapping[str, Mapping[str, str]] | None = None,
        image_shape: Sequence[int] = (160, 160),
        normalize: Mapping[str, Sequence[float]] | None = None,
        unknown: Sequence[int] = (),
    ) -> None:
        if normalize is not None and not student.normalizes_as(normalize):
            raise ValueError("normalize: must be the student's; set student.normalize instead")
        super().__init__()
        self.student, self.teacher, self.student2 = student, teacher, student2
        self._unknown = set(unknown)
        self.projections = nn.LayerDict()
        self.projections2 = nn.LayerDict()
        self._features = {
            name: Features(network, layers)
            for name, network in self._networks().items()
            if (layers := _layers_of(name, features or {}))
        }
        self._check_outputs()
        if self._features:
            self._connect((int(image_shape[0]), int(image_shape[1])))
        learner = nn.Layer()
        for name, part in student.named_children():
            learner.add_sublayer(name, part)
        for name, other in (
            ("student2", student2),
            ("projection", self.projections),
            ("projection2", self.projections2),
        ):
            if other is not None and other.parameters():
                learner.add_sublayer(name, other)
        object.__setattr__(self, "_learner", learner)  # not a part of the model: its layers already are

    @property
    def coverage(self) -> Coverage | None:
        """What a file of weights gave to the student."""
        return self.student.coverage

    def trainable(self) -> nn.Layer:
        learner: nn.Layer = self._learner
        return learner

    def deployed(self) -> OCRModel:
        return self.student

    def train(self) -> None:
        super().train()
        for network in (self.student, self.student2):
            if network is not None:
                network.training = True

    def evaluated(
        self, images: Tensor, known: Mapping[str, Tensor], targets: Mapping[str, Tensor], rows: Tensor | None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The student's, as it is evaluated alone."""
        return self.student.evaluated(images, known, targets, rows)

    def forward(self, images: Tensor, targets: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        if not self.training:
            return self.student(images, targets)
        outputs: dict[str, Tensor] = {}
        for name, network in self._networks().items():
            found, features = self._run(name, network, images, targets)
            if name == "student":
                outputs |= found
            for key, value in {**found, **features}.items():
                outputs[f"{name}.{key}"] = kept = self._known(key, value)
                if name == "student2" and kept is not value:
                    outputs[f"whole.{name}.{key}"] = value
        return outputs

    def _networks(self) -> dict[str, OCRModel]:
        networks = {"student": self.student, "teacher": self.teacher, "student2": self.student2}
        return {name: network for name, network in networks.items() if network is not None}

    def _run(
        self, name: str, network: OCRModel, images: Tensor, targets: Mapping[str, Tensor] | None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """A network's outputs in training, and its features, projected."""
        features = self._features.get(name)
        with ExitStack() as stack:
            caught = stack.enter_context(features.caught()) if features is not None else {}
            if name != "teacher":
                outputs = network(images, targets)
            else:
                stack.enter_context(paddle.no_grad())
                outputs = self._taught(network, images, targets)
        projections = {"student": self.projections, "student2": self.projections2}.get(name, {})
        return outputs, {key: projections[key](x) if key in projections else x for key, x in caught.items()}

    def _taught(self, teacher: OCRModel, images: Tensor, targets: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
        """The teacher's outputs as the loss takes them, its norms and dropout as in evaluation."""
        if _same_form(self.student.head, teacher.head):
            with as_in_training(teacher.head):
                return dict(teacher(images, targets))
        # Of another head only the main output is in common; there are no targets for the others.
        outputs: dict[str, Tensor] = teacher(images, None if targets is None else _width(targets))
        return {name: value.clip(min=_SMALL).log() if name in KINDS else value for name, value in outputs.items()}

    def _known(self, output: str, value: Tensor) -> Tensor:
        """An output of classes without those that the teacher does not know."""
        if not self._unknown or output not in KINDS:
            return value
        before = KINDS[output](1).before
        classes = [number for number in range(value.shape[-1]) if number - before not in self._unknown]
        return value.index_select(paddle.to_tensor(classes), axis=-1)

    def _check_outputs(self) -> None:
        ours = _outputs(self.student)
        for name, network in self._networks().items():
            if not ours & _outputs(network) and not self._features:
                theirs, own = sorted(_outputs(network)), sorted(ours)
                raise ValueError(
                    f"{name}: gives {', '.join(theirs)}, the student {', '.join(own)}: nothing to compare; "
                    "choose a model of the same task and kind of head"
                )

    def _connect(self, size: tuple[int, int]) -> None:
        """Makes the projections; raises ValueError for features of other sizes."""
        shapes = {}
        image = paddle.zeros([1, *size, 3], "uint8")
        with paddle.no_grad(), untuned():
            for name, network in self._networks().items():
                if name in self._features:
                    network.eval()
                    with self._features[name].caught() as caught:
                        network(image)
                    shapes[name] = {key: list(value.shape) for key, value in caught.items()}
                    network.train()
        for name, projections in (("student", self.projections), ("student2", self.projections2)):
            for feature, shape in shapes.get(name, {}).items():
                wanted = shapes.get("teacher", shapes["student"]).get(feature)
                if wanted is None:
                    continue
                axis = 1 if len(shape) == 4 else len(shape) - 1
                places, others = (each[:axis] + each[axis + 1 :] for each in (shape, wanted))
                if len(shape) != len(wanted) or places != others:
                    other = "teacher" if "teacher" in shapes else "student"
                    raise ValueError(
                        f"features.{feature}: has the shape {shape} in {name} and {wanted} in {other} for images of "
                        f"{size[0]}x{size[1]}; choose layers whose maps have equal sizes"
                    )
                if shape[axis] != wanted[axis]:
                    ours, theirs = shape[axis], wanted[axis]
                    projections[feature] = nn.Conv2D(ours, theirs, 1) if len(shape) == 4 else nn.Linear(ours, theirs)


def _layers_of(network: str, features: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    found = {}
    for feature, layers in features.items():
        unknown = [name for name in layers if name not in ("student", "teacher", "student2")]
        if unknown or "student" not in layers:
            raise ValueError(
                f"features.{feature}: expected a layer for student, and for teacher or student2, got "
                f"{', '.join(layers)}"
            )
        layer = layers.get(network, layers["student"] if network == "student2" else None)
        if layer is not None:
            found[feature] = layer
    return found


def _outputs(network: OCRModel) -> set[str]:
    return set(network.outputs)


def _same_form(student: nn.Layer, teacher: nn.Layer) -> bool:
    """Whether a teacher's head can be called as the student's in training, with the same targets."""
    if isinstance(student, MultiHead) and isinstance(teacher, MultiHead):
        return student.guide_kind == teacher.guide_kind
    kind = token_kind(teacher)
    return kind in (None, "ctc") or kind == token_kind(student)


def _width(targets: Mapping[str, Tensor]) -> dict[str, Any]:
    return {name: value for name, value in targets.items() if name == "valid_width"}


_BESIDE = ("student2.", "projection.", "projection2.")  # in a checkpoint, what is not the student's


def parameters_of(which: str, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of `student` or `student2` in a checkpoint of a distillation, under their own names."""
    if which == "student":
        return {name: value for name, value in arrays.items() if not name.startswith(_BESIDE)}
    return {name.removeprefix("student2."): value for name, value in arrays.items() if name.startswith("student2.")}
