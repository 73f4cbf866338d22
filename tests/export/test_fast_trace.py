"""A trace rewrites each function once, and its program is the one that paddle makes alone."""

import re
from contextlib import nullcontext

import paddle
from paddle import nn
from paddle.jit.dy2static import convert_call_func, program_translator

from ocrexp.export.fast_trace import fast_trace


class Scaled(nn.Layer):
    """A layer of which a network has several."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        if self.factor > 2:  # another branch in each instance
            x = self.shifted(x)
        return x.reshape([x.shape[0], -1]) * self.factor

    def shifted(self, x):
        return x + 1


class Network(nn.Layer):
    def __init__(self):
        super().__init__()
        self.layers = nn.LayerList([Scaled(factor) for factor in (1, 2, 3, 4)])

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


def traced(network, within, monkeypatch):
    """The program, what is rewritten for it, and what it gives for an image of another size."""
    rewritten = []
    convert = program_translator.FunctionCache._convert
    with monkeypatch.context() as patch:
        patch.setattr(
            program_translator.FunctionCache,
            "_convert",
            lambda cache, function: rewritten.append(function.__qualname__) or convert(cache, function),
        )
        spec = paddle.static.InputSpec([None, None], "float32", name="x")
        static = paddle.jit.to_static(network, input_spec=[spec], full_graph=True)
        with within():
            program = static.forward.concrete_program.main_program
    plain = re.sub(r',struct_name:"[^"]*"', "", str(program))
    return plain, rewritten, static(paddle.full([2, 3], 0.5)).numpy().tolist()


def test_the_program_is_the_same_and_each_function_is_rewritten_once(monkeypatch):
    before, network = convert_call_func.is_unsupported, Network()
    alone, of_each_instance, expected = traced(network, nullcontext, monkeypatch)
    program, rewritten, found = traced(network, fast_trace, monkeypatch)
    assert program == alone
    assert found == expected == [[(((0.5 * 1) * 2 + 1) * 3 + 1) * 4] * 3] * 2
    assert sorted(rewritten) == ["Network.forward", "Scaled.forward", "Scaled.shifted"]
    assert len(of_each_instance) > len(rewritten)  # else paddle does it by itself, and fast_trace is not needed
    assert "convert_with_cache" not in vars(program_translator._FUNCTION_CACHE)
    assert convert_call_func.is_unsupported is before


def test_paddle_without_its_caches_works_as_it_does(monkeypatch):
    monkeypatch.delattr(program_translator, "_FUNCTION_CACHE")
    with fast_trace():
        assert not hasattr(program_translator, "_FUNCTION_CACHE")
