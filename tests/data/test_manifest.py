"""Listing of data sets: layouts, manifests and every way in which a row can be bad."""

from __future__ import annotations

import csv
import json
import os
import pickle
import sys

import numpy as np
import pytest

from videolit.data.listing import list_videos, read_manifest
from videolit.types import InputError

posix = pytest.mark.skipif(os.name != "posix", reason="names and links of POSIX")
bytes_names = pytest.mark.skipif(sys.platform != "linux", reason="names that are no UTF-8")


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def write_csv(root, rows, header="path,label", name="manifest.csv"):
    with open(root / name, "w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        file.write(header + "\n")
        csv.writer(file, lineterminator="\n").writerows(rows)
    return root / name


def ids(manifest):
    return [manifest.video_id(i) for i in range(len(manifest))]


def labels(manifest):
    return [manifest.label_name(i) for i in range(len(manifest))]


def refusal(call, *args, **kwargs):
    with pytest.raises(InputError) as caught:
        call(*args, **kwargs)
    return str(caught.value)


# ---- folders


def test_class_folders_are_read_sorted_and_other_files_ignored(tmp_path):
    touch(tmp_path, "wave/b.mp4", "wave/a.MKV", "wave/deep/er/c.webm", "bow/x.avi")
    touch(tmp_path, "README.txt", ".DS_Store", ".hidden/y.mp4", "wave/Thumbs.db", "wave/._a.mp4")
    manifest = read_manifest(tmp_path)
    assert ids(manifest) == ["bow/x.avi", "wave/a.MKV", "wave/b.mp4", "wave/deep/er/c.webm"]
    assert manifest.class_names == ("bow", "wave")
    assert manifest.labels.tolist() == [0, 1, 1, 1]
    assert manifest.class_counts().tolist() == [1, 3]
    assert manifest.class_counts().dtype == manifest.labels.dtype == np.int64
    assert manifest.path(0) == str(tmp_path / "bow" / "x.avi")
    assert np.isnan(manifest.start).all()
    assert np.isnan(manifest.end).all()
    assert manifest.splits.tolist() == [-1] * 4


@pytest.mark.parametrize("word", ["val", "valid", "validation"])
def test_split_folders(tmp_path, word):
    touch(tmp_path, "train/a/1.mp4", "train/b/2.mp4", f"{word}/a/3.mp4", "test/b/4.mp4")
    manifest = read_manifest(str(tmp_path))
    assert manifest.class_names == ("a", "b")
    assert ids(manifest.select("train")) == ["train/a/1.mp4", "train/b/2.mp4"]
    assert ids(manifest.select("val")) == [f"{word}/a/3.mp4"]
    assert labels(manifest.select("test")) == ["b"]


def test_a_class_may_be_called_train(tmp_path):
    touch(tmp_path, "train/1.mp4", "bus/2.mp4")
    manifest = read_manifest(tmp_path)
    assert manifest.class_names == ("bus", "train")
    assert manifest.splits.tolist() == [-1, -1]


def test_folders_beside_split_folders_are_named(tmp_path):
    touch(tmp_path, "train/a/1.mp4", "raw/2.mp4")
    assert "'raw' beside ['train']" in refusal(read_manifest, tmp_path)


def test_class_folder_without_video_is_named(tmp_path):
    touch(tmp_path, "a/1.mp4", "empty/note.txt", "train_data/2.mp4")
    assert "class folder 'empty' holds no video" in refusal(read_manifest, tmp_path)


def test_loose_videos_explain_the_layout(tmp_path):
    touch(tmp_path, "1.mp4", "a/2.mp4")
    message = refusal(read_manifest, tmp_path)
    assert "'1.mp4'" in message
    assert "<root>/<class>/*.mp4" in message


def test_loose_videos_in_a_split_folder(tmp_path):
    touch(tmp_path, "train/a/2.mp4", "val/3.mp4")
    assert "'3.mp4'" in refusal(read_manifest, tmp_path)


def test_empty_and_missing_root(tmp_path):
    assert "<root>/<class>/*.mp4" in refusal(read_manifest, tmp_path)
    assert "no data at" in refusal(read_manifest, tmp_path / "nowhere")
    touch(tmp_path, "list.txt")
    assert "cannot read" in refusal(read_manifest, tmp_path / "list.txt")


def test_folder_with_a_manifest_uses_it(tmp_path):
    touch(tmp_path, "a/1.mp4", "a/2.mp4")
    write_csv(tmp_path, [["a/1.mp4", "x"]])
    assert labels(read_manifest(tmp_path)) == ["x"]
    touch(tmp_path, "manifest.jsonl")
    assert "manifest.csv and manifest.jsonl" in refusal(read_manifest, tmp_path)


def test_class_names_fix_the_order_and_refuse_others(tmp_path):
    touch(tmp_path, "wave/1.mp4", "bow/2.mp4")
    manifest = read_manifest(tmp_path, class_names=["wave", "nod", "bow"])
    assert manifest.class_names == ("wave", "nod", "bow")
    assert labels(manifest) == ["bow", "wave"]
    assert manifest.class_counts().tolist() == [1, 0, 1]
    message = refusal(read_manifest, tmp_path, class_names=["waves", "bow"])
    assert "unknown label 'wave'; did you mean 'waves'?" in message
    assert "twice" in refusal(read_manifest, tmp_path, class_names=["wave", "bow", "wave"])


def test_group_pattern(tmp_path):
    touch(tmp_path, "a/v_a_g01_c01.mp4", "a/v_a_g01_c02.mp4", "b/v_b_g02_c01.mp4")
    manifest = read_manifest(tmp_path, group_pattern=r"_g(\d+)_c")
    assert [manifest.group(i) for i in range(3)] == ["01", "01", "02"]
    assert "finds nothing in 'a/v_a_g" in refusal(read_manifest, tmp_path, group_pattern="(S1)")
    assert "needs a group" in refusal(read_manifest, tmp_path, group_pattern="S1")
    assert "is no pattern" in refusal(read_manifest, tmp_path, group_pattern="(S1")


@posix
def test_link_loops_end(tmp_path):
    touch(tmp_path, "a/1.mp4")
    (tmp_path / "a" / "again").symlink_to(tmp_path / "a")
    assert ids(read_manifest(tmp_path)) == ["a/1.mp4"]


# ---- CSV and JSONL


def test_csv_with_all_columns(tmp_path):
    touch(tmp_path, "a b.mp4", "c,d.mp4", 'e"f.mp4')
    rows = [
        ["a b.mp4", "x", "0.5", "2", "train", "S1", "ignored"],
        ["a b.mp4", "y", "2", "", "valid", "S1", ""],
        ["c,d.mp4", " x ", "", "3", "TEST", "S2", ""],
        ['e"f.mp4', "x", "", "", "", "", ""],
    ]
    source = write_csv(tmp_path, rows, "path,label,start,end,split,group,note", "list.csv")
    manifest = read_manifest(source)
    assert ids(manifest) == ["a b.mp4", "a b.mp4", "c,d.mp4", 'e"f.mp4']
    assert labels(manifest) == ["x", "y", "x", "x"]
    np.testing.assert_equal(manifest.start, [0.5, 2, np.nan, np.nan])
    np.testing.assert_equal(manifest.end, [2, np.nan, 3, np.nan])
    assert manifest.splits.tolist() == [0, 1, 2, -1]
    assert [manifest.group(i) for i in range(4)] == ["S1", "S1", "S2", ""]


def test_byte_order_mark_windows_lines_and_blank_lines(tmp_path):
    touch(tmp_path, "a,1.mp4", "b.mp4", "sub/c.mp4")
    text = 'Path, Label\r\n"a,1.mp4",x\r\n\r\nb.mp4,y\r\n./sub//c.mp4,y\r\nno.mp4,x\r\n'
    (tmp_path / "manifest.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert "line 6: no file 'no.mp4'" in refusal(read_manifest, tmp_path)
    touch(tmp_path, "no.mp4")
    manifest = read_manifest(tmp_path)
    assert ids(manifest) == ["a,1.mp4", "b.mp4", "sub/c.mp4", "no.mp4"]
    assert labels(manifest) == ["x", "y", "y", "x"]


BAD_ROWS = [
    ("gone.mp4,a", "no file 'gone.mp4'"),
    ("folder,a", "'folder' is a folder"),
    (",a", "empty path"),
    ("1.mp4,", "empty label"),
    ("1.mp4,wawe", "unknown label 'wawe'; did you mean 'wave'?"),
    ("1.mp4,-1", "unknown label '-1'"),
    ("1.mp4,a,soon,2", "start 'soon' is not a number"),
    ("1.mp4,a,nan,2", "start 'nan' is not a number"),
    ("1.mp4,a,3,2", "start 3 is not before end 2"),
    ("1.mp4,a,2,2", "start 2 is not before end 2"),
    ("1.mp4,a,,0", "start 0 is not before end 0"),
    ("1.mp4,a,-3,2", "start -3 is negative"),
    ("1.mp4,a,,,dve", "split 'dve' is none of train, val, test"),
    ("good.mp4,a", "'good.mp4' is a duplicate of line 2"),
    ("./good.mp4,wave", "'./good.mp4' is a duplicate of line 2"),
    ("good.mp4,a,0", "'good.mp4' is a duplicate of line 2"),
    ("../x.mp4,a", "'../x.mp4' lies outside the root"),
    ("/etc/hostname,a", "'/etc/hostname' lies outside the root"),
]


def test_every_kind_of_bad_row_in_one_message(tmp_path):
    touch(tmp_path, "root/1.mp4", "root/good.mp4", "root/folder/2.mp4", "x.mp4")
    rows = [f"{row}{',' * (5 - row.count(','))}" for row, _ in BAD_ROWS]
    rows += ["1.mp4", "1.mp4,a,,,,,more"]
    text = "\n".join(["path,label,start,end,split,group", "good.mp4,a,,,,", *rows])
    (tmp_path / "root" / "manifest.csv").write_text(text)
    message = refusal(read_manifest, tmp_path / "root", class_names=["a", "wave"])
    for line, (_, reason) in enumerate(BAD_ROWS, 3):
        assert f"line {line}: {reason}" in message
    assert f"line {len(BAD_ROWS) + 3}: 1 columns, the header has 6" in message
    assert f"line {len(BAD_ROWS) + 4}: 7 columns, the header has 6; quote a path" in message
    assert f"{len(BAD_ROWS) + 2} of {len(BAD_ROWS) + 3} rows" in message
    assert "line 2:" not in message


def test_only_twenty_bad_rows_are_shown(tmp_path):
    write_csv(tmp_path, [[f"{i}.mp4", "a"] for i in range(57)])
    message = refusal(read_manifest, tmp_path)
    assert message.count("no file") == 20
    assert message.endswith("and 37 more")


def test_one_row_may_be_bad_in_several_ways(tmp_path):
    write_csv(tmp_path, [["no.mp4", "", "x"]], "path,label,start")
    message = refusal(read_manifest, tmp_path)
    for part in ("start 'x'", "no file", "empty label"):
        assert part in message


def test_label_minus_one_is_no_class(tmp_path):
    touch(tmp_path, "1.mp4")
    write_csv(tmp_path, [["1.mp4", "-1"]])
    assert "line 2: label -1" in refusal(read_manifest, tmp_path)


def test_lines_are_counted_through_quoted_line_ends_and_broken_quotes(tmp_path):
    touch(tmp_path, "a\nb.mp4") if os.name == "posix" else None
    text = 'path,label\n"a\nb.mp4",x\n"q"q.mp4,x\nno.mp4,x\n"never closed,x\n'
    (tmp_path / "manifest.csv").write_text(text)
    message = refusal(read_manifest, tmp_path)
    assert "line 4: broken quotes" in message
    assert "line 5: no file 'no.mp4'" in message
    assert "line 6: broken quotes" in message
    assert "line 2:" not in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("path;label\n1.mp4;a\n", "separated by ';'"),
        ("path\tlabel\n1.mp4\ta\n", "separated by tabs"),
        ("file,class\n1.mp4,a\n", "lacks the columns ['path', 'label']; its first line has ['fi"),
        ("1.mp4,a\n", "its first line has ['1.mp4', 'a']"),
        ("path,label,path\n", "['path'] twice"),
        ("", "has no header"),
        ("path,label\n", "no rows"),
    ],
)
def test_bad_headers(tmp_path, text, expected):
    touch(tmp_path, "1.mp4")
    (tmp_path / "manifest.csv").write_text(text)
    assert expected in refusal(read_manifest, tmp_path)


