"""Published data sets of sentiment and emotion as their authors lay them out, and one's own."""

import csv
import shutil

import pytest

from videolit.data.layouts.affect_common import read_table, read_text
from videolit.data.sentiment import SentimentDataModule
from videolit.data.sentiment_sets import read_sentiment_set
from videolit.data.sentiment_splits import split_sentiment
from videolit.types import InputError


def touch(root, *names, content=b"media"):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content + str(root / name).encode())


def write_rows(path, header, rows, delimiter=",", encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file, delimiter=delimiter).writerows([header, *rows])
    return path


def by_id(data):
    return {utterance.id: utterance for utterance in data.utterances}


# ---- tables


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"a\xe2\x80\x99s", "a’s"),
        (b"\xef\xbb\xbfa\xe2\x80\x99s", "a’s"),
        ("a’s".encode("utf-16"), "a’s"),
        (b"a\x92s \x85", "a’s …"),
        # Windows-1252 that was once read as Latin-1 and written as UTF-8.
        ("a\x92s \x97".encode(), "a’s —"),
        ("café \x81".encode(), "café \x81"),
    ],
)
def test_texts_in_several_encodings_are_the_same(tmp_path, content, text):
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    assert read_text(path) == text


def test_tables_tell_the_line_that_is_wrong(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('x,y\n1,"two\nlines"\n\n3\n')
    rows = read_table(path, ("x", "y"))
    assert next(rows) == ("line 3", {"x": "1", "y": "two\nlines"})
    with pytest.raises(InputError, match=r"a\.csv, line 5: expected 2 cells.*found 1"):
        next(rows)
    with pytest.raises(InputError, match="line 1: expected the columns x, z, found x, y"):
        list(read_table(path, ("x", "z")))
    path.write_text("")
    with pytest.raises(InputError, match="found nothing"):
        list(read_table(path, ("x",)))


@pytest.mark.parametrize(
    ("header", "row", "text"),
    [
        ("path;label;text", "a.wav;glad;well, yes", "well, yes"),
        ("path\tlabel\ttext", "a.wav\tglad\ta; b", "a; b"),
        ("path,label,text", "a.wav,glad,a;b;c", "a;b;c"),
        ("label,path,a;b;text", "glad,a.wav,x", None),
    ],
)
def test_a_manifest_may_have_semicolons_or_tabs(header, row, text, tmp_path):
    (tmp_path / "a.wav").write_bytes(b"")
    (tmp_path / "manifest.csv").write_text(f"{header}\r\n{row}\r\n")
    (found,) = read_sentiment_set(tmp_path).utterances
    assert (found.id, found.label, found.text or None) == ("a.wav", "glad", text)
    (tmp_path / "manifest.csv").write_text("file;label\na.wav;glad\n")
    with pytest.raises(InputError, match="expected a column path, found file;label"):
        read_sentiment_set(tmp_path, "folder")


# ---- MELD

MELD_HEADER = [
    *("Sr No.", "Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID"),
    *("Season", "Episode", "StartTime", "EndTime"),
]
MELD_TIMES = ["4", "7", "00:20:57,256", "0:21:00.49"]
MELD_FILES = {
    "train": ("train_sent_emo.csv", "train_splits"),
    "val": ("dev_sent_emo.csv", "dev_splits_complete"),
    "test": ("test_sent_emo.csv", "output_repeated_splits_test"),
}
MELD_ROWS = {
    "train": [("Why?", "Ross", "surprise", "negative", 0, 1), ("Hey", "Joey", "joy", "positive", 0, 0),
              ("…", "Phoebe", "neutral", "neutral", 125, 3)],
    "val": [("No", "Ross", "anger", "negative", 0, 0), ("Oh", "Ross", "fear", "negative", 110, 7)],
    "test": [("Yes", "Ross", "sadness", "negative", 0, 0), ("Um", "All", "disgust", "negative", 38, 4)],
}  # fmt: skip


def write_meld(root, *, rows=MELD_ROWS, clips=True):
    for split, (table, folder) in MELD_FILES.items():
        lines = [
            [str(number), *map(str, cells), *MELD_TIMES]
            for number, cells in enumerate(rows[split], 1)
        ]
        write_rows(root / table, MELD_HEADER, lines)
        if clips:
            touch(root / folder, *(f"dia{row[4]}_utt{row[5]}.mp4" for row in rows[split]))
            # The archives have files that no row names.
            touch(root / folder, "final_videos_testdia101_utt0.mp4", "dia66_utt9.mp4")
    return root


def test_meld_counts_rows_and_names_bad_clips(tmp_path):
    write_meld(tmp_path)
    (tmp_path / "dev_splits_complete/dia110_utt7.mp4").unlink()
    data = read_sentiment_set(tmp_path)
    assert (data.name, len(data), data.convention) == ("meld", 7, "emotion")
    assert data.class_names == (
        *("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"),
    )
    found = by_id(data)
    first = found["train/dia0_utt1"]
    assert first.path == str(tmp_path / "train_splits/dia0_utt1.mp4")
    assert (first.text, first.speaker, first.label, first.turn) == ("Why?", "Ross", "surprise", 1)
    assert (first.group, first.split, first.start) == ("train/dia0", "train", None)
    bad = {name: each.problem for name, each in found.items() if each.path is None}
    assert bad == {
        "train/dia125_utt3": "the published clip cannot be decoded",
        "val/dia110_utt7": "the clip is missing from the published archive",
        "test/dia38_utt4": "the published clip is cut wrongly and lasts 305 s",
    }
    assert found["train/dia125_utt3"].text == "…"
    # Dialogues are numbered anew in each split.
    dialogues = {
        name: [data.utterances[r].text for r in rows] for name, rows in data.dialogues().items()
    }
    assert dialogues["train/dia0"] == ["Hey", "Why?"]
    assert dialogues["test/dia0"] == ["Yes"]
    # Ross is in all three, as published.
    assert len(split_sentiment(data).test) == 2


def test_meld_without_clips_has_words(tmp_path):
    data = read_sentiment_set(write_meld(tmp_path, clips=False), target="sentiment")
    assert data.class_names == ("neutral", "positive", "negative")
    assert {utterance.path for utterance in data.utterances} == {None}
    assert {utterance.problem for utterance in data.utterances} == {""}
    assert data.class_counts() == {"neutral": 1, "positive": 1, "negative": 5}
    assert any("no folders of clips" in note for note in data.notes)


def test_meld_lies_below_data_in_its_repository(tmp_path):
    write_meld(tmp_path / "data/MELD", clips=False)
    assert read_sentiment_set(tmp_path).name == "meld"


def test_meld_refuses_missing_clips_and_wrong_rows(tmp_path):
    write_meld(tmp_path)
    (tmp_path / "train_splits/dia0_utt0.mp4").unlink()
    with pytest.raises(
        InputError, match="1 clips of 7 are missing beside the known ones: train/dia0_utt0"
    ):
        read_sentiment_set(tmp_path)
    data = read_sentiment_set(tmp_path, allow_missing=True)
    assert by_id(data)["train/dia0_utt0"].problem == "the clip is missing"
    wrong = {
        **MELD_ROWS,
        "val": [("No", "Ross", "rage", "negative", 0, 0), ("a", "b", "joy", "positive", "x", 0)],
    }
    with pytest.raises(InputError) as told:
        read_sentiment_set(write_meld(tmp_path / "wrong", rows=wrong))
    assert "dev_sent_emo.csv:\nline 2, Emotion: expected neutral" in str(told.value)
    assert "line 3, Dialogue_ID and Utterance_ID: expected numbers, found 'x' and '0'" in str(
        told.value
    )
    twice = {**MELD_ROWS, "val": [MELD_ROWS["val"][0]] * 2}
    with pytest.raises(InputError, match="line 3: dia0_utt0 stands there twice"):
        read_sentiment_set(write_meld(tmp_path / "twice", rows=twice))
    (tmp_path / "twice/dev_sent_emo.csv").unlink()
    with pytest.raises(InputError, match=r"has no dev_sent_emo\.csv: the tables of MELD"):
        read_sentiment_set(tmp_path / "twice")


# ---- acted speech


def test_ravdess_codes(tmp_path):
    touch(
        tmp_path,
        "Actor_05/01-01-05-02-01-02-05.mp4",
        "Actor_05/02-01-05-02-01-02-05.mp4",
        "Actor_05/03-01-05-02-01-02-05.wav",
        "Actor_24/03-01-01-01-02-01-24.wav",
        "Actor_24/03-02-08-01-02-01-24.flac",
    )
    data = read_sentiment_set(tmp_path)
    assert (data.name, data.ids) == ("ravdess", ("01-01-05-02-01-02-05",))
    first = data.utterances[0]
    assert (first.label, first.speaker, first.group) == ("angry", "05", "05")
    assert first.text == "Kids are talking by the door"
    sound = read_sentiment_set(tmp_path, media="sound")
    assert [each.label for each in sound.utterances] == ["angry", "neutral"]
    assert sound.class_names[7] == "surprised"
    assert len(read_sentiment_set(tmp_path, media="sound", channel="both")) == 3
    assert read_sentiment_set(tmp_path, media="video").ids == ("02-01-05-02-01-02-05",)
    song = read_sentiment_set(tmp_path, channel="song")
    assert (song.ids, song.class_names) == (("03-02-08-01-02-01-24",), ("surprised",))
    with pytest.raises(
        InputError, match="no file of media video and channel song; there are sound"
    ):
        read_sentiment_set(tmp_path, media="video", channel="song")


@pytest.mark.parametrize(
    "name",
    [
        "04-01-05-02-01-02-05",
        "01-01-09-02-01-02-05",
        "01-01-05-02-01-02-25",
        "01-01-01-02-01-01-01",
    ],
)
def test_ravdess_refuses_codes_that_do_not_exist(tmp_path, name):
    touch(tmp_path, "01-01-05-02-01-02-05.mp4", f"{name}.mp4")
    with pytest.raises(
        InputError, match=rf"1 of 2 files are not called as those of RAVDESS.*{name}"
    ):
        read_sentiment_set(tmp_path, "ravdess")


def test_cremad_prefers_picture_and_keeps_broken_recordings(tmp_path):
    names = (
        "1001_DFA_ANG_XX",
        "1076_MTI_NEU_XX",
        "1064_IEO_DIS_MD",
        "1064_IEO_DIS_LO",
        "1040_ITH_SAD_X",
    )
    touch(tmp_path / "AudioWAV", *(f"{name}.wav" for name in names))
    data = read_sentiment_set(tmp_path)
    assert (data.name, len(data)) == ("cremad", 5)
    found = by_id(data)
    first = found["1001_DFA_ANG_XX"]
    assert (first.label, first.group, first.text) == ("anger", "1001", "Don't forget a jacket")
    assert [name for name, each in found.items() if each.path is None] == [
        "1064_IEO_DIS_MD",
        "1076_MTI_NEU_XX",
    ]
    assert found["1064_IEO_DIS_LO"].problem == ""
    touch(tmp_path / "VideoFlash", "1001_DFA_ANG_XX.flv")
    assert read_sentiment_set(tmp_path, "cremad").utterances[0].path.endswith(".flv")


def test_cremad_tells_pointers_of_git_lfs(tmp_path):
    touch(tmp_path, "1001_DFA_ANG_XX.wav")
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 72000\n"
    (tmp_path / "1002_DFA_ANG_XX.wav").write_bytes(pointer)
    with pytest.raises(
        InputError, match=r"1 of 2 files hold no media.*1002_DFA_ANG_XX.*git lfs pull"
    ):
        read_sentiment_set(tmp_path)


def test_a_second_copy_of_the_recordings_is_told(tmp_path):
    """One archive of RAVDESS that people pass on has all folders twice."""
    name = "Actor_05/03-01-05-02-01-02-05.wav"
    touch(tmp_path, name, f"audio_speech_actors_01-24/{name}")
    with pytest.raises(InputError, match=r"two utterances have the name '03-01-.*wav and /.*wav"):
        read_sentiment_set(tmp_path)


def test_emodb_codes(tmp_path):
    touch(tmp_path / "wav", "03a01Fa.wav", "16b10Wb.wav", "08a02Nc.wav")
    data = read_sentiment_set(tmp_path)
    assert data.name == "emodb"
    found = {each.id: (each.label, each.group) for each in data.utterances}
    assert found == {
        "03a01Fa": ("happiness", "03"),
        "08a02Nc": ("neutral", "08"),
        "16b10Wb": ("anger", "16"),
    }


def test_savee_codes_with_the_speaker_in_the_name_or_the_folder(tmp_path):
    touch(tmp_path / "AudioData", "DC/sa01.wav", "KL/a15.wav")
    data = read_sentiment_set(tmp_path)
    assert data.name == "savee"
    found = {each.id: (each.label, each.speaker) for each in data.utterances}
    assert found == {"DC_sa01": ("sadness", "DC"), "KL_a15": ("anger", "KL")}
    touch(tmp_path / "flat", "JE_su03.wav", "JK_n30.wav")
    flat = read_sentiment_set(tmp_path / "flat")
    assert [(each.id, each.label) for each in flat.utterances] == [
        ("JE_su03", "surprise"),
        ("JK_n30", "neutral"),
    ]
    touch(tmp_path / "flat", "XX_a01.wav")
    with pytest.raises(InputError, match=r"not called as those of SAVEE.*XX_a01\.wav"):
        read_sentiment_set(tmp_path / "flat", "savee")


def test_acted_sets_need_files(tmp_path):
    with pytest.raises(
        InputError, match="expected the files of EMO-DB.*found no video or sound file"
    ):
        read_sentiment_set(tmp_path, "emodb")


# ---- MOSI, MOSEI, CH-SIMS

MOSI_HEADER = ["video_id", "clip_id", "text", "label", "label_T", "label_A", "label_V", "annotation", "mode"]  # fmt: skip


def write_mosi(root, rows):
    return write_rows(root / "label.csv", MOSI_HEADER, rows).parent


def test_mosi_has_scores_and_published_splits(tmp_path):
    root = write_mosi(
        tmp_path / "MOSI",
        [
            ["03bSnISJMiM", "1", "A LOT OF SAD PARTS", "-2.4", "", "", "", "Negative", "train"],
            ["03bSnISJMiM", "2", "IT WAS, OK", "0", "", "", "", "Neutral", "train"],
            ["_dI--eQ6qVU", "10", "GOOD", "3.0", "", "", "", "Positive", "valid"],
        ],
    )
    touch(root, "Raw/03bSnISJMiM/1.mp4", "Raw/03bSnISJMiM/2.mp4", "Raw/_dI--eQ6qVU/10.mp4")
    data = read_sentiment_set(root)
    assert (data.name, data.convention, data.score_range) == ("mosi", "mosi", (-3, 3))
    first, second, last = data.utterances
    assert first.path == str(root / "Raw/03bSnISJMiM/1.mp4")
    assert (first.score, first.label, first.group) == (
        pytest.approx(-2.4),
        "Negative",
        "03bSnISJMiM",
    )
    assert (second.text, second.modality_scores) == ("IT WAS, OK", {})
    assert (last.split, last.turn) == ("val", 10)
    assert read_sentiment_set(root, scale="mosei").name == "mosei"


def test_sims_has_scores_of_each_modality_and_four_digits(tmp_path):
    row = ["video_0001", "3", "啊", "-0.4", "0.2", "-0.6", "-0.8", "Negative", "test"]
    root = write_mosi(tmp_path, [row])
    touch(root, "Raw/video_0001/0003.mp4")
    data = read_sentiment_set(root)
    assert (data.name, data.score_range) == ("sims", (-1, 1))
    (only,) = data.utterances
    assert only.path.endswith("0003.mp4")
    assert only.modality_scores == {"text": 0.2, "sound": -0.6, "video": -0.8}


def test_mosi_tells_every_wrong_cell(tmp_path):
    good = ["a", "1", "x", "1", "", "", "", "Positive", "train"]
    rows = [
        good,
        [*good[:3], "4", *good[4:]],
        ["a", "2", "x", "?", "", "", "", "Positive", "dev"],
        ["a", "3", "x", "1", "", "", "", "Good", "train"],
        good,
    ]
    root = write_mosi(tmp_path, rows)
    with pytest.raises(InputError) as told:
        read_sentiment_set(root)
    for message in (
        "line 3, label: expected -3 to 3, found 4",
        "line 4, mode: expected train, valid, test, found 'dev'",
        "line 4, label: expected a number, found '?'",
        "line 5, annotation: expected Negative, Neutral, Positive, found 'Good'",
        "line 6, clip_id: a$_$1 stands there twice",
    ):
        assert message in str(told.value)


def test_mosi_refuses_missing_clips(tmp_path):
    root = write_mosi(tmp_path, [["a", "1", "x", "1", "", "", "", "", "train"]])
    with pytest.raises(InputError, match=r"1 of 1 clips are not at Raw/<video_id>.*a\$_\$1"):
        read_sentiment_set(root)
    data = read_sentiment_set(root, allow_missing=True)
    assert (data.utterances[0].path, data.class_names) == (None, ())


# ---- videos of the web


def test_video_emotion_lists(tmp_path):
    train = ["Anger/RoadRage10", "Trust/My.Trust[HD].wmv", "Joy/4367217114_17e2_700"]
    (tmp_path / "trainlist01.txt").write_text("\n".join(train) + "\n")
    (tmp_path / "testlist01.txt").write_text("Fear/Double(SilentTerror)\n")
    touch(
        tmp_path / "videos",
        "Anger/RoadRage10.mp4",
        "Trust/My.Trust[HD].wmv",
        "Joy/4367217114_17e2_700.flv",
        "Fear/Double(SilentTerror).mp4",
    )
    data = read_sentiment_set(tmp_path)
    assert (data.name, len(data.class_names)) == ("videoemotion8", 8)
    assert [each.split for each in data.utterances] == ["train", "train", "train", "test"]
    assert all(each.path for each in data.utterances)
    assert data.utterances[1].path.endswith("My.Trust[HD].wmv")


def test_ekman6_lists_have_numbers_of_classes(tmp_path):
    (tmp_path / "ek6").mkdir()
    (tmp_path / "ek6/trainlist01.txt").write_text("anger/515 1\nsurprise/517 6\n")
    (tmp_path / "ek6/testlist01.txt").write_text("sadness/3 5\n")
    touch(tmp_path, "anger/515.mp4", "surprise/517.mp4")
    with pytest.raises(InputError, match="lacks 1 of 3 videos of the lists: sadness/3"):
        read_sentiment_set(tmp_path)
    data = read_sentiment_set(tmp_path, allow_missing=True)
    assert (data.name, data.ids) == ("ekman6", ("anger/515", "surprise/517", "sadness/3"))
    (tmp_path / "ek6/testlist01.txt").write_text("anger/515 1\nboredom/1 7\n")
    with pytest.raises(InputError) as told:
        read_sentiment_set(tmp_path)
    assert "line 1: anger/515 stands there twice, before in train" in str(told.value)
    assert "line 2: expected anger/<name>" in str(told.value)


# ---- films

LIRIS_HEADER = [
    *("id", "name", "valenceRank", "arousalRank", "valenceValue", "arousalValue"),
    *("valenceVariance", "arousalVariance"),
]


def write_liris(root, sets=("0", "1", "2"), films=("A.mp4", "B.mp4", "C.mp4")):
    names = [f"ACCEDE0000{i}.mp4" for i in range(3)]
    rows = [[i, name, 1, 2, 2.76 + i / 10, 1.37, 0.1, 0.1] for i, name in enumerate(names)]
    write_rows(root / "annotations/ACCEDEranking.txt", LIRIS_HEADER, rows, "\t")
    rows = [[i, *pair] for i, pair in enumerate(zip(names, sets, strict=True))]
    write_rows(root / "annotations/ACCEDEsets.txt", ["id", "name", "set"], rows, "\t")
    media = "".join(
        f"<media><id>{i}</id><name>{name}</name><movie>{film}</movie><start>833</start></media>"
        for i, (name, film) in enumerate(zip(names, films, strict=True))
    )
    (root / "ACCEDEdescription.xml").write_text(f"<library>{media}</library>")
    touch(root / "data", *names)
    return root


def test_liris_set_0_is_the_test(tmp_path):
    data = read_sentiment_set(write_liris(tmp_path))
    assert (data.name, data.convention, data.affect_range) == ("liris", "affect", (1, 5))
    assert [each.split for each in data.utterances] == ["test", "train", "val"]
    first = data.utterances[0]
    assert (first.valence, first.arousal, first.group) == (2.76, 1.37, "A.mp4")
    assert first.path == str(tmp_path / "data/ACCEDE00000.mp4")
    assert split_sentiment(data).test.tolist() == [0]


def test_liris_refuses_a_film_in_two_splits_and_wrong_sets(tmp_path):
    data = read_sentiment_set(write_liris(tmp_path / "film", films=("A", "A", "B")))
    with pytest.raises(InputError, match="group 'A' is in train and test"):
        split_sentiment(data)
    with pytest.raises(InputError, match="line 3, set: expected 0, 1, 2, found '3'"):
        read_sentiment_set(write_liris(tmp_path / "sets", sets=("0", "3", "2")))
    root = write_liris(tmp_path / "xml")
    (root / "ACCEDEdescription.xml").unlink()
    (root / "data/ACCEDE00001.mp4").unlink()
    with pytest.raises(InputError, match=r"lacks 1 of 3 clips: ACCEDE00001\.mp4"):
        read_sentiment_set(root)
    data = read_sentiment_set(root, allow_missing=True)
    assert any("films are unknown" in note for note in data.notes)


# ---- one's own


def test_folders_by_label(tmp_path):
    touch(tmp_path, "glad/2.wav", "glad/10.mp4", "sad/deep/1.flac", "sad/.hidden.wav", "notes.txt")
    data = read_sentiment_set(tmp_path)
    assert (data.ids, data.class_names) == (
        ("glad/2.wav", "glad/10.mp4", "sad/deep/1.flac"),
        ("glad", "sad"),
    )
    assert not data.has_splits
    touch(tmp_path, "loose.wav")
    with pytest.raises(InputError, match=r"1 files lie in no folder: loose\.wav"):
        read_sentiment_set(tmp_path)


def test_folders_by_split_and_label(tmp_path):
    touch(tmp_path, "train/glad/1.wav", "dev/sad/2.wav", "test/glad/3.wav", "train/sad/4.wav")
    found = {each.id: (each.label, each.split) for each in read_sentiment_set(tmp_path).utterances}
    assert found == {
        "train/glad/1.wav": ("glad", "train"),
        "dev/sad/2.wav": ("sad", "val"),
        "test/glad/3.wav": ("glad", "test"),
        "train/sad/4.wav": ("sad", "train"),
    }


def test_a_manifest_tells_all_columns(tmp_path):
    touch(tmp_path, "a/1.mp4", "2.flac")
    header = ["path", "label", "score", "valence", "arousal", "text", "speaker", "split", "start", "end", "more"]  # fmt: skip
    rows = [
        ["a/1.mp4", "glad", "0.5", "0.1", "-0.2", "hi, you", "ann", "train", "1", "2.5", "x"],
        ["a/1.mp4", "sad", "", "", "", "", "ann", "train", "2.5", "", ""],
        ["2.flac", "", "-1", "", "", "", "", "dev", "", "", ""],
        ["", "glad", "", "", "", "words only", "bob", "test", "", "", ""],
    ]
    write_rows(tmp_path / "manifest.csv", header, rows)
    for root in (tmp_path, tmp_path / "manifest.csv"):
        data = read_sentiment_set(root)
        assert data.name == tmp_path.name
        assert data.ids == ("a/1.mp4[1,2.5]", "a/1.mp4[2.5,]", "2.flac", "line 5")
        first = data.utterances[0]
        assert (first.path, first.start, first.end) == (str(tmp_path / "a/1.mp4"), 1, 2.5)
        assert (first.label, first.score, first.valence, first.arousal) == ("glad", 0.5, 0.1, -0.2)
        assert (first.text, first.speaker, first.group) == ("hi, you", "ann", "ann")
        assert [each.split for each in data.utterances] == ["train", "train", "val", "test"]
        assert (data.class_names, data.score_range, data.affect_range) == (
            ("glad", "sad"),
            (-1, 1),
            (-1, 1),
        )
        assert data.utterances[3].path is None


def test_a_manifest_of_scores_tells_its_scale(tmp_path):
    touch(tmp_path, "1.mp4", "2.mp4")
    write_rows(tmp_path / "manifest.csv", ["path", "score"], [["1.mp4", "-2"], ["2.mp4", "1"]])
    data = read_sentiment_set(tmp_path)
    assert (data.score_range, data.convention, data.class_names) == ((-3, 3), "mosi", ())
    write_rows(tmp_path / "manifest.csv", ["path", "score"], [["1.mp4", "7"]])
    with pytest.raises(
        InputError, match="score: expected -3 to 3, found 7; tell the scale by score_range"
    ):
        read_sentiment_set(tmp_path)
    assert read_sentiment_set(tmp_path, score_range=(0, 10)).score_range == (0, 10)


def test_classes_may_be_given_in_order(tmp_path):
    touch(tmp_path, "glad/1.wav", "sad/2.wav")
    assert read_sentiment_set(tmp_path, class_names=["sad", "glad"]).labels().tolist() == [1, 0]
    with pytest.raises(InputError, match="label: expected sad, found 'glad'"):
        read_sentiment_set(tmp_path, class_names=["sad"])


def test_a_manifest_tells_every_wrong_cell(tmp_path):
    touch(tmp_path, "1.mp4")
    header = ["path", "label", "score", "split", "start", "end", "turn"]
    rows = [
        ["1.mp4", "a", "high", "", "", "", ""],
        ["1.mp4", "a", "", "later", "", "", ""],
        ["1.mp4", "a", "", "", "3", "2", ""],
        ["1.mp4", "a", "", "", "", "", "x"],
        ["", "a", "", "", "", "", ""],
        ["1.txt", "a", "", "", "", "", ""],
        ["../1.mp4", "a", "", "", "", "", ""],
        ["1.mp4", "a", "", "", "", "", ""],
        ["1.mp4", "a", "", "", "", "", ""],
    ]
    write_rows(tmp_path / "manifest.csv", header, rows)
    with pytest.raises(InputError) as told:
        read_sentiment_set(tmp_path)
    assert str(told.value).splitlines()[1:] == [
        "line 2, score: expected a number, found 'high'",
        "line 3, split: expected train, val or test, found 'later'",
        "line 4, start and end: expected 0 ≤ start < end, found 3.0, 2.0",
        "line 5, turn: expected a whole number, found 'x'",
        "line 6, path: expected a file, or words in the column text",
        "line 7, path: expected a video or sound file, found '1.txt'",
        "line 8, path: '../1.mp4' lies outside of the table's folder",
        "line 10: the same part of '1.mp4' stands there twice",
    ]


def test_a_manifest_needs_its_files(tmp_path):
    write_rows(tmp_path / "manifest.csv", ["path", "label"], [["gone.mp4", "a"]])
    with pytest.raises(InputError, match=r"1 of 1 files are missing: gone\.mp4"):
        read_sentiment_set(tmp_path)
    (only,) = read_sentiment_set(tmp_path, allow_missing=True).utterances
    assert (only.path, only.problem) == (None, "the file is missing")


def test_what_nobody_labelled_is_read_too(tmp_path):
    for name in ("a.mp4", "b.wav"):
        touch(tmp_path, name)
    loose = read_sentiment_set(tmp_path)
    assert loose.ids == ("a.mp4", "b.wav")
    write_rows(tmp_path / "manifest.csv", ["path", "mood"], [["a.mp4", "sad"]])
    table = read_sentiment_set(tmp_path)
    assert table.ids == ("a.mp4",)
    assert not loose.is_labelled
    assert not table.is_labelled
    data = SentimentDataModule(str(tmp_path), modalities=["sound"])
    assert data.setup("predict") is None
    assert data.describe("predict")["division"] == "nothing is labelled, all is predicted"
    with pytest.raises(InputError, match=r"train split is empty: .*has the columns path, mood"):
        SentimentDataModule(str(tmp_path)).setup("fit")
    for name in ("train/a.mp4", "test/b.mp4"):
        touch(tmp_path / "divided", name)
    assert not read_sentiment_set(tmp_path / "divided").is_labelled
    shutil.rmtree(tmp_path / "divided")
    (tmp_path / "manifest.csv").unlink()
    touch(tmp_path / "sad", "c.mp4")
    with pytest.raises(InputError, match=r"2 files lie in no folder: a\.mp4, b\.wav"):
        read_sentiment_set(tmp_path)


# ---- the entry


def test_what_is_not_known_lists_the_layouts(tmp_path):
    for arguments in ((tmp_path / "none",), (tmp_path,), (tmp_path, "ravdes")):
        with pytest.raises(InputError, match=r"(?s)meld: train_sent_emo\.csv.*folder: your own"):
            read_sentiment_set(*arguments)
    touch(tmp_path, "a.mp3x")
    with pytest.raises(InputError, match=r"is no \.csv and no \.pkl"):
        read_sentiment_set(tmp_path / "a.mp3x")


def test_options_of_another_layout_are_refused(tmp_path):
    touch(tmp_path, "glad/1.wav")
    with pytest.raises(
        InputError, match="is read as folder, which has no option target; it has class_names"
    ):
        read_sentiment_set(tmp_path, target="sentiment")


def test_a_folder_of_several_feature_files_asks_for_one(tmp_path):
    touch(tmp_path, "Processed/aligned_50.pkl", "Processed/unaligned_50.pkl")
    with pytest.raises(InputError, match=r"found aligned_50\.pkl, unaligned_50\.pkl; name one"):
        read_sentiment_set(tmp_path)


# ---- recorded data


@pytest.mark.real
def test_recorded_meld(real_data):
    data = read_sentiment_set(real_data / "meld")
    assert [len(data.rows(split)) for split in ("train", "val", "test")] == [9989, 1109, 2610]
    dialogues = [name.split("/")[0] for name in data.dialogues()]
    assert [dialogues.count(split) for split in ("train", "val", "test")] == [1038, 114, 280]
    assert data.select(data.rows("test")).class_counts() == {
        "neutral": 1256,
        "surprise": 281,
        "fear": 50,
        "sadness": 208,
        "joy": 402,
        "disgust": 68,
        "anger": 345,
    }
    assert not any("\x80" <= char < "\xa0" for each in data.utterances for char in each.text)
    assert len(split_sentiment(data).test) == 2610
    three = read_sentiment_set(real_data / "meld", target="sentiment")
    assert three.select(three.rows("test")).class_counts() == {
        "neutral": 1256,
        "positive": 521,
        "negative": 833,
    }


@pytest.mark.real
def test_recorded_speech(real_data):
    root = real_data / "speech_emotion"
    listed = read_sentiment_set(root)
    named = read_sentiment_set(root, "ravdess")
    assert len(listed) == len(named) == 720
    for each, other in zip(listed.utterances, named.utterances, strict=True):
        assert (each.path, each.label, each.group) == (other.path, other.label, other.group)
    assert {count for name, count in named.class_counts().items() if name != "neutral"} == {96}
    splits = split_sentiment(named, test_groups=["01", "02", "03"])
    assert len(splits.test) == 180
