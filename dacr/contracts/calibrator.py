"""What a calibrator has to keep, on ordinary and on degenerate inputs."""

import numpy as np

from dacr.contracts.rules import Rule, described, keep, require
from dacr.core.rng import generator
from dacr.estimates.calibrators.base import Calibrator, Features, Names
from dacr.types import Floats

Part = type[Calibrator]
Rows = tuple[Floats, Floats, Names, Features]

DEGENERATE: dict[str, tuple[list[float], list[float], list[str]]] = {
    "one row": ([0.3], [1.0], ["a"]),
    "one query in a domain": ([0.3, 0.6, 0.7], [1.0, 0.0, 0.5], ["a", "b", "b"]),
    "one class": ([0.2, 0.5, 0.9, 0.4], [1.0] * 4, ["a", "a", "b", "b"]),
    "no success": ([0.2, 0.5, 0.9, 0.4], [0.0] * 4, ["a", "a", "b", "b"]),
    "constant predictor": ([0.4] * 6, [0.0, 1.0, 0.0, 1.0, 0.25, 1.0], ["a"] * 6),
    "exactly 0 and 1": ([0.0, 1.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0], ["a", "a", "b", "b"]),
    "separable": ([0.1, 0.2, 0.8, 0.9], [0.0, 0.0, 1.0, 1.0], ["a"] * 4),
    "separable the wrong way": ([0.1, 0.2, 0.8, 0.9], [1.0, 1.0, 0.0, 0.0], ["a"] * 4),
    "no labels of domains": ([0.1, 0.2, 0.8, 0.9], [0.0, 1.0, 1.0, 0.5], [""] * 4),
}
"""Predictions, qualities and domains that are sound, and hard."""


def rows(n: int = 240) -> Rows:
    """Return predictions, qualities, domains and features of n ordinary rows."""
    rng = generator("calibrator contract")
    domain = np.array(["mmlu-law", "mmlu-art", "mbpp"], dtype=object)[np.arange(n) % 3]
    p = rng.uniform(0.02, 0.98, n)
    y = np.round(np.clip(p + rng.normal(0, 0.4, n), 0, 1) * 4) / 4
    return p, y, domain, rng.normal(size=(n, 5)).astype(np.float32)


def ordinary_rows_give_probabilities_the_same_every_time(part: Part) -> None:
    """Before the fit it refuses; after it, results are in [0, 1], and nothing but a fit changes them."""
    p, y, domain, x = rows()
    require(part.fitted_on in {"oof", "lodo", "insample"}, f"fitted_on is {part.fitted_on!r}")
    fitted = part()
    try:
        fitted.transform(p, domain, x=x)
    except RuntimeError as error:
        require("not fitted" in str(error), f"before the fit it says {str(error)!r}")
    else:
        require(False, "it transforms before it is fitted")
    require(fitted.fit(p, y, domain, x=x) is fitted, "fit has to return the calibrator")
    out = fitted.transform(p, domain, x=x)
    require(out.shape == p.shape and ((out >= 0) & (out <= 1)).all(), "results have to be one value in [0, 1] per row")
    np.testing.assert_array_equal(out, fitted.transform(p, domain, x=x), "transform must not change the state")
    np.testing.assert_array_equal(out, part().fit(p, y, domain, x=x).transform(p, domain, x=x), "not reproducible")
    require(part(**fitted.params).params == fitted.params, "params do not make the same calibrator again")
    none = fitted.transform(np.empty(0), np.empty(0, dtype=object), x=x[:0])
    require(none.shape == (0,), "no rows have to give no results")


def inputs_stay_as_they_are(part: Part) -> None:
    """Neither fit nor transform writes into what it is given, and results are no views of it."""
    p, y, domain, x = rows()
    out = part().fit(p, y, domain, x=x).transform(p, domain, x=x)
    out[:] = 0.123
    for array, copy in zip((p, y, domain, x), rows(), strict=True):
        np.testing.assert_array_equal(array, copy)


