"""The DataModule of sentiment: what is in its batches, and why something is not."""

from __future__ import annotations

import csv
import pickle
import re

import numpy as np
import pytest
import torch
from sentiment_files import RATE, write_clip, write_csv, write_features, write_own_set

from videolit.data.sentiment import SentimentDataModule
from videolit.data.sentiment_records import SentimentSet, Utterance
from videolit.data.sentiment_samples import SentimentDataset, collate_utterances
from videolit.data.sound_transform import SoundTransform
from videolit.data.utterance_media import NoModality, crop_faces, read_picture, read_voice
from videolit.data.utterance_words import contexts, read_tokenizer, token_seconds
from videolit.data.writer import write_video
from videolit.ops.tokens import MARKS
from videolit.types import ClipSpec, InputError, UtteranceSpec

CLIP = ClipSpec(sampling="whole", num_frames=8, fps=5.0, size=16, resize=20)


@pytest.fixture(scope="module")
def own_set(tmp_path_factory):
    return write_own_set(tmp_path_factory.mktemp("sentiment") / "own")


def make(root, **settings):
    return SentimentDataModule(
        str(root), **{"clip": CLIP, "num_workers": 0, "batch_size": 4, **settings}
    )


def ready(root, **settings):
    data = make(root, **settings)
    data.setup()
    return data


def by_name(data):
    """Return each utterance's sample as a batch of its own, by the file's stem."""
    found = {}
    for split in ("train", "val", "test"):
        samples = data.dataset(split)
        for row in range(len(samples)):
            sample = samples[row]
            name = sample["video_id"].split(".")[0]
            found[name] = collate_utterances([sample]), sample
    return found


def same(one, two):
    """Tell whether two batches are equal in everything."""
    tensors = [k for k, v in one.items() if isinstance(v, torch.Tensor)]
    assert set(one) == set(two)
    return (
        all(torch.equal(one[k].nan_to_num(-9), two[k].nan_to_num(-9)) for k in tensors)
        and one["video_id"] == two["video_id"]
    )


def epoch(data, number):
    data.setup("fit")
    loader = data.train_dataloader()
    loader.sampler.set_epoch(number)
    return list(loader)


def test_the_contract_of_data_modules(own_set):
    pickle.loads(pickle.dumps(make(own_set)))
    first = epoch(make(own_set), 0)
    assert all(map(same, first, epoch(make(own_set, num_workers=2), 0)))
    assert not all(map(same, first, epoch(make(own_set), 1)))
    assert not all(map(same, first, epoch(make(own_set, seed=1), 0)))
    data = ready(own_set)
    for one, two in zip(data.val_dataloader(), make_val(own_set), strict=True):
        assert same(one, two)
    assert sum(data.class_counts) == len(data.part("train"))
    for split in ("train", "val", "test"):
        batches = list(getattr(data, f"{split}_dataloader")())
        seen = torch.cat([batch["index"] for batch in batches]).tolist()
        assert sorted(seen) == list(range(len(data.part(split))))
        for batch in batches:
            check_batch(batch)


def make_val(root):
    return ready(root).val_dataloader()


def check_batch(batch):
    size = len(batch["index"])
    assert batch["label"].dtype == torch.int64
    assert batch["score"].shape == (size,)
    assert batch["affect"].shape == (size, 2)
    assert batch["video"].dtype == torch.uint8
    assert batch["video"].shape[2:] == (3, 16, 16)
    assert batch["sound"].dtype == torch.float32
    assert batch["text"].dtype == torch.int64
    assert "sound_seconds" not in batch
    for name in ("video", "sound", "text"):
        mask = batch[f"{name}_mask"]
        assert mask.dtype == torch.bool
        assert mask.shape == batch[name].shape[:2]
        # Padding comes last, and is zero.
        assert not (mask[:, 1:] & ~mask[:, :-1]).any()
        assert not batch[name][~mask].any()
        for row in range(size):
            assert mask[row].any() != (name in batch["missing"][row])
    assert batch["sample_mask"].all()
    assert not any(batch["error"])


