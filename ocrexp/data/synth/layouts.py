"""Arrangements of text on a page: scattered signs, posters, paragraphs, receipts and tables; others are in documents.py
and traced.py.

Each layout measures in the sheet's pixels (the page before its slight perspective) and stops where the page is full.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from ocrexp.data.synth.backgrounds import color
from ocrexp.data.synth.documents import form, invoice
from ocrexp.data.synth.pen import Pen, fitting, luminance, maybe_bent, paper, sheet_turn
from ocrexp.data.synth.sprites import box_polygon, rotation, shift, through
from ocrexp.data.synth.traced import traced


def sign(pen: Pen, size: int, lines: int, angle: float) -> bool:
    """One to some centered lines at a random free place, sometimes on a plaque, outlined or with a shadow."""
    canvas, rng = pen.canvas, pen.rng
    font = pen.fonts.pick(rng)
    style = {
        "space": float(rng.uniform(0.3, 0.5)),
        "tracking": float(rng.uniform(0.03, 0.25)) if rng.random() < 0.15 else 0.0,
        "stroke": float(size > 24 and rng.random() < 0.15),
    }
    sprites = []
    for _ in range(lines):
        words = [pen.texts.token(rng) for _ in range(int(rng.choice((1, 2, 3, 4), p=(0.45, 0.3, 0.17, 0.08))))]
        if (sprite := pen.line(words, font, size, **style)) is not None:
            sprites.append(sprite)
    if not sprites:
        return False
    if len(sprites) == 1:
        sprites = [maybe_bent(pen, sprites[0])]
    leading = max(2.0, float(rng.uniform(0.2, 0.6)) * size)
    width = max(sprite.mask.shape[1] for sprite in sprites)
    height = sum(sprite.mask.shape[0] for sprite in sprites) + leading * (len(sprites) - 1)
    pad = max(3.0, size * float(rng.uniform(0.15, 0.5)))
    page_height, page_width = canvas.image.shape[:2]
    for _ in range(8):  # tries
        middle = rng.uniform((0.04 * page_width, 0.04 * page_height), (0.96 * page_width, 0.96 * page_height))
        place = shift(*middle) @ rotation(angle) @ shift(-width / 2, -height / 2)
        plate = through(box_polygon(-pad, -pad, width + pad, height + pad), place)
        if canvas.free(plate):
            break
    else:
        return False
    level, unrest = canvas.around(plate)
    plaque = rng.random() < 0.25 or unrest > 55
    if plaque:
        tone = color(rng, 0, 255, vivid=1.0)
        canvas.fill(plate, tone)
        level = luminance(tone)
    tone = canvas.ink(level, least=float(rng.uniform(60, 110)) + min(unrest, 40.0) * (not plaque))
    effect = rng.random() if size >= 18 else 1.0
    outlined = effect < 0.12 or (unrest > 30 and not plaque and effect < 0.4)
    y = 0.0
    for sprite in sprites:
        at = place @ shift((width - sprite.mask.shape[1]) / 2, y)
        y += sprite.mask.shape[0] + leading
        if outlined:
            edge = max(1, size // 20)
            halo = cv2.copyMakeBorder(sprite.mask, edge, edge, edge, edge, cv2.BORDER_CONSTANT)
            halo = cv2.dilate(halo, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * edge + 1, 2 * edge + 1)))
            canvas.blend(halo, at @ shift(-edge, -edge), np.float32(255) - tone)
        elif effect > 0.9 and effect < 1:
            away = max(1.0, size * 0.06)
            canvas.blend(sprite.mask, at @ shift(away, away), color(rng, 0, 60, vivid=0.0), 0.5)
        canvas.place(sprite, at, tone, alpha=float(rng.uniform(0.8, 1.0)))
    return True


def scene(pen: Pen) -> None:
    """Signs scattered over the page, each with its own font, size, color and angle."""
    wanted = int(pen.rng.integers(4, 17))
    for _ in range(wanted):
        if pen.canvas.full:
            return
        lines = int(pen.rng.choice((1, 2, 3), p=(0.7, 0.2, 0.1)))
        sign(pen, pen.size(0, 1 if lines == 1 else 0.7), lines, pen.angle())


def poster(pen: Pen) -> None:
    """Centered lines of different sizes, the large ones first, all at one angle."""
    canvas, rng = pen.canvas, pen.rng
    height, width = canvas.image.shape[:2]
    turn = sheet_turn(pen)
    tone = canvas.ink(canvas.around(box_polygon(0, 0, width, height))[0], least=90)
    y = height * float(rng.uniform(0.04, 0.2))
    fonts = [pen.fonts.pick(rng) for _ in range(2)]
    while y < height * 0.93 and not canvas.full:
        size = pen.size(0.55, 1) if rng.random() < 0.4 else pen.size(0.1, 0.6)
        words = [pen.texts.title(rng) if size > 30 else pen.texts.token(rng) for _ in range(int(rng.integers(1, 6)))]
        sprite = fitting(pen, words, fonts[int(rng.integers(2))], size, width * 0.9)
        if sprite is None:
            y += size
            continue
        sprite = maybe_bent(pen, sprite)
        at = turn @ shift((width - sprite.mask.shape[1]) / 2 + float(rng.uniform(-8, 8)), y)
        level, unrest = canvas.around(through(sprite.outline, at))
        if rng.random() < 0.15 or abs(level - luminance(tone)) < 60 + unrest:
            tone = canvas.ink(level, least=80 + min(unrest, 30.0))
        canvas.place(sprite, at, tone, gap=1.0)
        y += sprite.mask.shape[0] + size * float(rng.uniform(0.25, 1.1))


def paragraph(pen: Pen) -> None:
    """Running text in one or two columns, with headings, on paper or straight on the background."""
    canvas, rng = pen.canvas, pen.rng
    turn = sheet_turn(pen)
    left, top, right, bottom = paper(pen, turn, 0.7 if rng.random() < 0.3 else 1.0)
    size = pen.size(0, 0.42)
    heading, body = pen.fonts.pick(rng), pen.fonts.pick(rng)
    space, leading = float(rng.uniform(0.3, 0.45)), float(rng.uniform(1.25, 1.7))
    tone = canvas.ink(canvas.around(through(box_polygon(left, top, right, bottom), turn))[0], least=90)
    columns = 2 if right - left > 26 * size and rng.random() < 0.4 else 1
    gutter = size * 1.6
    column_width = (right - left - gutter * (columns - 1)) / columns
    justified_right = rng.random() < 0.1
    for column in range(columns):
        x = left + column * (column_width + gutter)
        y = top
        while y + size * 1.2 < bottom and not canvas.full:
            if rng.random() < 0.09:
                y += size * leading * float(rng.uniform(0.3, 1.5))
            title = rng.random() < 0.08
            font, em = (heading, round(size * float(rng.uniform(1.1, 1.7)))) if title else (body, size)
            words = (pen.texts.title(rng) if title else pen.texts.token(rng) for _ in range(2 if title else 40))
            share = float(rng.uniform(0.25, 0.9)) if rng.random() < 0.2 else 1.0
            sprite = fitting(pen, words, font, em, column_width * share, space)
            if sprite is not None:
                indent = column_width - sprite.mask.shape[1] if justified_right else 0.0
                canvas.place(sprite, turn @ shift(x + indent, y), tone, gap=0.0)
            y += em * leading


def receipt(pen: Pen) -> None:
    """A till receipt: a heading, lines with a name at the left and an amount at the right, rules, a total."""
    canvas, rng = pen.canvas, pen.rng
    turn = sheet_turn(pen)
    left, top, right, bottom = paper(pen, turn, float(rng.uniform(0.5, 0.95)))
    size = pen.size(0, 0.4)
    font = pen.fonts.pick(rng, mono=rng.random() < 0.6)
    tone = canvas.ink(canvas.around(through(box_polygon(left, top, right, bottom), turn))[0], least=90)
    width, leading = right - left, float(rng.uniform(1.2, 1.7))
    space = float(rng.uniform(0.32, 0.45))
    y = top
    for row in range(200):
        if y + size * 1.2 > bottom or canvas.full:
            return
        kind = rng.random()
        if row < 3:
            em = round(size * float(rng.uniform(1.0, 1.6))) if row == 0 else size
            words = (
                [pen.texts.title(rng) for _ in range(3)]
                if row < 2
                else [*pen.texts.date(rng).split(), pen.texts.code(rng)]
            )
            sprite = fitting(pen, words, font, em, width, space)
            if sprite is not None:
                canvas.place(sprite, turn @ shift(left + (width - sprite.mask.shape[1]) / 2, y), tone, gap=0.0)
            y += em * leading
            continue
        if kind < 0.1:
            points = through(np.array([[left, y + size * 0.5], [right, y + size * 0.5]]), turn)
            canvas.rule(tuple(points[0]), tuple(points[1]), tone)
            y += size * leading
            continue
        total = kind < 0.2
        words = [pen.texts.title(rng)] if total else [pen.texts.token(rng) for _ in range(int(rng.integers(1, 4)))]
        value = pen.texts.price(rng) if rng.random() < 0.7 else pen.texts.number(rng)
        amount = pen.line(value.split(), font, size)
        if rng.random() < 0.15:
            amount = None
        # A gap that nobody takes for a space, so that the two are two lines.
        room = width if amount is None else width - amount.mask.shape[1] - 1.5 * size
        name = fitting(pen, words, font, size, room, space)
        if name is not None:
            canvas.place(name, turn @ shift(left, y), tone, gap=0.0)
        if amount is not None:
            canvas.place(amount, turn @ shift(right - amount.mask.shape[1], y), tone, gap=0.0)
        y += size * leading


def table(pen: Pen) -> None:
    """A grid of ruled or unruled cells with words and numbers."""
    canvas, rng = pen.canvas, pen.rng
    turn = sheet_turn(pen)
    left, top, right, bottom = paper(pen, turn, 1.0)
    size = pen.size(0, 0.38)
    font = pen.fonts.pick(rng)
    tone = canvas.ink(canvas.around(through(box_polygon(left, top, right, bottom), turn))[0], least=90)
    rule = tone + (np.float32(128) - tone) * np.float32(0.5)
    columns = int(rng.integers(2, max(3, min(6, int((right - left) / (6 * size))) + 1)))
    row_height = size * float(rng.uniform(1.7, 2.6))
    rows = min(int((bottom - top) / row_height), int(rng.integers(4, 14)))
    edges = np.concatenate([[0], np.cumsum(rng.uniform(0.7, 1.3, columns))])
    edges = left + edges / edges[-1] * (right - left)
    numeric = rng.random(columns) < 0.5
    ruled = rng.random()
    for row in range(rows):
        for column in range(columns):
            if canvas.full:
                return
            if rng.random() < 0.08:
                continue
            number = row > 0 and bool(numeric[column])
            words = (pen.texts.number(rng) if rng.random() < 0.6 else pen.texts.price(rng)).split() if number else []
            words = words or [pen.texts.title(rng) if row == 0 else pen.texts.token(rng) for _ in range(2)]
            room = edges[column + 1] - edges[column] - size
            sprite = fitting(pen, words, font, size, room)
            if sprite is None:
                continue
            indent = room - sprite.mask.shape[1] if number else 0.0
            at = shift(edges[column] + size * 0.5 + indent, top + row * row_height + size * 0.4)
            canvas.place(sprite, turn @ at, tone, gap=0.0)
    lines = [
        ((left, top + row * row_height), (right, top + row * row_height)) for row in range(rows + 1) if ruled < 0.7
    ]
    lines += [((x, top), (x, top + rows * row_height)) for x in edges if ruled < 0.45]
    for ends in lines:
        points = through(np.array(ends), turn)
        canvas.rule(tuple(points[0]), tuple(points[1]), rule)


def illegible(pen: Pen) -> None:
    """Small print that nobody can read: lines labeled `###`."""
    canvas, rng = pen.canvas, pen.rng
    height, width = canvas.image.shape[:2]
    size = int(rng.integers(5, 7))
    font = pen.fonts.pick(rng)
    for _ in range(int(rng.integers(1, 4))):
        x, y = rng.uniform((4, 4), (width * 0.7, height * 0.95))
        tone = None
        for line in range(int(rng.integers(1, 4))):
            sprite = pen.line([pen.texts.word(rng) for _ in range(int(rng.integers(2, 6)))], font, size)
            if sprite is None:
                continue
            at = shift(float(x), float(y) + line * size * 1.7)
            if tone is None:
                tone = canvas.ink(canvas.around(through(sprite.outline, at))[0], least=35)
            canvas.place(sprite, at, tone, alpha=0.8, illegible=True, gap=3.0)


LAYOUTS: dict[str, Callable[[Pen], None]] = {
    "scene": scene,
    "poster": poster,
    "paragraph": paragraph,
    "receipt": receipt,
    "table": table,
    "form": form,
    "invoice": invoice,
    "traced": traced,
}