def degenerate_rows_give_defined_results(part: Part) -> None:
    """Also for predictions of exactly 0 and 1, and for domains that training had not."""
    asked = np.array([0.0, 1e-9, 0.5, 1 - 1e-9, 1.0])
    for case, (p, y, domain) in DEGENERATE.items():
        x = np.linspace(-1, 1, 3 * len(p)).reshape(-1, 3).astype(np.float32)
        fitted = part().fit(np.array(p), np.array(y), np.array(domain, dtype=object), x=x)
        for where in ("a", "never seen", "", None):
            out = fitted.transform(asked, np.full(5, where, dtype=object), x=np.ones((5, 3), dtype=np.float32))
            require(((out >= 0) & (out <= 1)).all(), f"{case}, domain {where!r}: gave {out}")


def it_is_monotone_where_it_says_so(part: Part) -> None:
    """Even where success falls with the prediction."""
    if not part.monotone:
        return
    p, y, domain, x = rows()
    fitted = part().fit(p, 1 - y, domain, x=x)
    grid = np.linspace(0, 1, 101)
    for where in ("mmlu-law", "mbpp"):
        out = fitted.transform(grid, np.full(len(grid), where, dtype=object), x=np.repeat(x[:1], len(grid), axis=0))
        require((np.diff(out) >= -1e-12).all(), f"it says monotone, and falls in {where}")


def the_order_of_rows_does_not_matter(part: Part) -> None:
    """Not in training, and not in what is transformed unless the class says so."""
    p, y, domain, x = rows()
    order = generator("order").permutation(len(p))
    fitted = part().fit(p, y, domain, x=x)
    again = part().fit(p[order], y[order], domain[order], x=x[order])
    asked = domain if part.order_matters else np.where(np.arange(len(p)) % 2, "unseen", domain).astype(object)
    out = fitted.transform(p, asked, x=x)
    np.testing.assert_allclose(out, again.transform(p, asked, x=x), atol=1e-6)
    np.testing.assert_allclose(out[order], fitted.transform(p[order], asked[order], x=x[order]), atol=1e-12)


def what_comes_later_changes_nothing(part: Part) -> None:
    """The first 50 results are the same whether or not other rows follow."""
    p, y, domain, x = rows()
    fitted = part().fit(p, y, domain, x=x)
    unseen = np.where(np.arange(len(p)) % 3 == 0, "new", "newer").astype(object)
    whole = fitted.transform(p, unseen, x=x)
    np.testing.assert_allclose(whole[:50], fitted.transform(p[:50], unseen[:50], x=x[:50]), atol=1e-12)


def unsound_input_is_refused(part: Part) -> None:
    """Shapes that differ, no rows, and values that are not finite or outside [0, 1] are a ValueError."""
    good, names = np.array([0.2, 0.8]), np.array(["a", "b"], dtype=object)
    for p, y, domain in [
        (good[:1], good, names),
        (good, good[:1], names),
        (good, good, names[:1]),
        (np.array([0.2, np.nan]), good, names),
        (np.array([0.2, 1.2]), good, names),
        (good, np.array([-0.1, 0.5]), names),
        (good[:, None], good, names),
        (good[:0], good[:0], names[:0]),
    ]:
        try:
            part().fit(p, y, domain)
        except ValueError:
            continue
        require(False, f"it takes p = {p.tolist()}, y = {y.tolist()}, domain = {domain.tolist()}")


RULES: tuple[Rule, ...] = (
    described,
    ordinary_rows_give_probabilities_the_same_every_time,
    inputs_stay_as_they_are,
    degenerate_rows_give_defined_results,
    it_is_monotone_where_it_says_so,
    the_order_of_rows_does_not_matter,
    what_comes_later_changes_nothing,
    unsound_input_is_refused,
)


def check_calibrator(part: Part) -> None:
    """Hold a registered calibrator class to its contract; an AssertionError names the rule that it breaks."""
    require(not part.unavailable(), f"{part.name} can't be used here: {part.unavailable()}")
    keep(part, RULES)
