"""Pickles of arrays: what comes back, and that nothing else in one is ever run."""

import collections
import fractions
import io
import os
import pickle
import pickletools

import numpy as np
import pytest

from videolit.data.restricted_pickle import read_pickle
from videolit.types import InputError

ARRAYS = {
    "f4": np.arange(6, dtype=np.float32).reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)),
    "big endian": np.arange(3, dtype=">i2"),
    "bool": np.array([True, False]),
    "texts": np.array(["a", "bcd"]),
    "bytes": np.array([b"a", b"bcd"]),
    "empty": np.zeros((2, 0, 3)),
    "no axis": np.array(3.5),
    "strided": np.arange(10)[::2],
}


def write(path, content):
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_plain_values_come_back_from_every_protocol(tmp_path, protocol):
    plain = {
        "list": [1, 2.5, "x", None, True, b"", b"\xff\x00"],
        "tuple": (1, (2, [3])),
        "ordered": collections.OrderedDict(a=1, b=2),
    }
    objects = {"array": np.array(["a", "bcd"], object), "scalars": [np.float32(2.5), np.int64(-3)]}
    content = {"arrays": ARRAYS, "plain": plain, "objects": objects}
    found = read_pickle(write(tmp_path / "a.pkl", pickle.dumps(content, protocol)))
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found["arrays"][name], array, err_msg=name)
        assert found["arrays"][name].dtype == array.dtype, name
        assert found["arrays"][name].shape == array.shape, name
    assert found["plain"] == plain
    assert found["objects"] == {"array": ["a", "bcd"], "scalars": [2.5, -3]}


def test_names_of_numpy_1_are_known(tmp_path):
    content = pickle.dumps(ARRAYS["f4"], 2).replace(b"numpy._core.", b"numpy.core.")
    assert b"numpy.core.multiarray" in content
    np.testing.assert_array_equal(read_pickle(write(tmp_path / "a.pkl", content)), ARRAYS["f4"])


def test_one_array_in_two_places_is_read_once(tmp_path):
    shared = [ARRAYS["f4"]]
    found = read_pickle(write(tmp_path / "a.pkl", pickle.dumps({"a": shared, "b": shared})))
    assert found["a"] is found["b"]


class Runs:
    def __init__(self, call, *arguments):
        self.call = call
        self.arguments = arguments

    def __reduce__(self):
        return self.call, self.arguments


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (os.mkdir, "posix.mkdir"),
        (eval, "builtins.eval"),
        (getattr, "builtins.getattr"),
        (np.load, "numpy.load"),
        (fractions.Fraction, "fractions.Fraction"),
    ],
)
def test_what_would_run_is_refused_before_it_runs(tmp_path, call, name):
    made = tmp_path / "made"
    arguments = {eval: (f"__import__('os').mkdir({str(made)!r})",), os.mkdir: (str(made),)}
    content = pickle.dumps({"train": [Runs(call, *arguments.get(call, (1, 2)))]})
    with pytest.raises(InputError, match=f"no pickle of arrays alone: it has {name}"):
        read_pickle(write(tmp_path / "a.pkl", content))
    assert not made.exists()
    # The same bytes do run otherwise.
    if call in arguments:
        pickle.loads(content)
        assert made.is_dir()


def test_codecs_know_bytes_only(tmp_path):
    content = pickle.dumps(b"\xff\x00", 2)
    assert b"latin1" in content
    bomb = content.replace(b"X\x06\x00\x00\x00latin1", b"X\x05\x00\x00\x00rot13")
    pickletools.dis(bomb, out=io.StringIO())
    with pytest.raises(InputError, match="_codecs.encode with 'rot13'"):
        read_pickle(write(tmp_path / "a.pkl", bomb))


def test_types_that_read_any_memory_are_refused(tmp_path):
    """An object type without its flags would take bytes for addresses of objects."""
    rebuild, arguments, _ = np.empty(0).__reduce__()
    kind = np.dtype("O")

    class Kind:
        def __reduce__(self):
            return np.dtype, ("O8", False, True), (3, "|", None, None, None, -1, -1, 0)

    class Array:
        def __reduce__(self):
            return rebuild, arguments, (1, (1,), Kind(), False, b"\x41" * kind.itemsize)

    with pytest.raises(InputError, match="a table of objects"):
        read_pickle(write(tmp_path / "a.pkl", pickle.dumps(Array())))
    records = np.zeros(2, [("a", "O"), ("b", "f4")])
    with pytest.raises(InputError, match="an array of records"):
        read_pickle(write(tmp_path / "a.pkl", pickle.dumps(records)))
    dates = np.array(["2020-01-01"], "M8[D]")
    with pytest.raises(InputError, match="no pickle of arrays alone|damaged"):
        read_pickle(write(tmp_path / "a.pkl", pickle.dumps(dates)))


def test_a_list_in_itself_ends(tmp_path):
    loop = []
    loop.append(loop)
    with pytest.raises(InputError, match="in one another without end"):
        read_pickle(write(tmp_path / "a.pkl", pickle.dumps(loop)))


def test_damaged_files_are_told(tmp_path):
    whole = pickle.dumps(ARRAYS)
    for content in (whole[:-20], b"", b"PK\x03\x04 no pickle", whole[:40] + b"\xff" + whole[41:]):
        with pytest.raises(InputError, match=r"a\.pkl' is (damaged|no pickle)"):
            read_pickle(write(tmp_path / "a.pkl", content))
    with pytest.raises(InputError, match="cannot read .*: No such file"):
        read_pickle(tmp_path / "none.pkl")
