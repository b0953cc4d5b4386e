"""Pickled data frames, read without letting the file choose what runs.

A pickle is a small program that names functions to call. Here every name is looked up in one exact
table (:func:`allowed`), never imported; what is not in it ends the reading. The table holds what
pandas 1.x, 2.x and 3.x write for a frame of texts, numbers and categories, and the few entries that
could reach beyond that (numpy's dtype and array rebuilders, Arrow buffers) are narrowed to it.
"""

import functools
import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
from pandas.compat import pickle_compat
from pandas.core.internals import BlockManager

from dacr.core import files
from dacr.core.errors import UserError
from dacr.data import pickle_state as state

MAX_BYTES = 4 * 2**30
"""Larger pickles are refused: the largest RouterBench file has 1.1 GB."""

_SIMPLE_DTYPE = re.compile(r"[<>|=]?[biufOSU]\d*\Z")


def load(path: str | Path, max_bytes: int = MAX_BYTES, kind: type | tuple[type, ...] = pd.DataFrame) -> Any:
    """Read a pickled :class:`pandas.DataFrame`, or another ``kind`` of plain values.

    Raises
    ------
    UserError
        Missing, too large or truncated file; a pickle that names anything which a frame of texts and
        numbers does not need; a pickle of something else.
    """
    path = files.existing_file(path)
    size = path.stat().st_size
    if size > max_bytes:
        raise UserError(f"{path} has {size:,} bytes, above the cap of {max_bytes:,} for pickles; convert it to Parquet")
    try:
        with open(path, "rb") as file:
            value = _Unpickler(file, str(path)).load()
            if isinstance(value, pd.DataFrame):
                state.check_frame(value)
    except UserError:
        raise
    except (EOFError, MemoryError) as error:
        raise UserError(f"{path} is not a whole pickle ({_said(error)}); download or write it again") from None
    except Exception as error:
        # A damaged pickle can fail in any way that the functions in the table can.
        raise UserError(
            f"{path} can't be read as a pickled data frame, it is truncated, no pickle, or of a pandas newer than "
            f"{pd.__version__} ({_said(error)}); download or write it again, or give a Parquet file"
        ) from None
    if not isinstance(value, kind):
        raise UserError(f"{path} holds a {type(value).__name__}, expected a pandas DataFrame")
    return value


class _Unpickler(pickle_compat.Unpickler):  # type: ignore[misc]
    """pandas' own reader of old pickles, with every global taken from the table."""

    def __init__(self, file: Any, source: str) -> None:
        super().__init__(file)
        self._source = source

    def find_class(self, module: str, name: str) -> Any:
        try:
            return allowed()[(module, name)]
        except KeyError:
            raise UserError(
                f"{self._source} wants to use {module}.{name}, which no table of texts and numbers needs; "
                "reading stopped and nothing of it was executed. If you trust the file, convert it to Parquet yourself"
            ) from None

    def load_build(self) -> None:
        """Set an object's state: objects of the table's classes alone, and no new memory layout for a dtype."""
        told, target = self.stack[-1], self.stack[-2]
        if isinstance(target, np.dtype):
            state.check_dtype_state(target, told)
        elif isinstance(target, np.ndarray):
            state.check_array_state(told)
        elif type(target) is BlockManager:
            state.check_manager_state(told)
        elif not isinstance(target, _stateful()):
            raise UserError(f"{self._source} wants to change a {type(target).__name__}; reading stopped")
        super().load_build()

    def load_reduce(self) -> None:
        """Call a function of the table; frames and arrays are only ever made empty and given a state."""
        args, function = self.stack[-1], self.stack[-2]
        if function is BlockManager:
            state.check_manager_args(args)
        elif function in (pd.DataFrame, np.ndarray):
            raise ValueError(f"a call of {function.__name__}")
        super().load_reduce()

    dispatch: ClassVar[dict[int, Any]] = {
        **pickle_compat.Unpickler.dispatch,
        pickle.BUILD[0]: load_build,
        pickle.REDUCE[0]: load_reduce,
    }


