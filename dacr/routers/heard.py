"""What a router that asks several models has heard: which of the answers so far say the same."""

from collections.abc import Sequence

import numpy as np

from dacr.estimates.answers.read import UNREAD
from dacr.routers.plans.base import same_answer
from dacr.types import Attempts, Ints, Outcomes


def answers_of(outcomes: Outcomes) -> Ints:
    """Return the codes of all answers, (n, n_model): unread where none were recorded."""
    return np.full(outcomes.quality.shape, UNREAD) if outcomes.answer is None else outcomes.answer


def heard(tried: Sequence[Attempts]) -> Ints:
    """Return the codes of the answers so far, in the order of the calls: (n, n_call)."""
    return np.stack([np.full(len(one), UNREAD) if one.answer is None else one.answer for one in tried], axis=1)


def first_alike(answer: Ints) -> Ints:
    """Return for each answer the place of the first that says the same; its own, where none does: (n, k).

    Examples
    --------
    >>> first_alike(np.array([[7, 8, 7, 7], [UNREAD, 8, UNREAD, 8]])).tolist()
    [[0, 1, 0, 0], [0, 1, 2, 1]]
    """
    first = np.tile(np.arange(answer.shape[1]), (len(answer), 1))
    for place in range(answer.shape[1] - 1, -1, -1):
        for later in range(place + 1, answer.shape[1]):
            first[same_answer(answer[:, place], answer[:, later]), later] = place
    return first
