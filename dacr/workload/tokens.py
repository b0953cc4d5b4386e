"""How many tokens a recorded response has, judged from its text: the tokenisers are not known."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dacr.errors import UserError
from dacr.types import Floats

METHODS = ("chars", "words", "max")


def output_tokens(response: pa.Array, n_model: int, token_method: str = "max", chars_per_token: float = 4.0) -> Floats:
    """Estimate output tokens.

    ``chars``: characters / ``chars_per_token``; ``words``: runs of characters other than white space;
    ``max``: the larger of both, since code and long words have more tokens than words, and terse answers
    ("A", "Yes") are split less than their length says. Rounded up; an empty response still has one token,
    the end of the text.

    Parameters
    ----------
    response : pyarrow.Array of n_query * n_model strings, query-major

    Returns
    -------
    (n_query, n_model) float, whole tokens, at least 1

    Examples
    --------
    >>> output_tokens(pa.array(["a b c", "abcdefgh", "", "x"]), 2).tolist()
    [[3.0, 2.0], [1.0, 1.0]]
    """
    if token_method not in METHODS:
        raise UserError(f"--token_method {token_method!r} is unknown; expected {', '.join(METHODS)}")
    if not 0 < chars_per_token < np.inf:
        raise UserError(f"--chars_per_token must be above 0, got {chars_per_token:g}; 4 is usual for English")
    tokens = np.ones(len(response))
    if token_method != "words":
        length = pc.utf8_length(response).fill_null(0).to_numpy(zero_copy_only=False)
        tokens = np.maximum(tokens, np.ceil(length / chars_per_token))
    if token_method != "chars":
        count = pc.count_substring_regex(response, r"\S+").fill_null(0).to_numpy(zero_copy_only=False)
        tokens = np.maximum(tokens, count)
    shaped: Floats = tokens.astype(np.float64).reshape(-1, n_model)
    return shaped
