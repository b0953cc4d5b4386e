"""What a predictor has to keep: probabilities for all models at once, each row on its own, the same every time."""

from functools import cache

import numpy as np

from dacr.contracts.rules import Rule, described, keep, require
from dacr.core.rng import generator
from dacr.estimates.predictors.base import Features, Predictor
from dacr.types import Floats

Part = type[Predictor]
N_TRAIN = 200


@cache
def rows() -> tuple[Features, Floats]:
    """Return features (300, 6) and qualities (300, 3) that depend on them."""
    rng = generator("predictor contract")
    x = rng.normal(size=(300, 6)).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    p = 1 / (1 + np.exp(-3 * x[:, :3] - np.array([0.5, 0.0, -0.5])))
    return x, np.round((rng.uniform(size=p.shape) < p) * rng.choice([1.0, 0.75], p.shape), 2)


def predictions_are_probabilities_and_rows_stand_alone(part: Part) -> None:
    """One row at a time gives what all rows at once give."""
    x, y = rows()
    model = part().fit(x[:N_TRAIN], y[:N_TRAIN])
    p = model.predict(x[N_TRAIN:])
    require(p.shape == (100, 3), f"predict gave the shape {p.shape} for 100 rows and 3 models, expected (100, 3)")
    require(((p >= 0) & (p <= 1)).all(), f"predictions reach from {p.min():g} to {p.max():g}, expected [0, 1]")
    alone = [model.predict(x[N_TRAIN + i : N_TRAIN + i + 1]) for i in range(7)]
    np.testing.assert_allclose(p[:7], np.vstack(alone), atol=1e-9, err_msg="a row alone is predicted otherwise")


def fitting_twice_gives_the_same(part: Part) -> None:
    """Bit for bit."""
    x, y = rows()
    same = (part().fit(x, y).predict(x) == part().fit(x, y).predict(x)).all()
    require(same, "a second fit predicts otherwise: draw from dacr.core.rng by name")


def it_does_no_worse_than_the_base_rate(part: Part) -> None:
    """On rows whose features tell something."""
    x, y = rows()
    p = part().fit(x[:N_TRAIN], y[:N_TRAIN]).predict(x[N_TRAIN:])
    own, base = (float(np.square(guess - y[N_TRAIN:]).mean()) for guess in (p, y[:N_TRAIN].mean(axis=0)))
    require(own <= base + 1e-3, f"its Brier score is {own:.4f}, that of the base rate {base:.4f}")


def one_class_and_one_row_are_enough(part: Part) -> None:
    """Where all answers are right a prediction is sure of it."""
    x, y = rows()
    sure = part().fit(x, np.ones_like(y)).predict(x)
    require(np.isfinite(sure).all() and sure.min() > 0.9, f"of answers that are all right it says {sure.min():.3f}")
    require(
        np.isfinite(part().fit(x[:1], y[:1]).predict(x)).all(), "one row of training gives values that are not finite"
    )


def missing_values_are_refused(part: Part) -> None:
    """NaN in training is a ValueError, never a silent guess."""
    x, y = rows()
    try:
        part().fit(x, np.where(y == 1, np.nan, y))
    except ValueError as error:
        require("finite" in str(error), f"NaN is refused with {str(error)!r}, expected a word on what is finite")
    else:
        require(False, "NaN in y is taken: call dacr.estimates.predictors.base.checked(x, y) in fit")


RULES: tuple[Rule, ...] = (
    described,
    predictions_are_probabilities_and_rows_stand_alone,
    fitting_twice_gives_the_same,
    it_does_no_worse_than_the_base_rate,
    one_class_and_one_row_are_enough,
    missing_values_are_refused,
)


def check_predictor(part: Part) -> None:
    """Hold a registered predictor class to its contract; an AssertionError names the rule that it breaks."""
    keep(part, RULES)
