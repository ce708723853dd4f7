"""MMSA's feature files: schema, splits, lengths and hashes."""

import hashlib
import pickle

import numpy as np
import pytest

from videolit.data.layouts import mmsa as module
from videolit.data.layouts.mmsa import mmsa
from videolit.data.sentiment_splits import split_sentiment
from videolit.types import InputError

SIZES = {"train": 6, "valid": 2, "test": 3}
WIDTHS = {"text": 8, "audio": 5, "vision": 20}
STEPS = {"text": 4, "audio": 7, "vision": 6}


def part(name, count, first, *, aligned=False, sims=False):
    rng = np.random.default_rng(first)
    steps = dict.fromkeys(STEPS, 4) if aligned else STEPS
    found = {
        "id": [f"v{(first + i) // 2}$_${i}" for i in range(count)],
        "raw_text": [f"{name} words {i}" for i in range(count)],
        "text_bert": np.zeros((count, 3, 4), np.float32),
        "annotations": ["Negative", "Neutral", "Positive"] * count,
        "regression_labels": np.linspace(-1, 1, count),
        "classification_labels": np.zeros(count),
    }
    found["annotations"] = found["annotations"][:count]
    for key, width in WIDTHS.items():
        found[key] = rng.normal(size=(count, steps[key], width)).astype(np.float32)
    found["text_bert"][:, 1, :3] = 1
    if not aligned:
        found["audio_lengths"] = [1 + i % 7 for i in range(count)]
        found["vision_lengths"] = [1 + i % 6 for i in range(count)]
    if sims:
        for letter in "TAV":
            found[f"regression_labels_{letter}"] = np.full(count, 0.2)
    return found


def content(**options):
    # Names of videos differ between the parts.
    begin = {"train": 0, "valid": 100, "test": 200}
    return {name: part(name, size, begin[name], **options) for name, size in SIZES.items()}


def write(path, what):
    path.write_bytes(pickle.dumps(what, 4))
    return path


def test_rows_scores_and_splits_are_read(tmp_path):
    what = content()
    data = mmsa(write(tmp_path / "unaligned_50.pkl", what))
    assert (data.name, data.convention, data.score_range) == ("mosi", "mosi", (-3, 3))
    assert [len(data.rows(split)) for split in ("train", "val", "test")] == [6, 2, 3]
    first = data.utterances[0]
    assert (first.id, first.text, first.group, first.turn) == ("v0$_$0", "train words 0", "v0", 0)
    assert (first.label, first.score, first.path, first.split) == ("Negative", -1, None, "train")
    assert data.class_names == ("Negative", "Neutral", "Positive")
    assert data.features.num_features == {"text": 8, "sound": 5, "video": 20}
    splits = split_sentiment(data)
    assert splits.part("test").ids == tuple(what["test"]["id"])


def test_stored_features_come_without_padding_and_infinity(tmp_path):
    what = content()
    what["test"]["audio"][1, 0, 2] = -np.inf
    data = mmsa(write(tmp_path / "unaligned_50.pkl", what))
    found = data.features.read(what["test"]["id"][1])
    assert {name: array.shape for name, array in found.items()} == {
        "text": (3, 8),
        "sound": (2, 5),
        "video": (2, 20),
    }
    expected = what["test"]["audio"][1, :2].copy()
    expected[0, 2] = 0
    np.testing.assert_array_equal(found["sound"], expected)
    # A selection keeps them.
    assert data.select([0]).features.read("v0$_$0")["video"].shape == (1, 20)
    with pytest.raises(InputError, match="no stored features of 'v9'"):
        data.features.read("v9")


def test_aligned_files_tell_the_length_by_their_words(tmp_path):
    what = content(aligned=True)
    for values in what.values():
        values["audio"][:, 3:] = 0
    data = mmsa(write(tmp_path / "aligned_50.pkl", what))
    found = data.features.read("v0$_$0")
    # The picture goes on behind the last word: no padding.
    assert {name: len(array) for name, array in found.items()} == {
        "text": 3,
        "sound": 3,
        "video": 4,
    }


def test_sims_has_scores_of_each_modality(tmp_path):
    what = content(sims=True)
    for values in what.values():
        values["audio"] = np.zeros((len(values["id"]), 7, 9), np.float32)
    data = mmsa(write(tmp_path / "unaligned_39.pkl", what))
    assert (data.name, data.score_range) == ("sims", (-1, 1))
    assert data.utterances[0].modality_scores == {"text": 0.2, "sound": 0.2, "video": 0.2}
    assert any("several splits" in note for note in data.notes)


def test_the_hash_decides_and_is_checked(tmp_path, monkeypatch):
    path = write(tmp_path / "unaligned_50.pkl", content())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert any(digest in note for note in mmsa(path).notes)
    monkeypatch.setitem(module.PUBLISHED, digest, ("mosei", "unaligned_50"))
    data = mmsa(path, sha256=digest.upper())
    assert data.name == "mosei"
    assert not any(digest in note for note in data.notes)
    with pytest.raises(InputError, match=f"expected the SHA-256 {'0' * 64}, found {digest}"):
        mmsa(path, sha256="0" * 64)


def drop(key):
    return lambda what: what["valid"].pop(key)


def put(key, value):
    return lambda what: what["valid"].update({key: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda what: what.pop("valid"), "expected the keys train, valid, test, found train, test"),
        (put("id", [1, 2]), "valid, id: expected a list of texts"),
        (put("raw_text", ["a"]), "valid, raw_text: expected 2 texts, as ids, found 1"),
        (drop("regression_labels"), "regression_labels: expected 2 finite numbers.*found nothing"),
        (put("regression_labels", [0.0, np.nan]), "expected 2 finite numbers"),
        (
            put("regression_labels", [0.0, 3.5]),
            r"valid, v50\$_\$1, regression_labels: expected -3 to 3, found 3.5; is this another",
        ),
        (put("annotations", ["Good", "Neutral"]), "annotations: expected Negative.*found 'Good'"),
        (drop("vision"), r"valid, vision: expected numbers of shape \(2, steps, width\)"),
        (put("audio", np.zeros((3, 7, 5))), r"audio: expected .* found \(3, 7, 5\)"),
        (put("audio", np.zeros((2, 7, 6))), "valid, sound: expected 5 numbers a step"),
        (put("audio_lengths", [1, 8]), "lengths of sound: expected 0 to 7, found up to 8"),
        (put("id", ["v0$_$0", "v50$_$1"]), "two utterances have the name"),
    ],
)
def test_what_does_not_fit_is_told(tmp_path, change, message):
    what = content()
    change(what)
    with pytest.raises(InputError, match=message):
        mmsa(write(tmp_path / "unaligned_50.pkl", what))


def test_scale_of_another_set_is_refused(tmp_path):
    path = write(tmp_path / "a.pkl", content())
    assert mmsa(path, "sims").score_range == (-1, 1)
    what = content()
    what["train"]["regression_labels"][0] = -2
    with pytest.raises(InputError, match="expected -1 to 1, found -2; is this another data set"):
        mmsa(write(path, what), "sims")