@functools.cache
def allowed() -> Mapping[tuple[str, str], Any]:
    """Return the exact table: (module, name) as a pickle may spell it -> what that stands for."""
    table: dict[tuple[str, str], Any] = {
        ("_codecs", "encode"): _latin1,
        ("numpy", "dtype"): _dtype,
        ("numpy", "ndarray"): np.ndarray,
        ("pandas.core.indexes.base", "_new_Index"): _new_index,
        ("pandas.core.internals.managers", "BlockManager"): BlockManager,
        ("pandas._libs.internals", "_unpickle_block"): _block,
        ("pandas.core.internals.blocks", "new_block"): _block,
        ("pandas._libs.arrays", "__pyx_unpickle_NDArrayBacked"): _internal(
            "pandas._libs.arrays", "__pyx_unpickle_NDArrayBacked"
        ),
        ("pandas", "NA"): pd.NA,
        ("pandas._libs.missing", "NA"): pd.NA,
        ("pandas._libs.missing", "_nat"): pd.NaT,
        ("pyarrow.lib", "_restore_array"): _arrow_array,
        ("pyarrow.lib", "chunked_array"): pa.chunked_array,
        ("pyarrow.lib", "py_buffer"): pa.py_buffer,
        ("pyarrow.lib", "type_for_alias"): pa.type_for_alias,
    }
    for module in ("builtins", "__builtin__"):
        table[(module, "slice")] = slice
        table[(module, "bytearray")] = _bytearray
    for package in ("numpy.core", "numpy._core"):
        table[(f"{package}.multiarray", "_reconstruct")] = _empty_array
        table[(f"{package}.multiarray", "scalar")] = _internal("numpy._core.multiarray", "scalar")
        table[(f"{package}.numeric", "_frombuffer")] = _internal("numpy._core.numeric", "_frombuffer")
    for homes, names in _PANDAS_CLASSES:
        for home in homes:
            for name in names:
                table[(home, name)] = getattr(pd, name, None) or getattr(pd.arrays, name)
    numpy_strings = "ArrowStringArrayNumpySemantics"  # pandas 2's name for what is pandas 3's default
    table[("pandas.core.arrays.string_arrow", numpy_strings)] = pd.arrays.ArrowStringArray
    for name in ("Int64Index", "UInt64Index", "Float64Index"):  # gone since pandas 2
        table[("pandas.core.indexes.numeric", name)] = pd.Index
    return table


# Each release spells the home of its classes differently; pandas 3 uses the public names.
_PANDAS_CLASSES: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("pandas", "pandas.core.frame"), ("DataFrame",)),
    (("pandas", "pandas.core.indexes.base"), ("Index",)),
    (("pandas", "pandas.core.indexes.range"), ("RangeIndex",)),
    (("pandas", "pandas.core.arrays.categorical"), ("Categorical",)),
    (("pandas", "pandas.core.dtypes.dtypes"), ("CategoricalDtype",)),
    (("pandas", "pandas.core.arrays.string_"), ("StringDtype",)),
    (("pandas.arrays", "pandas.core.arrays.string_"), ("StringArray",)),
    (("pandas.arrays", "pandas.core.arrays.string_arrow"), ("ArrowStringArray",)),
    (("pandas.arrays", "pandas.core.arrays.floating"), ("FloatingArray",)),
    (("pandas.arrays", "pandas.core.arrays.integer"), ("IntegerArray",)),
    (("pandas.arrays", "pandas.core.arrays.boolean"), ("BooleanArray",)),
    (("pandas", "pandas.core.arrays.floating"), ("Float32Dtype", "Float64Dtype")),
    (("pandas", "pandas.core.arrays.integer"), ("Int8Dtype", "Int16Dtype", "Int32Dtype", "Int64Dtype")),
    (("pandas", "pandas.core.arrays.boolean"), ("BooleanDtype",)),
)


@functools.cache
def _stateful() -> tuple[type, ...]:
    """Classes of the table whose objects may be given a state, with the dtypes' instances."""
    return tuple(value for value in allowed().values() if isinstance(value, type) and value is not slice)


def _internal(module: str, name: str) -> Any:
    """A private name of pandas or numpy: the name is ours, never the file's."""
    import importlib

    return getattr(importlib.import_module(module), name)


def _latin1(text: str, encoding: str) -> bytes:
    """Old protocols spell bytes as text: ``_codecs.encode(text, "latin1")`` and no other codec."""
    if encoding != "latin1":
        raise ValueError(f"codec {encoding!r}")
    return text.encode("latin1")


def _bytearray(data: Any = b"", encoding: str = "latin1") -> bytearray:
    if isinstance(data, str):
        data = _latin1(data, encoding)
    if not isinstance(data, bytes):  # an int would reserve that many bytes
        raise ValueError("bytearray of something else than bytes")
    return bytearray(data)


def _dtype(code: Any, align: Any = False, copy: Any = True) -> np.dtype[Any]:
    if not isinstance(code, str) or not _SIMPLE_DTYPE.match(code):
        raise ValueError(f"dtype {code!r}")
    return np.dtype(code, False, True)


def _empty_array(subtype: Any, shape: Any, code: Any) -> np.ndarray[Any, Any]:
    """Stand in for numpy's rebuilder: every array is written as an empty one that then gets its state."""
    if subtype is not np.ndarray or shape != (0,):
        raise ValueError("array of an unknown kind")
    return np.ndarray((0,), dtype=np.int8)


def _new_index(cls: Any, values: dict[str, Any]) -> pd.Index:
    if cls not in (pd.Index, pd.RangeIndex):
        raise ValueError(f"index of kind {cls!r}")
    make: Callable[..., pd.Index] = _internal("pandas.core.indexes.base", "_new_Index")
    return make(cls, values)


def _block(values: Any, place: Any, ndim: int) -> Any:
    state.check_place(values, place)
    return _internal("pandas._libs.internals", "_unpickle_block")(values, place, ndim)


def _arrow_array(parts: Any) -> pa.Array:
    """Rebuild an Arrow array from its buffers and check that its offsets stay inside them."""
    array = _internal("pyarrow.lib", "_restore_array")(parts)
    array.validate(full=True)
    return array


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:160]
