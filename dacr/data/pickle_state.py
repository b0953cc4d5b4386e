"""Is what a pickle says about an object's inside true?

numpy and pandas believe the state that they are given: a list shorter than its shape, a block placed
beside the frame or a category code beyond the categories makes them read or write foreign memory.
Each check raises :class:`ValueError`; :mod:`dacr.data.pickles` turns it into a line for the user.
"""

import math
from typing import Any

import numpy as np
import pandas as pd


def check_dtype_state(dtype: np.dtype[Any], state: Any) -> None:
    """Allow a change of byte order alone: other flags would let raw bytes pass for object pointers."""
    sound = (
        isinstance(state, tuple)
        and len(state) == 8
        and state[2:5] == (None, None, None)
        and state[5] in (-1, dtype.itemsize)
        and state[7] == dtype.flags
    )
    if not sound:
        raise ValueError(f"dtype state {state!r}")


def check_array_state(state: Any) -> None:
    """Demand as many values as the shape says."""
    _, shape, dtype, _, data = state
    if not isinstance(dtype, np.dtype) or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise ValueError("array state of an unknown kind")
    size = math.prod(shape)
    if dtype.kind == "O":
        sound = isinstance(data, list) and len(data) == size
    else:
        data = data.encode("latin1") if isinstance(data, str) else data
        sound = isinstance(data, bytes) and len(data) == size * dtype.itemsize
    if not sound:
        raise ValueError(f"array of shape {shape} without as many values")


def check_place(values: Any, place: Any) -> np.ndarray[Any, Any]:
    """Return the column numbers of a block: one for each of its rows, none negative."""
    n_column = len(values) if getattr(values, "ndim", 1) == 2 else 1
    if isinstance(place, slice):
        steps = range(*(part if part is not None else default for part, default in _slice_parts(place)))
        if len(steps) != n_column:
            raise ValueError("a block's place does not fit its values")
        columns = np.array(steps, dtype=np.int64)
    elif isinstance(place, np.ndarray) and place.dtype.kind == "i" and place.shape == (n_column,):
        columns = place
    else:
        raise ValueError("a block's place does not fit its values")
    if len(columns) and columns.min() < 0:
        raise ValueError("a block's place is negative")
    return columns


def _slice_parts(place: slice) -> tuple[tuple[Any, int], ...]:
    return (place.start, 0), (place.stop, 0), (place.step, 1)


def check_blocks(places: list[np.ndarray[Any, Any]], axes: Any) -> None:
    """Demand that the blocks' places are the frame's columns, each once."""
    if not all(isinstance(axis, pd.Index) for axis in axes):
        raise ValueError("an axis is no index")
    columns = np.sort(np.concatenate([*places, np.zeros(0, dtype=np.int64)]))
    if not np.array_equal(columns, np.arange(len(axes[0]))):
        raise ValueError("the blocks do not cover the columns")


def check_manager_state(state: Any) -> None:
    """Check the state that pandas before 1.3 writes for a frame's blocks."""
    told = state[3]["0.14.1"]
    check_blocks([check_place(block["values"], block["mgr_locs"]) for block in told["blocks"]], told["axes"])


def check_manager_args(args: Any) -> None:
    """Check the arguments that later releases write: blocks, which are checked one by one, and axes."""
    blocks, axes, *_ = args
    check_blocks([block.mgr_locs.as_array for block in blocks], axes)


def check_frame(frame: pd.DataFrame) -> None:
    """Check lengths, category codes and masks of a finished frame."""
    frame._mgr._verify_integrity()
    frame.columns.tolist()
    for column in range(frame.shape[1]):
        values = frame.iloc[:, column].array
        if isinstance(values, pd.Categorical):
            codes = values.codes
            if len(codes) and (codes.min() < -1 or codes.max() >= len(values.categories)):
                raise ValueError("category codes beyond the categories")
        mask = getattr(values, "_mask", None)
        if mask is not None and (mask.dtype != bool or mask.shape != values._data.shape):
            raise ValueError("a mask that does not fit its values")
