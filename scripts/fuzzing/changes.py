"""How fuzz.py damages valid files: bytes, and trees of plain values (YAML, JSON, pickles).

Everything takes a `random.Random`; fuzz.py gives one of hypothesis, which chooses the numbers.
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Sequence
from random import Random
from typing import Any

import yaml

_NUMBERS = (0, 1, 2, 7, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1)
_CHUNKS = (
    b"\0",
    b"\xff",
    b"\n",
    b"\r",
    b"\t",
    b"\0" * 64,
    b"\xff" * 64,
    b"A" * 5000,
    b"\xef\xbb\xbf",
    b"\x1b[31m",
    b"[" * 300,
)


def changed_bytes(rng: Random, data: bytes, words: Sequence[bytes] = (), others: Sequence[bytes] = ()) -> bytes:
    """A few changes at random places: cut, bits, numbers, `words` of the format, pieces of `others` of its files."""
    content = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        at = rng.randrange(len(content) + 1)
        span = rng.choice((1, 2, 4, 8, 64, 1000))
        change = rng.randrange(10)
        if change == 0:
            del content[at:]
        elif change == 1 and at < len(content):
            content[at] ^= 1 << rng.randrange(8)
        elif change == 2:
            del content[at : at + span]
        elif change == 3:
            content[at:at] = content[at : at + span] * rng.choice((1, 2, 50))
        elif change == 4:
            size = rng.choice((1, 2, 4, 8))
            number = rng.choice(_NUMBERS) % 256**size
            content[at : at + size] = number.to_bytes(size, rng.choice(("big", "little")))
        elif change == 5:
            content[at : at + span] = rng.randbytes(min(span, 8))
        elif change == 6:
            content[at:at] = rng.choice((*words, *_CHUNKS))
        elif change == 7:
            chunk = rng.choice((*words, *_CHUNKS))
            content[at : at + len(chunk)] = chunk
        elif change == 8 and others:
            other = rng.choice(others)
            start = rng.randrange(len(other) + 1)
            content[at:] = other[start:]
        elif at < len(content):
            content[at] = rng.choice((0, 0xFF, 0x80, content[at] ^ 0xFF, (content[at] + 1) % 256))
    return bytes(content)


def nested(depth: int) -> list[Any]:
    """Lists in lists."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


class Raw:
    """A text that a written tree contains as it is, without quotes."""

    def __init__(self, text: str) -> None:
        self.text = text


STRANGE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 3, 255, 5000, 20_000, 2**31, 2**63, 10**30, -(10**30), 10**400, 0.5, -0.5, 1e-300,
    1e308, math.nan,
    math.inf, -math.inf, "", " ", "a", "0", "nan", "x" * 20_000, "\x1b[31m\n", "a\0b", "???", "${oc.env:HOME}",
    "${seed}",
    "${run_dir}/${name}", "${", "../../etc", "/dev/zero", [], {}, [[]], [{}], [None], ["a", 1], [math.nan] * 3,
    [1] * 3000,
    [10**30, 10**30], {"a": 1}, {"_target_": "os.system"}, {"_target_": "ocrexp.losses.db.DBLoss"}, {"": ""},
    nested(40),
    nested(70), "\u202e\u200b", "é" * 100,
)  # fmt: skip
YAML_TEXTS = (
    "!!python/object/apply:os.system ['true']", "!!binary aGFsbG8=", "2001-01-01", "2001-12-14t21:59:43.10-05:00",
    "!!set {a, b}", "1:30:00", "0x7fffffffffffffffffffffff", ".nan", "-.inf", "*nowhere", "&a [*a]", "{<<: {a: 1}}",
    "!unknown 1", "0o17", "1_000", "~", "yes", "? [1, 2]", "{[1, 2]: 3}", "{1: 2, 1: 3}", "'", '"\\uD800"', "%", "@x",
    "!!omap [a: 1]", "!!pairs [a: 1]", "!!float abc", "!!int abc", "!!timestamp x", "9999-99-99", "1" * 5000, "[" * 200,
)  # fmt: skip
JSON_TEXTS = (
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "1" * 5000,
    "[" * 5000,
    "{",
    "'a'",
    '"\\ud800"',
    "tru",
    "-",
    "1e400",
)


def changed_tree(rng: Random, tree: Any, strange: Sequence[Any] = STRANGE) -> Any:
    """A copy in which one to three values are strange, missing, doubled, renamed or in another's place."""
    tree = copy.deepcopy(tree)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        places = list(_places(tree))
        if not places:
            return rng.choice(strange)
        node, key = rng.choice(places)
        change = rng.randrange(8)
        if change <= 4:
            node[key] = copy.deepcopy(rng.choice(strange))
        elif change == 5:
            del node[key]
        elif change == 6:
            other, name = rng.choice(places)
            node[key] = copy.deepcopy(other[name]) if name in other or isinstance(other, list) else None
        elif isinstance(node, dict):
            node[rng.choice(("", "x", str(key) + "_", 1, None, True, 1.5, "_target_", "_args_", "a.b"))] = node.pop(key)
        else:
            node.append(copy.deepcopy(node[key]))
    return tree


def _places(tree: Any) -> Any:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield tree, key
            yield from _places(value)
    elif isinstance(tree, list):
        for number, value in enumerate(tree[:50]):
            yield tree, number
            yield from _places(value)


def as_yaml(rng: Random, tree: Any) -> bytes:
    """Written as YAML, in one of its styles; `Raw` texts as they are."""
    texts: list[str] = []
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text = yaml.dump(
        _marked(tree, texts),
        Dumper=dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=rng.choice((False, None)),
    )
    return _filled(text, texts, '"', "'")


def as_json(tree: Any) -> bytes:
    """Written as JSON; `Raw` texts as they are."""
    texts: list[str] = []
    return _filled(json.dumps(_marked(tree, texts)), texts, '"')


def _marked(tree: Any, texts: list[str]) -> Any:
    if isinstance(tree, Raw):
        texts.append(tree.text)
        return f"@@{len(texts) - 1}@@"
    if isinstance(tree, dict):
        return {key: _marked(value, texts) for key, value in tree.items()}
    return [_marked(value, texts) for value in tree] if isinstance(tree, list) else tree


def _filled(text: str, texts: list[str], *quotes: str) -> bytes:
    for number, raw in enumerate(texts):
        mark = f"@@{number}@@"
        for quote in quotes:
            text = text.replace(f"{quote}{mark}{quote}", raw)
        text = text.replace(mark, raw)
    return text.encode("utf-8", "surrogatepass")
