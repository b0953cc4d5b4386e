"""The most that a call can cost, known before it: told, from the catalogue, or estimated from training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dacr.core.errors import UserError
from dacr.types import Floats, Ints

if TYPE_CHECKING:  # settings read this file, and these bring pandas with them
    from dacr.data.prices import Prices
    from dacr.data.table import RoutingTable

CATALOGUE, TRAINING = "catalogue", "training"

TAIL = 2.0
"""A test call is estimated to cost at most so many times the dearest training call of its model."""


def most_usd(asked: str, table: RoutingTable, train: Ints, test: Ints) -> Floats:
    """Return the most that a call of each model can cost for each test row, (n_test, n_model) USD.

    The costs of test rows are never looked at.

    Parameters
    ----------
    asked : str
        USD of any call, ``catalogue`` or a catalogue's file (see :func:`of_catalogue`), or ``training`` (see
        :data:`TAIL`).
    train, test : int arrays
        Rows of ``table``.
    """
    if asked == CATALOGUE or is_file(asked):
        from dacr.data.prices import Prices

        prices = Prices.read() if asked == CATALOGUE else Prices.read(asked)
        return of_catalogue(prices, table.model, table.prompt[test])
    shape = len(test), table.n_model
    if asked == TRAINING:
        return np.broadcast_to(TAIL * np.nanmax(table.cost_usd[train], axis=0), shape)
    return np.full(shape, float(asked))


def is_file(asked: str) -> bool:
    """Say whether a bound names a file of prices."""
    return asked.endswith((".yaml", ".yml"))


def of_catalogue(prices: Prices, models: tuple[str, ...], prompts: np.ndarray) -> Floats:
    """Return the price of the longest prompt that has so many bytes, with the longest answer: (n, n_model) USD.

    Raises
    ------
    UserError
        A model has no price, or one for output and no ``max_output_tokens``; or the table has no prompts.
    """
    from dacr.data.tokens import prompt_tokens_at_most

    found = {model: prices.get(model) for model in models}
    without = [
        model for model, price in found.items() if price is None or (price.output and not price.max_output_tokens)
    ]
    if without:
        raise UserError(
            f"--max_call_usd: {prices.source} tells no price or no max_output_tokens of "
            f"{', '.join(map(repr, without[:8]))}; add them, or give --max_call_usd a number of USD or {TRAINING}"
        )
    if not all(prompts):
        raise UserError(
            "--max_call_usd: the table has queries without a prompt, so their length is not known; "
            f"give --max_call_usd a number of USD or {TRAINING}"
        )
    tokens = np.array([prompt_tokens_at_most(prompt) for prompt in prompts], dtype=float)
    every = [price.cost(tokens, np.full(len(tokens), price.max_output_tokens)) for price in found.values() if price]
    return np.column_stack(every)