def test_other_encodings_are_told(tmp_path):
    touch(tmp_path, "1.mp4")
    source = tmp_path / "manifest.csv"
    source.write_text("path,label\n1.mp4,a\n", encoding="utf-16")
    assert "not UTF-8 (UTF-16?)" in refusal(read_manifest, tmp_path)
    source.write_text("path,label\n1.mp4,Schläge\nä.mp4,a\n", encoding="latin-1")
    message = refusal(read_manifest, tmp_path)
    assert "line 2: label 'Schl\\udce4ge' is not UTF-8" in message
    assert "line 3: no file '\\udce4.mp4'; its name is not UTF-8" in message
    message.encode()  # can be printed


def test_jsonl(tmp_path):
    touch(tmp_path, "1.mp4", "2.mp4")
    rows = [
        json.dumps({"path": "1.mp4", "label": "x", "start": 1, "end": 2.5, "group": 7}),
        "",
        json.dumps({"label": 3, "path": "2.mp4", "end": None, "split": "val", "more": [1]}),
    ]
    source = tmp_path / "list.jsonl"
    source.write_bytes("\r\n".join(rows).encode())
    manifest = read_manifest(source)
    assert labels(manifest) == ["x", "3"]
    np.testing.assert_equal(manifest.end, [2.5, np.nan])
    assert manifest.group(0) == "7"
    assert manifest.splits.tolist() == [-1, 1]
    bad = ["{", "[1]", '{"path": ["1.mp4"], "label": "x"}', '{"path": "1.mp4"}', '{"label": "x"}']
    source.write_text("\n".join(bad))
    message = refusal(read_manifest, source)
    expected = ["not JSON", "expected an object", "['path'] must be", "empty label", "empty path"]
    for line, reason in enumerate(expected, 1):
        assert f"line {line}: {reason}" in message


