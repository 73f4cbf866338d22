"""Language of messages, comments, configuration files and documents: American spelling, no unwanted words."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# A pattern, and what to write instead. Only patterns without false hits.
UNWANTED = {
    r"\w*(?:colour|grey)\w*": "color, gray",
    r"\w*(?:recognis|normalis|synchronis|optimis|initialis|summaris|binaris)\w*": "-ize",
    r"\w*(?:labelled|modelled|cancelled)\w*": "labeled, modeled, canceled",
    r"(?:behaviour|artefact|centre|centred|learnt|misspelt|neighbour|programme|favour)s?": "American spelling",
    r"(?<!-)anew": "again, from scratch",
    r"mend(?:s|ed|ing)?": "fix, correct",
    r"so many(?! that)": "up to N, the first N, number of",
    r"by itself": "automatically, separately",
    r"is no (?:one of|run folder|number|list|section|whole|image|text)": "expected …, got …; is not a …",
    r"going on (?:from|with)|goes on (?:from|with)|go on (?:from|with)": "resume, continue",
    r"passed over": "skipped",
    r"left out from here on": "disabled for the rest of this run",
    r"its sum does not agree|cut short or altered": "truncated or corrupted (checksum mismatch)",
    r"is there a second time|is there already": "duplicate, exists",
    r"stands? in (?:the|a|its|another)|stands? at|stands? beside": "is in, is at",
    r"for ever": "forever",
    r"in silence": "silently",
    r"(?:one|a) (?:line|entry|row|character|class|batch|image|process|job|picture|core) an? "
    r"(?:line|image|rank|process|job|sample|epoch|class|step|split|row)": "per line, per image",
    r"(?:images|bytes|lines|steps|crops|pages|batches) an? (?:second|epoch|step|rank|line|page)": "per second",
    r"(?:left|leaves?|leaving) out": "skipped, dropped, omitted",
    r"(?:values?|weights?|expression) that cannot be(?! \w)": "invalid values",
    r"what is none|if it is none|(?:is|are) no part of": "is not a …, is not part of",
    r"told apart|learns? by heart|one's own": "distinguished, overfit, your own",
    r"wholly|brings|shall|thus|the like": "completely, maps, must, therefore, such as",
    r"(?-i:What it reaches|What there is|How fast|Where the keys went)": "a noun as the heading",
}
# A config key of `dataset=synth_rec`, which runs and overrides name; a key of Label Studio's files; names of asyncio.
KEY = re.compile(r"neighbours|was_cancelled|CancelledError|\.cancelled\(\)")


def shipped() -> list[Path]:
    """Files whose text a user or a contributor reads."""
    folders = [("ocrexp", "*.py"), ("conf", "*.yaml"), ("docs", "*.md"), ("scripts", "*.py")]
    files = [path for folder, pattern in folders for path in sorted((ROOT / folder).rglob(pattern))]
    return [*files, ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]


@cache
def texts() -> dict[Path, str]:
    """What is shipped, by path, without the keys."""
    return {path.relative_to(ROOT): KEY.sub("", path.read_text(encoding="utf-8")) for path in shipped()}


def found(text: str, pattern: str) -> list[str]:
    """Lines that contain the pattern as whole words."""
    word = re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE)
    if not word.search(text):
        return []
    return [
        f"{number}: {match[0]}" for number, line in enumerate(text.splitlines(), 1) for match in word.finditer(line)
    ]


@pytest.mark.parametrize(("pattern", "instead"), UNWANTED.items())
def test_no_file_contains(pattern: str, instead: str) -> None:
    hits = [f"{path}:{hit}" for path, text in texts().items() for hit in found(text, pattern)]
    assert not hits, f"write {instead}:\n" + "\n".join(hits)


def test_the_patterns_find_what_they_are_for() -> None:
    lines = ["the colour of a neighbour", "begin anew", "'medium' is no one of fast, slow", "it stands in the file"]
    lines += ["one character a line", "values that cannot be", "400 images a second", "rows without it left out"]
    assert all(any(found(line, pattern) for pattern in UNWANTED) for line in lines)
    assert not any(found(KEY.sub("", "neighbours: 0.1"), pattern) for pattern in UNWANTED)
