"""What a run asks of its model, which may hold several networks."""

from __future__ import annotations

from collections.abc import Mapping

from paddle import Tensor, nn

from ocrexp.models.freezing import Frozen


class Network(nn.Layer):
    """A model; one network is everything that a run asks for.

    A model of several networks (a student and its teacher) defines which of them is trained and which is deployed. It
    is trained and evaluated as a whole: `forward(images, targets=None)` gives a dict of tensors by name, in evaluation
    those of `deployed()` under their own names, and others beside them where the loss or the metric wants them.
    """

    frozen: Frozen | None = None  # by `model.freeze`

    def trainable(self) -> nn.Layer:
        """What learns: the optimizer's parameters, the averaged weights, and what a checkpoint contains, under its own
        names. The rest is fixed: without gradients, its norms and dropout as in evaluation."""
        return self

    def deployed(self) -> nn.Layer:
        """The network that is exported, an OCRModel; its weights are among those of `trainable()`."""
        return self

    def evaluated(
        self, images: Tensor, known: Mapping[str, Tensor], targets: Mapping[str, Tensor], rows: Tensor | None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Evaluation's outputs, and the outputs that the loss takes, with the model in evaluation mode.

        `targets` are those of the images `rows` (None: of all), and so are the outputs for the loss.
        """
        outputs = self(images, targets=known or None)
        if rows is not None:
            images = images.index_select(rows)
            known = {name: value.index_select(rows) for name, value in known.items()}
        return outputs, self(images, targets={**known, **targets})

    def train(self) -> None:
        """Training mode, for what learns."""
        super().train()
        learns = {id(layer) for layer in self.trainable().sublayers(include_self=True)}
        for layer in self.sublayers():
            if id(layer) not in learns:
                layer.training = False

    def fix_the_rest(self) -> None:
        """No gradients for the parameters that are not of `trainable()`."""
        learns = {id(parameter) for parameter in self.trainable().parameters()}
        for parameter in self.parameters():
            if id(parameter) not in learns:
                parameter.stop_gradient = True