NAMES = [
    "Привет 动作 🎬.mp4",
    "-i.mp4",
    "a%03d#?&.mp4",
    "line\nend.mp4",
    "10:30 clip.mp4",
    "http:x.mp4",
    "/".join(["long" * 20] * 5) + "/x.mp4",
    os.fsdecode(b"caf\xe9.mp4"),
]


@bytes_names
@pytest.mark.parametrize("kind", ["folder", "csv", "jsonl"])
def test_unusual_names_survive(tmp_path, kind):
    touch(tmp_path, *(f"a/{name}" for name in NAMES))
    wanted = [f"a/{name}" for name in NAMES]
    source = tmp_path
    if kind == "csv":
        source = write_csv(tmp_path, [[name, "a"] for name in wanted])
    elif kind == "jsonl":
        source = tmp_path / "list.jsonl"
        source.write_text("\n".join(json.dumps({"path": n, "label": "a"}) for n in wanted))
    manifest = read_manifest(source)
    assert sorted(ids(manifest)) == sorted(wanted)
    assert all(os.path.exists(manifest.path(i)) for i in range(len(manifest)))
    listed = json.loads(json.dumps(ids(manifest)))
    assert {os.fsencode(n) for n in listed} == {os.fsencode(n) for n in wanted}
    assert manifest.hash()


