"""Cues: what a caller can read off a response without knowing the right answer."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dacr.data.tokens import words
from dacr.estimates.features.refusals import refusals

NAMES = (
    "log_chars",
    "log_words",
    "empty",
    "starts_with_letter",
    "has_digit",
    "has_code",
    "refuses",
    "length_share",
    "hedges",
)

_PATTERNS = {
    "starts_with_letter": r"^\s*\(?[A-H]\b",
    "has_digit": r"[0-9]",
    "has_code": r"```|\bdef |\breturn ",
}

_HEDGES = (
    r"(?i)\b(?:not (?:entirely |completely |quite )?(?:sure|certain)|i (?:think|believe|guess)|(?:un|not )clear|"
    r"perhaps|possibly|probably|might be|hard to (?:say|tell)|cannot be determined|not enough information|best guess)\b"
)

_BLOCK = 2**17
"""Responses whose cues are read at once: copies of their texts are made on the way."""


def response_cues(response: pa.Array, n_model: int) -> NDArray[np.float32]:
    """Read cues off every response with Arrow's vectorised string functions.

    Parameters
    ----------
    response : pyarrow string array of n_query * n_model, query-major
        All cues of a cell depend on that cell's response alone.

    Returns
    -------
    (n_query, n_model, n_cue) float32; columns are :data:`NAMES`.
    """
    parts = [_read(response.slice(first, _BLOCK)) for first in range(0, len(response), _BLOCK)]
    return np.concatenate([np.empty((0, len(NAMES)), np.float32), *parts]).reshape(-1, n_model, len(NAMES))


def _read(response: pa.Array) -> NDArray[np.float32]:
    chars = pc.utf8_length(response).to_numpy(zero_copy_only=False).astype(np.float32)
    head = pc.utf8_slice_codeunits(response, 0, 400)
    columns = [np.log1p(chars), np.log1p(words(head).astype(np.float32)), chars == 0]
    for pattern in _PATTERNS.values():
        columns.append(pc.match_substring_regex(head, pattern).to_numpy(zero_copy_only=False))
    columns.append(refusals(response, asked=chars > 0))  # an empty answer has a cue of its own
    columns.append(np.minimum(chars, 4000.0) / 4000.0)
    columns.append(pc.match_substring_regex(response, _HEDGES).to_numpy(zero_copy_only=False))
    return np.column_stack(columns).astype(np.float32)
