"""Reading pickles of arrays that others made, without running what else stands in them."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from videolit.types import InputError

# Where NumPy 1 and NumPy 2 say that the functions are that make arrays.
_MODULES = (
    *("numpy", "numpy.core.multiarray", "numpy.core.numeric"),
    *("numpy._core.multiarray", "numpy._core.numeric"),
)
# bool, integers, floating point numbers, bytes, texts, Python objects.
_KINDS = "biufSUO"
_DEEPEST = 20
_Order = Literal["<", ">"]
_ORDERS: dict[str, _Order] = {"<": "<", ">": ">"}


class _ForbiddenError(pickle.UnpicklingError):
    """A pickle names what is no array."""


class _Type:
    """What a pickle says of an array's numbers.

    NumPy's own types take flags from a pickle that make them read any memory; these do not.
    """

    __slots__ = ("code", "order")

    def __init__(self, code: str) -> None:
        self.code = code
        self.order: _Order | None = None

    def __setstate__(self, state: Sequence[object]) -> None:
        order, subarray, names, fields = state[1], state[2], state[3], state[4]
        if not subarray is names is fields is None:
            raise _ForbiddenError("an array of records")
        if order in _ORDERS:
            self.order = _ORDERS[str(order)]

    def make(self) -> np.dtype[np.generic]:
        """Return NumPy's type."""
        dtype = np.dtype(self.code)
        if dtype.kind not in _KINDS or dtype.fields is not None or dtype.subdtype is not None:
            raise _ForbiddenError(f"numbers of type {self.code!r}")
        return dtype if self.order is None else dtype.newbyteorder(self.order)


class _Array:
    """An array before it is made."""

    __slots__ = ("content",)

    def __init__(self) -> None:
        self.content: NDArray[np.generic] | list[object] | None = None

    def __setstate__(self, state: Sequence[object]) -> None:
        _, shape, kind, fortran, data = state
        self.content = _build(data, kind, shape, "F" if fortran else "C")


def _build(
    data: object, kind: object, shape: object, order: str
) -> NDArray[np.generic] | list[object]:
    """Return an array of numbers or texts; a list where its elements are Python's."""
    if not isinstance(kind, _Type) or not isinstance(shape, tuple):
        raise _ForbiddenError("an array without type or shape")
    dtype = kind.make()
    if dtype.kind == "O":
        if not isinstance(data, list) or len(shape) != 1 or len(data) != shape[0]:
            raise _ForbiddenError("a table of objects")
        return data
    if not isinstance(data, bytes | bytearray):
        raise _ForbiddenError("an array without bytes")
    flat: NDArray[np.generic] = np.frombuffer(data, dtype) if dtype.itemsize else np.empty(0, dtype)
    return flat.reshape(shape[::-1]).T if order == "F" else flat.reshape(shape)


# What a pickle may call are objects without attributes: it can set none on them.
class _MakeType:
    __slots__ = ()

    def __call__(self, code: str, align: object, copy: object) -> _Type:
        if not isinstance(code, str):
            raise _ForbiddenError("an array of records")
        return _Type(code)


class _MakeArray:
    __slots__ = ()

    def __call__(self, subtype: object, shape: object, kind: object) -> _Array:
        return _Array()


class _MakeFromBuffer:
    __slots__ = ()

    def __call__(self, data: object, kind: object, shape: object, order: str) -> _Array:
        made = _Array()
        made.content = _build(data, kind, shape, order)
        return made


class _MakeScalar:
    __slots__ = ()

    def __call__(self, kind: object, data: object) -> object:
        one = _build(data, kind, (1,), "C")
        return one[0] if isinstance(one, list) else one.item()


class _MakeBytes:
    """Bytes as protocols 0 to 2 write them, and nothing else that ``codecs.encode`` can do."""

    __slots__ = ()

    def __call__(self, text: str = "", encoding: str = "latin1") -> bytes:
        if encoding != "latin1":
            raise _ForbiddenError(f"_codecs.encode with {encoding!r}")
        return text.encode("latin1")


class _Marker:
    __slots__ = ()


_NAMES: dict[str, object] = {
    "ndarray": _Marker(),
    "dtype": _MakeType(),
    "_reconstruct": _MakeArray(),
    "_frombuffer": _MakeFromBuffer(),
    "scalar": _MakeScalar(),
}
_KNOWN: dict[tuple[str, str], object] = {
    (module, name): value for module in _MODULES for name, value in _NAMES.items()
} | {
    ("_codecs", "encode"): _MakeBytes(),
    # Without bytes, as protocols 0 to 2 write none.
    ("__builtin__", "bytes"): _MakeBytes(),
    ("collections", "OrderedDict"): OrderedDict,
}


class _Unpickler(pickle.Unpickler):
    """Knows arrays, their types and plain Python values."""

    def find_class(self, module: str, name: str) -> object:
        """Return what stands for a name; refuse all others before anything is imported."""
        if (module, name) not in _KNOWN:
            raise _ForbiddenError(f"{module}.{name}")
        return _KNOWN[module, name]


def read_pickle(path: str | Path) -> object:
    """Return the content of a pickle of dictionaries, lists, texts, numbers and NumPy arrays.

    A pickle is a program: opening one with ``pickle.load`` runs whatever its author wanted. Here
    nothing that it names is imported or called, not even NumPy's own functions: arrays are made of
    their bytes. They may be read-only. Arrays of Python objects become lists.

    Args:
        path: The file.

    Raises:
        InputError: If it cannot be read, is damaged, or names anything else.
    """
    try:
        with Path(path).open("rb") as file:
            return _finish(_Unpickler(file).load(), {}, 0)
    except _ForbiddenError as error:
        raise InputError(
            f"{str(path)!r} is no pickle of arrays alone: it has {error}. It is not opened, "
            "because it could run any program; ask its author for arrays, lists and dictionaries"
        ) from None
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror}") from error
    except MemoryError as error:
        raise InputError(f"cannot read {str(path)!r}: its arrays need more memory") from error
    # A damaged pickle may fail in any way that Python knows.
    except Exception as error:
        raise InputError(
            f"{str(path)!r} is damaged or no pickle: {type(error).__name__}: {error}"
        ) from error


def _finish(value: object, done: dict[int, object], depth: int) -> object:
    """Put the arrays in their places."""
    if depth > _DEEPEST:
        raise _ForbiddenError("dictionaries or lists in one another without end")
    if isinstance(value, _Array):
        value = [] if value.content is None else value.content
    if not isinstance(value, dict | list | tuple):
        return value
    # Lists of a million texts have nothing to put in place.
    if isinstance(value, list) and all(isinstance(item, str | int | float) for item in value):
        return value
    if id(value) in done:
        return done[id(value)]
    if isinstance(value, dict):
        made: object = {key: _finish(item, done, depth + 1) for key, item in value.items()}
    else:
        items = [_finish(item, done, depth + 1) for item in value]
        made = tuple(items) if isinstance(value, tuple) else items
    done[id(value)] = made
    return made