def test_half_a_character_is_no_file_name(tmp_path):
    (tmp_path / "manifest.jsonl").write_text(r'{"path": "\ud800.mp4", "label": "a"}')
    assert r"'\ud800.mp4' is no possible file name" in refusal(read_manifest, tmp_path)


def test_null_byte_is_refused(tmp_path):
    (tmp_path / "manifest.jsonl").write_text(r'{"path": "x\u0000.mp4", "label": "a"}')
    assert "line 1:" in refusal(read_manifest, tmp_path)


# ---- outside of the root


@posix
def test_links_out_of_the_root(tmp_path):
    touch(tmp_path, "out/1.mp4", "root/in/2.mp4")
    root = tmp_path / "root"
    (root / "in" / "file.mp4").symlink_to(tmp_path / "out" / "1.mp4")
    (root / "in" / "inner.mp4").symlink_to(root / "in" / "2.mp4")
    (root / "folder").symlink_to(tmp_path / "out")
    (root / "in" / "broken.mp4").symlink_to(root / "nowhere.mp4")
    for message in (
        refusal(read_manifest, root),
        refusal(
            read_manifest,
            write_csv(root, [[n, "a"] for n in ("in/file.mp4", "folder/1.mp4", "in/broken.mp4")]),
        ),
    ):
        assert "'in/file.mp4' leads out of the root" in message
        assert "'folder/1.mp4' leads out of the root" in message
        assert "no file 'in/broken.mp4'" in message
        assert "3 of" in message
    (root / "in" / "broken.mp4").unlink()
    (root / "manifest.csv").unlink()
    manifest = read_manifest(root, allow_outside_root=True)
    assert ids(manifest) == ["folder/1.mp4", "in/2.mp4", "in/file.mp4", "in/inner.mp4"]


