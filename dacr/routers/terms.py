"""A decision: the terms that the arena sets, and the choice that a router makes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dacr.core.compiled import kernel
from dacr.core.rng import draw_of, keyed_uniform
from dacr.types import SHED, Bools, Estimates, Floats, Ints, Keys


@dataclass(frozen=True)
class Choice:
    """What a router decided for ``n`` requests.

    Attributes
    ----------
    model : (n,) int
    propensity : (n,) float in (0, 1]
        Probability of this choice given what the router knew.
    beliefs : Estimates
        What it believed when it chose.
    """

    model: Ints
    propensity: Floats
    beliefs: Estimates


Reprice = Callable[[Floats, Estimates], Floats | None]
"""Is told values, (n, n_model) before a price, and beliefs; may return a newer price."""


@dataclass(frozen=True)
class Terms:
    """What the arena asks of a decision under a budget.

    Attributes
    ----------
    price_cost, price_late : (n, 1) float
        Shadow prices, in quality per USD and per late answer; None where lateness has no price.
    pace_cost : callable
        Returns what may be spent per request from here on, (n,) in the dollars that beliefs predict; None without a
        budget.
    is_open : callable
        Beliefs -> (n, n_model) bool, the models that may be called, or None for all.
    reprice_cost : callable
        Is told values before the price of money, and beliefs; may return a newer price of a dollar for them.
    p_late : (n, n_model) float, optional
        P(late) as the arena has learnt it; by default the router's own belief is priced.
    reprice_late : callable
        Is told values before the arena's prices, and beliefs; may return a newer price of a late answer.
    """

    price_cost: Floats
    price_late: Floats | None
    is_open: Callable[[Estimates], Bools | None] = lambda _: None
    reprice_cost: Reprice = lambda *_: None
    p_late: Floats | None = None
    reprice_late: Reprice = lambda *_: None
    pace_cost: Callable[[], Floats | None] = lambda: None

    def after_lateness(self, scores: Floats, beliefs: Estimates) -> Floats:
        """Return scores less the price of lateness."""
        newer = self.reprice_late(scores, beliefs)
        price_late = self.price_late if newer is None else newer
        if price_late is None:
            return scores
        return scores - price_late * (beliefs.p_late if self.p_late is None else self.p_late)

    def apply(self, scores: Floats, beliefs: Estimates) -> Floats:
        """Return scores less the shadow prices, -infinity for models that are not open."""
        timely = self.after_lateness(scores, beliefs)
        newer = self.reprice_cost(timely, beliefs)
        price_cost = self.price_cost if newer is None else newer
        paid: Floats = timely - price_cost * beliefs.cost_hat
        return self._closed(paid, beliefs)

    def guard(self, scores: Floats, beliefs: Estimates) -> Floats:
        """Return what :meth:`apply` does without the price of money: for routers that pace themselves."""
        return self._closed(self.after_lateness(scores, beliefs), beliefs)

    def _closed(self, scores: Floats, beliefs: Estimates) -> Floats:
        allowed = self.is_open(beliefs)
        return scores if allowed is None else np.where(allowed, scores, -np.inf)


def only(there: Bools, terms: Terms | None) -> Terms:
    """Return the terms of decisions where some models can't be called, (n, n_model): they are closed.

    A purse that affords only what is not there would leave no model: then what is there is called. Where nothing is
    there all are open, and the arena makes no call (:func:`called_of`).

    Parameters
    ----------
    terms : Terms or None
        Those of the budgets; None where there are none.
    """
    there = there | ~there.any(axis=1, keepdims=True)
    if terms is None:
        free = np.zeros((len(there), 1))
        return Terms(free, free, lambda _: there)
    inner = terms.is_open

    def is_open(beliefs: Estimates) -> Bools:
        # The cheapest model, which a purse keeps open, is the cheapest of those that are there.
        costs = {name: np.where(there, getattr(beliefs, name), np.inf) for name in ("cost_hat", "cost_upper")}
        affordable = inner(beliefs.with_(**costs))
        both = there if affordable is None else there & affordable
        return np.where(both.any(axis=1, keepdims=True), both, there)

    def of_those(reprice: Reprice) -> Reprice:
        return lambda values, beliefs: reprice(np.where(there, values, -np.inf), beliefs)

    late, cost = of_those(terms.reprice_late), of_those(terms.reprice_cost)
    return replace(terms, is_open=is_open, reprice_late=late, reprice_cost=cost)


def called_of(there: Bools, model: Ints) -> Ints:
    """Return the models that were chosen, (n,); ``SHED`` where one can't be called, because none could."""
    here = there[np.arange(len(model)), np.maximum(model, 0)]
    return np.where(here, model, SHED)


def argmax_fair(scores: Floats, keys: Keys, seed: int | Keys) -> tuple[Ints, Floats]:
    """Return the row-wise argmax and 1 / number of ties; a tie goes to a draw keyed by the request.

    Rows of one seed are a whole stream, which array operations take in one call: who plays nothing step by step needs
    no compiler. Rows with a seed each are the runs of one step, of which there are many.
    """
    if np.ndim(seed):
        found, chance = np.empty(len(scores), dtype=np.int64), np.empty(len(scores))
        _argmax_of_runs(scores, keys, seed, found, chance)
        return found, chance
    model, ties = _best_and_ties(scores)
    tied = np.flatnonzero(ties > 1)
    if len(tied):
        best = scores[tied] == scores[tied, model[tied]][:, None]
        draw = keyed_uniform(keys[tied], scores.shape[1], seed)
        model[tied] = np.where(best, draw, -1.0).argmax(axis=1)
    return model, 1.0 / ties


def _best_and_ties(scores: Floats) -> tuple[Ints, Ints]:
    """Return the first best column of each row, and how many columns are as good."""
    n_model = scores.shape[1]
    if n_model > 255:
        model: Ints = scores.argmax(axis=1)
        return model, (scores == np.take_along_axis(scores, model[:, None], axis=1)).sum(axis=1)
    # A reduction over a dozen columns is several times faster along the first axis.
    columns = np.ascontiguousarray(scores.T)
    best = columns == columns.max(axis=0)
    rank = np.arange(n_model, 0, -1, dtype=np.uint8)[:, None]
    return n_model - (best * rank).max(axis=0).astype(np.int64), best.sum(axis=0, dtype=np.uint8)


@kernel
def _argmax_of_runs(scores: Floats, keys: Any, seed: Any, model: Ints, chance: Floats) -> None:
    for r in range(len(scores)):
        best, ties, chosen = -np.inf, 0, 0
        for m in range(scores.shape[1]):
            ties = 1 if scores[r, m] > best else ties + (scores[r, m] == best)
            chosen = m if scores[r, m] > best else chosen
            best = max(best, scores[r, m])
        most = -1.0
        for m in range(scores.shape[1] if ties > 1 else 0):
            if scores[r, m] == best:
                drawn = draw_of(keys[r], seed[r], np.uint64(m + 1))
                chosen = m if drawn > most else chosen
                most = max(most, drawn)
        model[r], chance[r] = chosen, 1.0 / ties
