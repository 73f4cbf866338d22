"""Training with rounded values: what is rounded, that gradients pass, that resumed and uninterrupted runs are equal."""

import numpy as np
import paddle
import pytest
from omegaconf import OmegaConf
from paddle import nn

from ocrexp.assemble import build_model
from ocrexp.config.compose import compose
from ocrexp.config.frozen import JobInfo, write_job
from ocrexp.errors import ConfigError
from ocrexp.models.fake_int8 import compute_in_float, round_layers
from ocrexp.runs.fit import build_trainer

DET = [
    "model.quantize_aware=true", "trainer.cpu_tuning=false", "model/backbone=mobilenetv3_small_x0_5",
    "model.backbone.scale=0.35", "model.neck.out_channels=16", "callbacks=none", "logger=none", "trainer.device=cpu",
    "loader.num_workers=0", "loader.batch_size=2", "dataset=det_list", "augment.warp.size=[64,64]",
    "preprocess.resize.limit_side_len=64", "preprocess.resize.limit_type=max", "trainer.eval_every_steps=2",
    "scheduler=constant", "trainer.save_every_steps=2", "data_check_seconds=0", "trainer.eval_at_start=false",
]  # fmt: skip


@pytest.fixture
def layer():
    paddle.seed(0)
    convolution = nn.Conv2D(3, 4, 3)
    model = nn.Sequential(convolution)
    round_layers(model)
    return model, convolution


def test_weights_have_255_steps_per_channel_and_inputs_256_between_the_lowest_and_the_highest(layer):
    model, convolution = layer
    x = paddle.uniform([2, 3, 8, 8], min=-1.0, max=3.0)
    given = []
    hook = convolution.register_forward_pre_hook(lambda one, inputs: given.append((inputs[0], one.weight)))
    model.train()
    model(x)
    hook.remove()
    ((rounded, weight),) = given
    low, high = convolution.input_range.tolist()
    assert (low, high) == (x.min().item(), x.max().item())
    assert len(np.unique(rounded.numpy())) <= 256
    assert np.abs(rounded.numpy() - x.numpy()).max() <= (high - low) / 255 * 1.01
    steps = np.abs(convolution._parameters["weight"].numpy()).reshape(4, -1).max(axis=1) / 127
    whole = weight.numpy().reshape(4, -1) / steps[:, None]
    np.testing.assert_allclose(whole, np.round(whole), atol=1e-3)
    assert convolution.weight is convolution._parameters["weight"]  # the float weight is back after the call


def test_gradients_are_those_of_the_rounded_network(layer):
    model, convolution = layer
    x = paddle.uniform([2, 3, 8, 8])
    x.stop_gradient = False
    model(x).sum().backward()
    assert convolution.weight.grad.abs().sum().item() > 0
    assert x.grad.abs().sum().item() > 0


def test_in_float_it_is_the_layer_without_rounding(layer):
    model, convolution = layer
    x = paddle.uniform([1, 3, 8, 8])
    model(x)
    compute_in_float(model)
    assert set(model.state_dict()) == {"0.weight", "0.bias"}
    expected = nn.functional.conv2d(x, convolution.weight, convolution.bias)
    np.testing.assert_array_equal(model(x).numpy(), expected.numpy())


def test_kernels_that_call_no_layers_are_refused():
    config = compose("train", [*DET, "dataset.root=/data", "trainer.cpu_tuning=true"])
    with pytest.raises(ConfigError, match=r"model\.quantize_aware=true: .* trainer\.cpu_tuning=false"):
        build_model(config)


def test_a_resumed_run_ends_with_the_weights_and_ranges_of_an_uninterrupted_one(tiny_lists, tmp_path, monkeypatch):
    monkeypatch.setenv("OCREXP_CPU_TUNING", "0")

    def trained(folder, steps, resume=False):
        config = compose(
            "train", [*DET, f"dataset.root={tiny_lists}", f"run_dir={folder}", f"trainer.max_steps={steps}"]
        )
        OmegaConf.set_struct(config, False)
        folder.mkdir(exist_ok=True)
        write_job(folder, config, JobInfo("run"))
        trainer = build_trainer(folder, config, resume=resume)
        try:
            trainer.fit()
        finally:
            trainer.train_loader.close()
            trainer.validation.close()
        return {name: value.numpy() for name, value in trainer.model.state_dict().items()}

    whole = trained(tmp_path / "whole", 4)
    trained(tmp_path / "parts", 2)
    resumed = trained(tmp_path / "parts", 4, resume=True)
    assert whole.keys() == resumed.keys()
    assert any(name.endswith("input_range") and value[1] > 0 for name, value in whole.items())
    for name, value in whole.items():
        np.testing.assert_array_equal(value, resumed[name], err_msg=name)