@posix
def test_outside_paths_if_allowed(tmp_path):
    touch(tmp_path, "out.mp4", "root/in.mp4")
    root = tmp_path / "root"
    source = write_csv(root, [["../out.mp4", "a"], [str(root / "in.mp4"), "a"]])
    assert "1 of 2 rows" in refusal(read_manifest, source)
    manifest = read_manifest(source, allow_outside_root=True)
    assert ids(manifest) == [str(tmp_path / "out.mp4"), "in.mp4"]
    assert manifest.path(0) == str(tmp_path / "out.mp4")


@posix
def test_pipes_are_not_regular_files(tmp_path):
    (tmp_path / "a").mkdir()
    os.mkfifo(tmp_path / "a" / "pipe.mp4")
    assert "'a/pipe.mp4' is not a regular file" in refusal(read_manifest, tmp_path)


# ---- the manifest


def test_select_by_rows_and_mask(tmp_path):
    touch(tmp_path, "a/1.mp4", "a/2.mp4", "b/3.mp4")
    manifest = read_manifest(tmp_path)
    assert ids(manifest.select([2, 0])) == ["b/3.mp4", "a/1.mp4"]
    assert ids(manifest.select(np.array([False, True, True]))) == ["a/2.mp4", "b/3.mp4"]
    assert len(manifest.select([])) == 0
    assert manifest.select([2]).class_counts().tolist() == [0, 1]
    assert manifest.select([0]).paths.block is manifest.paths.block
    assert "unknown split 'training'" in refusal(manifest.select, "training")


def test_hash_depends_on_rows_only(tmp_path):
    for place in ("one", "two"):
        touch(tmp_path / place, "a/1.mp4", "a/2.mp4", "b/3.mp4")
    first = read_manifest(tmp_path / "one")
    assert first.hash() == read_manifest(tmp_path / "two").hash()
    assert first.hash() == first.select([2, 0, 1]).hash()
    renumbered = read_manifest(tmp_path / "one", class_names=["b", "other", "a"])
    assert first.hash() == renumbered.hash()
    assert len({first.hash(), first.select([0, 1]).hash(), first.select([]).hash()}) == 3
    hashes = set()
    for row in (["a/1.mp4", "a", "", ""], ["a/1.mp4", "b", "", ""], ["a/1.mp4", "a", "1", ""]):
        hashes.add(read_manifest(write_csv(tmp_path / "one", [row], "path,label,start,end")).hash())
    assert len(hashes) == 3


def test_manifest_crosses_processes(tmp_path):
    touch(tmp_path, "a/1.mp4", "b/2.mp4")
    manifest = read_manifest(tmp_path, group_pattern=r"(\d)")
    copy = pickle.loads(pickle.dumps(manifest))
    assert ids(copy) == ids(manifest)
    assert copy.hash() == manifest.hash()
    assert copy.group(1) == "2"


# ---- videos to predict


def test_list_videos_keeps_the_given_order(tmp_path, monkeypatch):
    touch(tmp_path, "z.mp4", "dir/b.mp4", "dir/sub/a.mkv", "dir/note.txt", "elsewhere/o.mp4")
    (tmp_path / "work").mkdir()
    touch(tmp_path, "work/w.mp4")
    monkeypatch.chdir(tmp_path / "work")
    given = [tmp_path / "z.mp4", "w.mp4", "gone.mp4", str(tmp_path / "dir"), "./w.mp4"]
    manifest = list_videos(given)
    outside = [str(tmp_path / name) for name in ("dir/b.mp4", "dir/sub/a.mkv")]
    assert ids(manifest) == [str(tmp_path / "z.mp4"), "w.mp4", "gone.mp4", *outside]
    assert manifest.labels.tolist() == [-1] * 5
    assert manifest.class_names == ()
    assert manifest.label_name(0) == ""
    assert manifest.path(2) == str(tmp_path / "work" / "gone.mp4")


