"""Cases that can be worked out by hand: they need no data and tell whether this installation computes rightly."""

import numpy as np

from dacr.core import rng
from dacr.data.prices import Price
from dacr.experiment.verify.line import HAND, Line, number, same
from dacr.metrics import frontier
from dacr.metrics.calibration.measures import ece, measures
from dacr.metrics.hull import upper_hull
from dacr.metrics.paired import holm
from dacr.metrics.resample import draw

# Four points: (2, .3) lies under the chord from (1, .2) to (3, .8), and (4, .7) is dominated.
COST, QUALITY = (4.0, 1.0, 3.0, 2.0), (0.7, 0.2, 0.8, 0.3)


def lines() -> list[Line]:
    """Return all offline checks."""
    return [*_frontier(), *_calibration(), *_statistics(), *_ground()]


def _frontier() -> list[Line]:
    weak, strong = (1.0, 0.4), (3.0, 0.8)
    return [
        same("hull: vertices", "[1.0, 3.0]", str(upper_hull(COST, QUALITY)[0].tolist()), HAND),
        number("hull: area over its own costs", (2 * 0.5 + 0.8) / 3, frontier.aiq(COST, QUALITY), HAND),
        number("AIQ from 0 to 5 USD", (3 * 0.4 + 2 * 0.8) / 5, frontier.aiq(COST, QUALITY, 0.0, 5.0), HAND),
        number(
            "area from the cheapest to the dearest single model",
            0.5,
            frontier.lambda_frontier_area([2.0], [0.6], [1.0, 3.0], [0.2, 0.5]),
            HAND,
        ),
        number("APGR of random mixing", 0.5, frontier.apgr([2.0], [0.6], weak, strong), HAND),
        number("CPT(50 %) of random mixing", 0.5, frontier.cpt([2.0], [0.6], weak, strong, 0.5), HAND),
        number("PerfGain", 0.2, frontier.perf_gain([1.0, 2.0], [0.5, 0.9], 0.75), HAND),
        number("CostSave", 0.75, frontier.cost_save([1.0, 2.0], [0.5, 0.9], 8.0, 0.75), HAND),
    ]


def _calibration() -> list[Line]:
    # Bins of width 1 / 15: two rows in [.8, .867) off by .35, two in [.133, .2) off by .15.
    p, q = np.array([0.85, 0.85, 0.15, 0.15]), np.array([1.0, 0.0, 0.0, 0.0])
    half = np.full(4, 0.5)
    loss = float(measures(half, q)["log_loss"][0])
    return [
        number("ECE, 15 bins", (2 * 0.35 + 2 * 0.15) / 4, ece(p, q), HAND),
        number("ECE of a perfect coin", 0.0, ece(half, np.array([1.0, 0.0, 1.0, 0.0])), HAND),
        number("Brier score", (0.0225 + 0.7225 + 2 * 0.0225) / 4, measures(p, q)["brier"][0], HAND),
        number("Brier score of fractional labels", 0.0625, measures([0.5], [0.25])["brier"][0], HAND),
        number("log-loss of one half (ln 2)", float(np.log(2)), loss, HAND),
    ]


def _statistics() -> list[Line]:
    x = np.arange(7.0)[:, None] ** 2
    resamples = draw(7, n_resample=50, seed=1)
    rows = [np.repeat(x[:, 0], counts.astype(int)) for counts in resamples.counts.T]
    mean_gap = np.abs(resamples.means(x)[0] - [row.mean() for row in rows]).max()
    return [
        same("Holm of .01, .04, .03", "[0.03, 0.06, 0.06]", str(np.round(holm([0.01, 0.04, 0.03]), 12).tolist()), HAND),
        number("bootstrap means against expanded resamples", 0.0, float(mean_gap), "numpy", 1e-5),
    ]


def _ground() -> list[Line]:
    price = Price(input=10.0, output=30.0, cached_input=10.0).cost(1000, 500)
    keys = rng.keys_of(["q0"])
    drawn = float(rng.keyed_uniform(keys, 1, 7)[0, 0])
    here = "drawn on the reference machine"
    return [
        number("price of 1,000 tokens in and 500 out", 0.025, price, HAND),
        same("seed named 'verify', 1", SEED, rng.seed_for("verify", 1), here),
        number("keyed draw of request q0 under seed 7", DRAW, drawn, here, 0.0),
    ]


SEED = 3359575503360778684
DRAW = 0.00534905224501131
