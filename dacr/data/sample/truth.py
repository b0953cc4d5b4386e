"""The chance that a model solves a query of the sample: the truth that tests compare with.

For query i of domain d and kind k, and model m,

    logit r_im = a_dm + S_km - b_m sd_d h_i,     h_i = w v_i + sqrt(1 - w^2) e_i,

with ``h`` the difficulty that all models share, ``v`` its part that shows in the words, ``e`` its hidden
part (both standard normal), ``S`` a skill that models have to different degrees (the kind of question
shows in its stem), ``b`` how strongly a model suffers from difficulty. The intercepts ``a`` are solved by
quadrature so that domain means come out as they should; those of mbpp and the means over all domains at
the published sizes are the published ones. Expected quality is ``low + (high - low) r``: in graded
domains a wrong answer still earns something and a right one rarely all.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import expit, logit

from dacr.data.sample import facts
from dacr.types import Floats

SKILL = np.array(list(facts.KINDS.values()))
SLOPE = facts.told("slope")
VISIBLE = 0.5

Grades = tuple[tuple[float, float], ...]


def grades_of(domain: str) -> tuple[Grades, Grades]:
    """Return the grades with their shares for unsolved and for solved queries of a domain."""
    told = facts.DOMAINS[domain]
    return told.get("unsolved", ((0.0, 1.0),)), told.get("solved", ((1.0, 1.0),))


@dataclass(frozen=True)
class Truth:
    """Constants per domain (rows in the order of ``facts.DOMAINS``).

    Attributes
    ----------
    intercept : (n_domain, n_model) float
        ``a``.
    spread, low, high : (n_domain,) float
    mean_quality : (n_domain, n_model) float
        Expected quality of each domain.
    """

    intercept: Floats
    spread: Floats
    low: Floats
    high: Floats
    mean_quality: Floats

    def solve_probability(self, domain: np.ndarray, kind: np.ndarray, visible: Floats, hidden: Floats) -> Floats:
        """Return ``r``, shape ``(n, n_model)``, from codes of domain and kind and the two difficulties."""
        difficulty = VISIBLE * visible + np.sqrt(1.0 - VISIBLE**2) * hidden
        pull = (self.spread[domain] * difficulty)[:, None] * SLOPE[None, :]
        return expit(self.intercept[domain] + SKILL[kind] - pull)

    def expected_quality(self, domain: np.ndarray, chance: Floats) -> Floats:
        """Return the expected quality given ``r``, shape ``(n, n_model)``."""
        low, high = self.low[domain][:, None], self.high[domain][:, None]
        return low + (high - low) * chance


@cache
def truth() -> Truth:
    """Solve the intercepts; the result is the same for every seed and size."""
    told = facts.DOMAINS.values()
    spread = np.array([domain["spread"] for domain in told])
    low, high = np.array([[sum(g * s for g, s in grades) for grades in grades_of(name)] for name in facts.DOMAINS]).T
    size, fixed = facts.SIZES.astype(float), facts.IS_MBPP
    rough = np.array([np.array(domain.get("quality", facts.MBPP_QUALITY)) for domain in told])
    wanted = logit(np.clip((rough - low[:, None]) / (high - low)[:, None], 0.01, 0.985))
    for row, domain in enumerate(told):
        wanted[row] += domain.get("shift", 0.0)
        for model, shift in domain.get("model_shift", {}).items():
            wanted[row, model] += shift
    # One logit shift per model, on every domain but mbpp, makes the overall mean the published one.
    down, up = np.full(len(facts.MODELS), -6.0), np.full(len(facts.MODELS), 6.0)
    for _ in range(60):
        shift = (down + up) / 2
        solved = expit(wanted + np.where(fixed[:, None], 0.0, shift[None, :]))
        mean = low[:, None] + (high - low)[:, None] * solved
        too_high = (size[:, None] * mean).sum(axis=0) / size.sum() > facts.MEAN_QUALITY
        up, down = np.where(too_high, shift, up), np.where(too_high, down, shift)
    return Truth(_intercepts(solved, spread), spread, low, high, mean)


def _intercepts(solved: Floats, spread: Floats) -> Floats:
    """Find ``a`` with mean ``r`` = ``solved`` over kinds (equally frequent) and difficulty, by bisection."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(41)
    weights = weights / weights.sum()
    pull = spread[:, None, None] * SLOPE[None, :, None] * nodes[None, None, :]
    offset = SKILL.T[None, :, None, :] - pull[..., None]
    down, up = np.full(solved.shape, -25.0), np.full(solved.shape, 25.0)
    for _ in range(50):
        middle = (down + up) / 2
        mean = np.einsum("dmnk,n->dm", expit(middle[:, :, None, None] + offset), weights) / len(SKILL)
        too_high = mean > solved
        up, down = np.where(too_high, middle, up), np.where(too_high, down, middle)
    return (down + up) / 2
