"""Arrangements of documents: forms to fill in, and invoices."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ocrexp.data.synth.backgrounds import color
from ocrexp.data.synth.canvas import Matrix
from ocrexp.data.synth.pen import Pen, fitting, luminance, paper, sheet_turn
from ocrexp.data.synth.sprites import Sprite, box_polygon, shift, through

Tone = npt.NDArray[np.float32]


def _write(
    pen: Pen, sprite: Sprite | None, x: float, bottom: float, turn: Matrix, tone: Tone, align: float = 0
) -> bool:
    """A line whose ink ends at `bottom`; `align` 0 starts it at x, 0.5 centers it there, 1 ends it there."""
    if sprite is None:
        return False
    height, width = sprite.mask.shape
    return pen.canvas.place(sprite, turn @ shift(x - align * width, bottom - height), tone, gap=0.0)


def _rule(pen: Pen, start: tuple[float, float], end: tuple[float, float], turn: Matrix, tone: Tone) -> None:
    points = through(np.array([start, end]), turn)
    pen.canvas.rule(tuple(points[0]), tuple(points[1]), tone)


def _frame(pen: Pen, left: float, top: float, right: float, bottom: float, turn: Matrix, tone: Tone) -> None:
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    for start, end in zip(corners, [*corners[1:], corners[0]], strict=True):
        _rule(pen, start, end, turn, tone)


def form(pen: Pen) -> None:
    """A form: titles of fields, ruled or framed fields that are filled in with another font, boxes to tick."""
    canvas, rng = pen.canvas, pen.rng
    turn = sheet_turn(pen)
    left, top, right, bottom = paper(pen, turn, float(rng.uniform(0.8, 1.0)))
    size = pen.size(0, 0.4)
    printed, filled = pen.fonts.pick(rng), pen.fonts.pick(rng)
    level = canvas.around(through(box_polygon(left, top, right, bottom), turn))[0]
    tone = canvas.ink(level, least=90)
    pencil = color(rng, 20, 110, vivid=1.0) if level > 150 and rng.random() < 0.7 else tone
    line = tone + (np.float32(128) - tone) * np.float32(0.4)
    leading = size * float(rng.uniform(1.9, 2.7))
    style = ("ruled", "framed", "open")[int(rng.integers(3))]
    columns = 2 if right - left > 30 * size and rng.random() < 0.5 else 1
    room = (right - left) / columns - size
    y = top + size * 1.8
    heading = fitting(pen, [pen.texts.title(rng) for _ in range(3)], printed, round(size * 1.4), right - left)
    _write(pen, heading, (left + right) / 2, y, turn, tone, 0.5)
    y += leading
    while y < bottom and not canvas.full:
        for column in range(columns):
            x = left + column * (room + size)
            if rng.random() < 0.15:
                _ticked(pen, x, y, room, size, printed, turn, tone, pencil)
                continue
            words = [pen.texts.title(rng) for _ in range(int(rng.integers(1, 3)))]
            name = fitting(pen, [*words[:-1], f"{words[-1]}:"], printed, size, room * 0.45)
            if not _write(pen, name, x, y, turn, tone) or name is None:
                continue
            start, end = x + max(name.mask.shape[1] + size, room * 0.35), x + room
            if style == "ruled":
                _rule(pen, (start, y + size * 0.25), (end, y + size * 0.25), turn, line)
            elif style == "framed":
                _frame(pen, start - size * 0.4, y - size * 1.2, end, y + size * 0.45, turn, line)
            if rng.random() < 0.85:
                values = [pen.texts.token(rng) for _ in range(int(rng.integers(1, 4)))]
                _write(pen, fitting(pen, values, filled, size, end - start - size * 0.3), start, y, turn, pencil)
        y += leading


def _ticked(
    pen: Pen, x: float, y: float, room: float, size: int, font: str, turn: Matrix, tone: Tone, pencil: Tone
) -> None:
    """Some boxes with a word each, one of them ticked."""
    ticked = int(pen.rng.integers(3))
    for number in range(int(pen.rng.integers(2, 4))):
        left = x + number * room / 3
        side = size * 0.8
        _frame(pen, left, y - side, left + side, y, turn, tone)
        if number == ticked:
            _rule(pen, (left, y - side), (left + side, y), turn, pencil)
            _rule(pen, (left, y), (left + side, y - side), turn, pencil)
        word = fitting(pen, [pen.texts.title(pen.rng)], font, size, room / 3 - 2.2 * size)
        _write(pen, word, left + side + size * 0.5, y, turn, tone)


def invoice(pen: Pen) -> None:
    """An invoice: a head with an address and numbers, a table with amounts at the right, sums, a line at the foot."""
    canvas, rng = pen.canvas, pen.rng
    turn = sheet_turn(pen)
    left, top, right, bottom = paper(pen, turn, 1.0)
    size = pen.size(0, 0.25)
    font, heading = pen.fonts.pick(rng), pen.fonts.pick(rng)
    level = canvas.around(through(box_polygon(left, top, right, bottom), turn))[0]
    tone = canvas.ink(level, least=90)
    line = tone + (np.float32(128) - tone) * np.float32(0.5)
    leading, width = size * float(rng.uniform(1.4, 1.9)), right - left
    y = top + size * 2
    name = fitting(pen, [pen.texts.title(rng) for _ in range(3)], heading, round(size * 1.6), width * 0.55)
    _write(pen, name, left, y, turn, tone)
    rows = int(rng.integers(2, 5))
    for row in range(rows):
        words = [pen.texts.token(rng), pen.texts.number(rng)]
        _write(pen, fitting(pen, words, font, size, width * 0.5), left, y + leading * (row + 1), turn, tone)
        title = pen.texts.title(rng)
        fact = pen.texts.code(rng) if rng.random() < 0.5 else pen.texts.date(rng)
        facts = [f"{title}:", *fact.split()]
        _write(pen, fitting(pen, facts, font, size, width * 0.4), right, y + leading * row, turn, tone, 1)
    y += leading * (rows + 2)
    ends = left + width * np.array([0.52, 0.66, 0.82, 1.0])  # right edges of the columns
    head_tone = tone
    if rng.random() < 0.5:
        bar = np.float32(0.75) * tone + np.float32(0.25 * level)
        canvas.fill(through(box_polygon(left, y - size * 1.3, right, y + size * 0.5), turn), bar)
        head_tone = canvas.ink(luminance(bar), least=90)
    for row in range(int(rng.integers(4, 16))):
        if y + leading * 3.5 > bottom or canvas.full:
            break
        name_words = [pen.texts.title(rng) if row == 0 else pen.texts.token(rng) for _ in range(3)]
        row_tone = head_tone if row == 0 else tone
        _write(pen, fitting(pen, name_words, font, size, width * 0.44), left + size * 0.4, y, turn, row_tone)
        for number, end in enumerate(ends[1:].tolist()):
            value = pen.texts.price if number else pen.texts.number
            values = [pen.texts.title(rng)] if row == 0 else value(rng).split()
            room = width * (0.12 if number < 2 else 0.16)
            _write(pen, fitting(pen, values, font, size, room), end - size * 0.4, y, turn, row_tone, 1)
        _rule(pen, (left, y + size * 0.5), (right, y + size * 0.5), turn, line)
        y += leading * 1.15
    for _ in range(int(rng.integers(1, 4))):
        if y + leading * 2 > bottom or canvas.full:
            return
        _write(pen, fitting(pen, [pen.texts.title(rng)], font, size, width * 0.2), float(ends[1]), y, turn, tone, 0.5)
        total = fitting(pen, pen.texts.price(rng).split(), heading, size, width * 0.17)
        _write(pen, total, right - size * 0.4, y, turn, tone, 1)
        y += leading
    foot = fitting(pen, [pen.texts.token(rng) for _ in range(6)], font, max(8, round(size * 0.8)), width)
    _write(pen, foot, (left + right) / 2, bottom - size * 0.4, turn, tone, 0.5)