def test_list_videos_reads_lists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    touch(tmp_path, "data/1.mp4", "x.mp4")
    rows = [["1.mp4", "", ""], ["1.mp4", "1", "2.5"], ["gone.mp4", "", ""], ["1.mp4", "1", "2.5"]]
    write_csv(tmp_path / "data", rows, "path,start,end", "list.csv")
    manifest = list_videos(["x.mp4", "data/list.csv"])
    assert ids(manifest) == ["x.mp4", "data/1.mp4", "data/1.mp4", "data/gone.mp4"]
    np.testing.assert_equal(manifest.start, [np.nan, np.nan, 1, np.nan])
    write_csv(tmp_path / "data", [["../x.mp4"], ["/etc/passwd"]], "path", "out.csv")
    message = refusal(list_videos, ["data/out.csv"])
    assert "line 2: '../x.mp4' lies outside" in message
    assert "line 3: '/etc/passwd' lies outside" in message
    assert ids(list_videos(["data/out.csv"], allow_outside_root=True)) == ["x.mp4", "/etc/passwd"]


def test_list_videos_refuses_nothing_to_do(tmp_path):
    assert "no video given" in refusal(list_videos, [])
    assert "no video in the folder" in refusal(list_videos, [tmp_path])
    assert "cannot read" in refusal(list_videos, [tmp_path / "gone.csv"])


# ---- recorded data


@pytest.mark.real
def test_recorded_sets(real_data):
    gestures = read_manifest(real_data / "gestures")
    assert len(gestures) == 360
    assert len(gestures.class_names) == 15
    assert {gestures.group(i) for i in range(360)} == {f"S{k}" for k in range(1, 9)}
    fights = read_manifest(real_data / "fights" / "manifest.csv", class_names=["noFight", "fight"])
    assert fights.class_counts().tolist() == [150, 150]


def sets(manifest):
    return [[manifest.class_names[c] for c in manifest.sets[i]] for i in range(len(manifest))]


def test_several_labels_a_row(tmp_path):
    touch(tmp_path, "a.mp4", "b.mp4", "c.mp4", "d.mp4")
    rows = [
        ("a.mp4", "run; jump"),
        ("b.mp4", "run"),
        ("c.mp4", ""),
        ("d.mp4", "jump;run;jump;swim"),
    ]
    manifest = read_manifest(write_csv(tmp_path, rows, "path,labels"))
    assert manifest.class_names == ("jump", "run", "swim")
    assert sets(manifest) == [["run", "jump"], ["run"], [], ["jump", "run", "swim"]]
    assert labels(manifest) == ["run;jump", "run", "", "jump;run;swim"]
    assert manifest.class_counts().tolist() == [2, 3, 1]
    # The rarest label stands for the sample where samples are divided.
    assert manifest.labels.tolist() == [0, 1, -1, 2]
    part = manifest.select([3, 2])
    assert sets(part) == [["jump", "run", "swim"], []]
    assert part.class_counts().tolist() == [1, 1, 1]
    assert manifest.hash() != manifest.select([0, 1, 2]).hash()


def test_several_labels_in_jsonl(tmp_path):
    touch(tmp_path, "a.mp4", "b.mp4")
    lines = [{"path": "a.mp4", "labels": ["run", "jump"]}, {"path": "b.mp4", "labels": "jump"}]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert sets(read_manifest(tmp_path / "m.jsonl")) == [["run", "jump"], ["jump"]]
    (tmp_path / "m.jsonl").write_text(json.dumps({"path": "a.mp4", "labels": ["a;b"]}))
    assert "names without ;" in refusal(read_manifest, tmp_path / "m.jsonl")


def test_label_and_labels_together_are_refused(tmp_path):
    touch(tmp_path, "a.mp4")
    path = write_csv(tmp_path, [("a.mp4", "run", "run;jump")], "path,label,labels")
    assert "keep label (one class) or labels" in refusal(read_manifest, path)


def test_given_classes_refuse_others_in_a_set(tmp_path):
    touch(tmp_path, "a.mp4")
    path = write_csv(tmp_path, [("a.mp4", "run;jmp")], "path,labels")
    assert "unknown label 'jmp'; did you mean 'jump'" in refusal(
        read_manifest, path, class_names=["jump", "run"]
    )
    touch(tmp_path, "b.mp4")
    path = write_csv(tmp_path, [("a.mp4", "run"), ("b.mp4", "")], "path,labels")
    manifest = read_manifest(path, class_names=["jump", "run"])
    assert manifest.class_names == ("jump", "run")
    assert sets(manifest) == [["run"], []]
