"""Labels as a page shows them."""

import pytest

from ocrexp.report.sample_view import visible_runs


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("a b", "a[␣]b"),
        ("a\u00a0b\u200b", "a[U+00A0]b[U+200B]"),
        ("cafe\u0301", "cafe[U+0301]"),
        ("caf\u00e9", "caf\u00e9"),
        ("می\u200cخواهم", "می\u200cخواهم"),  # a joiner that shapes letters
        ("\u202eevil\x07", "[U+202E]evil[U+0007]"),
    ],
)
def test_what_no_image_shows_is_visible(text, shown):
    assert "".join(f"[{piece}]" if kind else piece for piece, kind, _ in visible_runs(text)) == shown


def test_in_a_list_only_odd_spaces_are_marked():
    assert [(piece, kind) for piece, kind, _ in visible_runs(" a  b c", spaces=False)] == [
        ("␣", "space"), ("a ", ""), ("␣", "space"), ("b c", ""),
    ]  # fmt: skip
    (first, rest) = visible_runs("x" * 3000)
    assert len(first[0]) == 2000 and rest[0] == "… 1000 more characters"