def test_what_is_missing_has_its_reason_and_the_rest_is_there(own_set):
    found = by_name(ready(own_set))
    reasons = {name: sample["missing"] for name, (_, sample) in found.items() if sample["missing"]}
    assert reasons == {
        "s0_0": {"sound": "the file has no sound"},
        "s0_1": {"sound": "the sound is silent"},
        "s1_0": {"video": "the file has sound only"},
        "line 5": {"video": "there is no file", "sound": "there is no file"},
        "s2_0": {"text": "there are no words"},
    }
    batch, _ = found["s3_1"]
    # 0.8 s at 5 frames a second, brighter each time, and a tone of 900 Hz.
    assert batch["video_mask"].sum() == 4
    torch.testing.assert_close(batch["video_seconds"][0], torch.tensor([0, 0.2, 0.4, 0.6]))
    levels = batch["video"][0].float().mean((1, 2, 3))
    torch.testing.assert_close(levels.diff(), torch.full((3,), 8.0), atol=2, rtol=0)
    spectrum = torch.fft.rfft(batch["sound"][0, : RATE // 2]).abs()
    assert int(spectrum.argmax()) * 2 == 900
    assert batch["text_mask"].all()
    assert batch["text_seconds"][0, 0] > 0
    assert batch["text_seconds"].max() < 0.85
    assert batch["label"].tolist() == [1]
    assert batch["affect"].tolist() == [[-0.5, 3 / 8]]


def test_the_utterance_s_own_part_of_a_file_is_read(tmp_path):
    write_clip(tmp_path / "a.mp4", 1, 0)
    whole = Utterance(id="a", path=str(tmp_path / "a.mp4"))
    part = Utterance(id="b", path=str(tmp_path / "a.mp4"), start=0.2, end=0.5)
    spec = ClipSpec(sampling="whole", num_frames=9, fps=10.0, size=16, resize=16)
    full, cut = (read_picture(each, spec, 30.0) for each in (whole, part))
    assert np.array_equal(cut.frames, full.frames[2:5])
    np.testing.assert_allclose(cut.seconds, [0, 0.1, 0.2], atol=1e-6)
    sound, some = (read_voice(each, RATE, 30.0).samples for each in (whole, part))
    assert np.array_equal(some, sound[3200:8000])
    assert len(read_voice(whole, RATE, 0.25).samples) == 4000
    assert np.array_equal(read_voice(whole, RATE, 0.25).samples, sound[:4000])
    assert len(read_picture(whole, spec, 0.25).frames) == 3
    open_end = Utterance(id="d", path=str(tmp_path / "a.mp4"), start=0.2)
    assert np.array_equal(read_voice(open_end, RATE, 0.25).samples, sound[3200:7200])
    assert len(read_picture(open_end, spec, 0.25).frames) == 3
    late = Utterance(id="c", path=str(tmp_path / "a.mp4"), start=5.0, end=6.0)
    with pytest.raises(NoModality, match=r"no frame between 5 s and 6 s; the last is at 0\.70 s"):
        read_picture(late, spec, 30.0)


def test_shorter_utterances_are_padded_and_masked(own_set):
    found = by_name(ready(own_set))
    pair = [found[name][1] for name in ("s4_0", "s4_1")]
    batch = collate_utterances(pair)
    assert batch["video_mask"].sum(1).tolist() == [3, 4]
    assert batch["sound_mask"].sum(1).tolist() == [len(one["values"]["sound"]) for one in pair]
    assert batch["sound_mask"][0].sum() < batch["sound_mask"][1].sum()
    for row, sample in enumerate(pair):
        frames = batch["video"][row][batch["video_mask"][row]]
        assert np.array_equal(frames.permute(0, 2, 3, 1).numpy(), sample["values"]["video"])
        for name in ("sound", "text"):
            real = batch[name][row][batch[f"{name}_mask"][row]]
            assert np.array_equal(real.numpy(), sample["values"][name])
        seconds = batch["text_seconds"][row][batch["text_mask"][row]]
        assert np.array_equal(seconds.numpy(), sample["seconds"]["text"])


def test_a_broken_file_is_a_reason_and_an_utterance_without_anything_an_error(tmp_path):
    write_clip(tmp_path / "good.mp4", 0, 0)
    for name, length in (("bad.mp4", 700), ("worse.mp4", 800)):
        (tmp_path / name).write_bytes((tmp_path / "good.mp4").read_bytes()[:length])
    write_csv(
        tmp_path / "manifest.csv",
        [
            {"path": "bad.mp4", "label": "glad", "text": "hello", "split": "train"},
            {"path": "worse.mp4", "label": "glad", "text": "", "split": "test"},
            {"path": "good.mp4", "label": "glad", "text": "hello", "split": "val"},
        ],
    )
    data = ready(tmp_path)
    sample = data.dataset("train")[0]
    assert set(sample["missing"]) == {"video", "sound"}
    assert "cannot be read" in sample["missing"]["video"]
    assert sample["counts"]
    lost = data.dataset("test")[0]
    assert not lost["counts"]
    assert lost["error"].startswith("video: the picture cannot be read")
    assert "text: there are no words" in lost["error"]
    assert lost["unread"][0]["path"] == "worse.mp4"
    batch = collate_utterances([lost])
    # One empty step, so that a model can compute the batch.
    assert batch["video_mask"].tolist() == [[True]]
    assert batch["sample_mask"].tolist() == [False]


def test_modalities_are_chosen_and_refused(own_set):
    data = ready(own_set, modalities=["text", "sound"])
    assert data.given_modalities == ("sound", "text")
    assert data.clip_spec is None
    assert "video" not in next(iter(data.val_dataloader()))
    with pytest.raises(InputError, match="some of video, sound, text, got smell"):
        make(own_set, modalities=["smell"])


def test_data_without_a_modality_says_what_it_has(tmp_path):
    rows = [{"path": "", "text": f"word {n}", "label": "a", "speaker": n} for n in range(9)]
    write_csv(tmp_path / "manifest.csv", rows)
    with pytest.raises(InputError, match="nothing in it has sound; it has text"):
        ready(tmp_path, modalities=["sound"])
    data = ready(tmp_path)
    assert data.given_modalities == ("text",)
    assert data.worker_count() == 0
    assert data.utterance_spec.tokenizer is not None
    assert len(read_tokenizer(data.utterance_spec.tokenizer)) == data.num_tokens


def words_only(folder, labels, **columns):
    """A set of words: one utterance for each label."""
    rows = [
        {"path": "", "text": f"word {n}", "label": label}
        | {name: values[n] for name, values in columns.items()}
        for n, label in enumerate(labels)
    ]
    write_csv(folder / "manifest.csv", rows)
    return ready(folder)


def test_a_division_by_chance_is_called_so(tmp_path):
    labels = ["a", "b"] * 8
    data = words_only(tmp_path / "none", labels)
    assert data.division == data.describe("train")["division"] == "by chance, seed 0"
    (note,) = data.describe("test")["notes"]
    assert note.startswith("no utterance names a group or speaker, so the same person may be in")
    speakers = [f"p{n // 2}" for n in range(14)] + ["", ""]
    data = words_only(tmp_path / "some", labels, speaker=speakers)
    assert data.division == "by group, 2 utterances without one by chance, seed 0"
    assert data.doubts() == []
    splits = ["train"] * 10 + ["val"] * 3 + ["test"] * 3
    data = words_only(tmp_path / "told", labels, split=splits)
    assert data.division == "published"
    assert data.doubts() == []


@pytest.mark.parametrize(
    ("labels", "doubt"),
    [
        (["joy"] * 16, "all labels are 'joy': there is nothing to tell apart"),
        (["joy"] * 8 + ["Joy"] * 8, "classes 'Joy' and 'joy' differ only by case or spaces"),
        (
            ["joy", "fear"] * 7 + ["joyy", "joy"],
            r"fewer than 3 utterances: 'joyy' \(1\): typing err",
        ),
        (
            ["joy", "fear"] * 7 + ["", ""],
            "2 of 16 utterances have no label, score, valence or arous",
        ),
    ],
)
def test_what_may_be_wrong_with_labels_is_told(labels, doubt, tmp_path):
    data = words_only(tmp_path, labels, speaker=[f"p{n}" for n in range(16)])
    (found,) = data.doubts()
    assert re.search(doubt, found)
    assert found in data.describe("train")["notes"]


def test_crops_around_faces_are_part_of_how_an_utterance_is_read(own_set):
    assert not ready(own_set).utterance_spec.faces
    found = ready(own_set, face=lambda frame: (0, 0, 9, 9))
    assert found.utterance_spec.faces
    assert "around faces" in found.describe("test")["protocol"]
    with (own_set / "manifest.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    sides = {"face_left": 1, "face_top": 1, "face_right": 9, "face_bottom": 9}
    table = own_set / "faces.csv"
    write_csv(table, [{**row, **sides} for row in rows])
    told = ready(table)
    assert told.utterance_spec.faces
    assert "around faces" in told.describe("test")["protocol"]
    assert not ready(table, modalities=["sound"]).utterance_spec.faces


def test_speakers_are_kept_apart_and_folds_test_each_once(own_set):
    tested = []
    for fold in range(4):
        data = ready(own_set, fold=fold, num_folds=4)
        speakers = {
            split: {each.speaker for each in data.part(split).utterances}
            for split in ("train", "val", "test")
        }
        assert not speakers["train"] & speakers["test"]
        assert not speakers["val"] & (speakers["train"] | speakers["test"])
        tested += sorted(speakers["test"])
        assert data.describe("test")["division"] == f"fold {fold} of 4 by group, seed 0"
    assert sorted(tested) == sorted(set(tested))
    assert len(tested) == 8
    with pytest.raises(InputError, match="fold must be in 0 to 3"):
        make(own_set, fold=4, num_folds=4)


def test_the_vocabulary_is_of_the_training_split_alone(own_set):
    data = ready(own_set, min_count=1)
    words = read_tokenizer(data.utterance_spec.tokenizer).tokens
    numbers = {u.text.split()[-1] for u in data.part("test").utterances if u.text}
    known = {u.text.split()[-1] for u in data.part("train").utterances if u.text}
    assert known <= set(words)
    assert not (numbers - known) & {word for word in words if len(word) > 1}
    other = ready(own_set, modalities=["text"])
    other.adopt_tokenizer(data.utterance_spec.tokenizer)
    assert other.num_tokens == data.num_tokens


def test_a_list_of_words_without_effect_is_told(own_set, tmp_path):
    lexicon = tmp_path / "rated.csv"
    lexicon.write_text("lovely,2\nsad,-2\n")
    plain, rated = ready(own_set), ready(own_set, lexicon=str(lexicon))
    assert rated.num_tokens == plain.num_tokens + len(MARKS)
    assert rated.describe("val")["tokenizer"] == f"{rated.num_tokens} tokens, 2 rated words"
    with pytest.warns(UserWarning, match="lexicon has no effect: the checkpoint's model"):
        rated.adopt_tokenizer(plain.utterance_spec.tokenizer)
    with pytest.warns(UserWarning, match="lexicon has no effect: no words are read"):
        ready(own_set, lexicon=str(lexicon), modalities=["sound"])


def test_the_dialogue_so_far_is_read_with_an_utterance(own_set):
    data = ready(own_set, context=2, modalities=["text"])
    one = by_name(data)["s4_1"][1]["values"]["text"].tolist()
    two = by_name(ready(own_set, modalities=["text"]))["s4_1"][1]["values"]["text"].tolist()
    assert one[: len(two)] == two
    assert one[len(two)] == data.separator
    before = by_name(data)["s4_0"][1]["values"]["text"].tolist()
    assert one[len(two) + 1 :] == before
    seconds = by_name(data)["s4_1"][1]["seconds"]["text"]
    assert (seconds[: len(two)] > 0).all()
    assert (seconds[len(two) :] == 0).all()


def test_context_is_what_was_said_just_before_oldest_first():
    rows = [
        Utterance(id=str(n), text=text, dialogue="d", turn=turn)
        for n, (turn, text) in enumerate([(2, "c"), (0, "a"), (1, "b"), (3, ""), (4, "e")])
    ]
    rows.append(Utterance(id="x", text="alone"))
    data = SentimentSet(name="n", root=".", utterances=tuple(rows))
    assert contexts(data, 2) == [(1, 2), (), (1,), (), (2, 0), ()]
    assert contexts(data, 0) == [()] * 6


def test_tokens_share_the_time_of_their_utterance():
    found = token_seconds([5, 6, 7, 8, 4, 9], 4, 2.0)
    np.testing.assert_allclose(found, [0.25, 0.75, 1.25, 1.75, 0, 0])
    np.testing.assert_allclose(token_seconds([5, 6], 4, None), [0.2, 0.6], rtol=1e-6)


def test_stored_features_are_handed_on_without_padding(tmp_path):
    path = write_features(tmp_path / "mosi" / "unaligned_50.pkl")
    data = ready(path)
    assert data.num_features == {"text": 768, "sound": 5, "video": 20}
    assert data.given_modalities == ("video", "sound", "text")
    assert data.clip_spec is None
    assert data.convention == "mosi"
    assert data.worker_count() == 0
    batch = collate_utterances([data.dataset("val")[n] for n in range(3)])
    assert batch["video"].shape == (3, 3, 20)
    assert batch["video_mask"].sum(1).tolist() == [1, 2, 3]
    assert batch["sound_seconds"].shape == (3, 3)
    assert data.train_targets().scores.tolist() == pytest.approx([-2, -1.2, -0.4, 0.4, 1.2, 2])


def test_one_modality_that_is_missing_changes_no_draw_of_another(own_set):
    whole = ready(own_set)
    some = ready(own_set, modalities=["sound"])
    one, two = whole.dataset("train"), some.dataset("train")
    at = next(n for n in range(len(one)) if "sound" not in one[n]["missing"])
    assert np.array_equal(one[at]["values"]["sound"], two[at]["values"]["sound"])


def test_training_changes_sound_and_picture_and_evaluation_does_not(own_set):
    data = ready(own_set)
    plain = SentimentDataset(
        data.part("train"),
        data.given_modalities,
        UtteranceSpec(),
        clip=CLIP,
        tokenizer=read_tokenizer(data.utterance_spec.tokenizer),
    )
    changed = data.dataset("train")
    at = next(n for n in range(len(plain)) if not plain[n]["missing"])
    for name in ("video", "sound"):
        one, two = plain[at]["values"][name], changed[at]["values"][name]
        assert one.shape == two.shape
        assert not np.array_equal(one, two)
    assert np.array_equal(plain[at]["values"]["text"], changed[at]["values"]["text"])


def test_sound_transform_draws_from_the_generator_only():
    samples = np.sin(np.arange(4000, dtype=np.float32) / 9) / 3
    transform = SoundTransform(gain=3.0, noise=1.0, shift=0.01)
    kept = samples.copy()
    one, two, three = (transform(samples, RATE, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert np.array_equal(samples, kept)
    assert np.array_equal(one, two)
    assert not np.array_equal(one, three)
    assert one.dtype == np.float32
    nothing = SoundTransform(gain=0.0, noise=0.0)
    assert np.array_equal(nothing(samples, RATE, np.random.default_rng(0)), samples)
    with pytest.raises(InputError, match="noise in .0, 1"):
        SoundTransform(noise=2.0)


def test_lost_sound_is_whole_pieces_of_a_drawn_share():
    samples = np.ones(20 * 800, np.float32)
    transform = SoundTransform(gain=0.0, noise=0.0, lost=0.8)
    shares = []
    for seed in range(40):
        found = transform(samples, 16_000, np.random.default_rng(seed)).reshape(20, 800)
        # A piece of 50 ms is there or not, and at least one is.
        assert set(found.mean(1).tolist()) <= {0.0, 1.0}
        shares.append(1 - float(found.mean()))
    assert max(shares) < 1
    assert 0.3 < np.mean(shares) < 0.5
    assert np.std(shares) > 0.15
    with pytest.raises(InputError, match="lost must be a share"):
        SoundTransform(lost=1.5)


def test_a_face_takes_the_place_of_the_frame():
    frames = [np.zeros((40, 60, 3), np.uint8) for _ in range(2)]
    for number, frame in enumerate(frames):
        frame[10:18, 30 + number : 38 + number] = 255

    def find(frame):
        rows, columns = np.nonzero(frame[..., 0])
        return float(columns.min()), float(rows.min()), columns.max() + 1.0, rows.max() + 1.0

    found = crop_faces(frames, find)
    # Nine pixels wide over both frames, and a quarter more.
    assert {frame.shape for frame in found} == {(11, 11, 3)}
    assert all(frame[..., 0].sum() == 64 * 255 for frame in found)
    assert crop_faces(frames, lambda frame: None)[0].shape == (40, 60, 3)
    with pytest.raises(InputError, match="within a frame of 60×40"):
        crop_faces(frames, lambda frame: (70.0, 0.0, 80.0, 9.0))


def test_a_face_that_the_table_tells_is_cut_out(tmp_path):
    frames = np.full((6, 40, 60, 3), 30, np.uint8)
    frames[:, 8:24, 32:48] = 230
    write_video(tmp_path / "a.mp4", frames, 10, options={"crf": "1"})
    box = {"face_left": 34, "face_top": 10, "face_right": 46, "face_bottom": 22}
    row = {"path": "a.mp4", "label": "glad", "split": "test"}
    write_csv(tmp_path / "manifest.csv", [{**row, **box}])
    sample = ready(tmp_path).dataset("test")[0]
    assert sample["values"]["video"].mean() > 220
    write_csv(tmp_path / "manifest.csv", [row])
    assert ready(tmp_path).dataset("test")[0]["values"]["video"].mean() < 100
    write_csv(tmp_path / "manifest.csv", [{**row, **box, "face_top": ""}])
    with pytest.raises(InputError, match="line 2, face: expected face_left.*found 3 of them"):
        ready(tmp_path)
    write_csv(tmp_path / "manifest.csv", [{**row, **box, "face_top": 30}])
    with pytest.raises(InputError, match="0 ≤ left < right and 0 ≤ top < bottom"):
        ready(tmp_path)


def test_faces_that_cannot_be_used_are_told_with_their_file(tmp_path):
    write_video(tmp_path / "a.mp4", np.zeros((6, 40, 60, 3), np.uint8), 10)
    clip = ClipSpec(num_frames=2, size=16, resize=16)
    whole = {"path": str(tmp_path / "a.mp4"), "id": "a.mp4[0,1]"}
    far = Utterance(**whole, face=(2000.0, 0.0, 2100.0, 90.0))
    with pytest.raises(InputError, match=r"a\.mp4, utterance 'a\.mp4\[0,1\]': .* of 60×40"):
        read_picture(far, clip, 8.0)

    def broken(frame):
        raise RuntimeError("no weights")

    said = r"a\.mp4, utterance .*: the face finder failed with RuntimeError: no weights"
    with pytest.raises(InputError, match=said):
        read_picture(Utterance(**whole), clip, 8.0, face=broken)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"class_balance": 2.0}, "class_balance must lie"),
        ({"clip": ClipSpec(num_views=2)}, "one view and one crop, got 2 and 1"),
        ({"context": -1}, "context must be at least 0"),
        ({"max_seconds": 0.0}, "max_seconds must be above 0"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"tokenizer": "bert", "lexicon": "vader"}, "leave out tokenizer or lexicon"),
    ],
)
def test_settings_out_of_range_are_refused(settings, said):
    with pytest.raises(InputError, match=said):
        make("nowhere", **settings)
