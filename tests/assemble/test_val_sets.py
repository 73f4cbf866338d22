"""`dataset.val_sets`: named validation sets from lists beside the data set's own, or from other places."""

import cv2
import numpy as np
import pytest

from ocrexp.assemble.data import build_source, build_val_sets
from ocrexp.config.check import check
from ocrexp.config.compose import compose
from ocrexp.config.plain import label_digest
from ocrexp.errors import ConfigError


@pytest.fixture
def data(tmp_path):
    """Two folders with lists of texts."""
    for folder, texts in (("shop", ["a", "b"]), ("street photos", ["c"])):
        (tmp_path / folder).mkdir()
        for text in texts:
            cv2.imwrite(str(tmp_path / folder / f"{text}.png"), np.full((32, 64, 3), 255, np.uint8))
    (tmp_path / "shop" / "train_list.txt").write_text("a.png\ta\n")
    (tmp_path / "shop" / "val_list.txt").write_text("b.png\tb\n")
    (tmp_path / "shop" / "receipts.txt").write_text("a.png\ta\nb.png\tb\n")
    (tmp_path / "street photos" / "val_list.txt").write_text("c.png\tc\n")
    return tmp_path


def composed(data, *overrides):
    config = compose("train", ["model=crnn_mbv3", "dataset=rec_list", f"dataset.root={data / 'shop'}", *overrides])
    check(config)
    return config


def test_a_set_is_a_list_or_the_keys_that_differ(data):
    sets = f"dataset.val_sets={{receipts: receipts.txt, street: {{root: '{data / 'street photos'}'}}}}"
    config = composed(data, sets)
    found = build_val_sets(config.dataset)
    texts = {name: [record.texts[0] for record in source.val_records()] for name, source in found.items()}
    assert texts == {"receipts": ["a", "b"], "street": ["c"]}
    assert [record.texts[0] for record in build_source(config.dataset).val_records()] == ["b"]
    assert label_digest(config) == label_digest(composed(data))  # they change nothing of what is learned


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("[a.txt]", ["dataset.val_sets", "a.txt"]),
        ("{val: receipts.txt}", ["dataset.val_sets.val"]),
        ("{2024: receipts.txt}", ["dataset.val_sets.2024"]),
    ],
)
def test_what_cannot_be_a_set_is_one_line(data, value, parts):
    config = composed(data, f"dataset.val_sets={value}")
    with pytest.raises(ConfigError) as error:
        build_val_sets(config.dataset)
    assert all(part in str(error.value) for part in parts)
