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

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import expit, logit

from dacr.data.sample import facts as facts
from dacr.types import Floats

KINDS = ("recall", "reason", "number", "except")
# Skill of each kind of question (rows) per model; columns sum over kinds to about nothing.
SKILL = np.array(
    [
        [0.3, 0.2, 0.3, 0.1, 0.2, 0.0, 0.1, 0.4, 0.3, 0.1, 0.2],
        [0.1, 0.2, 0.3, 0.4, 0.1, 0.1, -0.2, 0.1, -0.1, 0.2, 0.3],
        [-0.5, -0.5, -0.7, -0.4, 0.2, 0.5, 0.5, -0.7, -0.4, 0.2, -0.3],
        [0.1, 0.1, 0.1, -0.1, -0.5, -0.6, -0.4, 0.2, 0.2, -0.5, -0.2],
    ]
)
SLOPE = np.array([0.85, 1.0, 1.1, 1.1, 1.0, 1.05, 0.8, 0.9, 0.75, 1.0, 1.05])
VISIBLE = 0.5
# Spread of difficulty per family, set by how many queries no model solves.
SPREAD = {
    "arc": 1.5,
    "chinese": 2.2,
    "gsm": 1.6,
    "hellaswag": 1.2,
    "mbpp": 3.0,
    "mmlu": 1.7,
    "mtbench": 1.2,
    "other": 1.8,
    "winogrande": 1.0,
}
# Grades of a solved and of an unsolved query: {family: ((grade, share), ...)}.
SOLVED = {"gsm": ((0.5, 0.12), (0.75, 0.86), (1.0, 0.02)), "mtbench": ((0.75, 0.4), (1.0, 0.6))}
UNSOLVED = {"gsm": ((0.0, 0.01), (0.25, 0.84), (0.5, 0.15)), "mtbench": ((0.0, 0.15), (0.25, 0.5), (0.5, 0.35))}
_GRADED_SUMMARY = (((0.75, 0.8), (1.0, 0.2)), ((0.25, 0.3), (0.5, 0.7)))

Grades = tuple[tuple[float, float], ...]


def grades_of(domain: str) -> tuple[Grades, Grades]:
    """Return the grades with their shares for unsolved and for solved queries of a domain."""
    if domain == "consensus_summary":
        return _GRADED_SUMMARY[1], _GRADED_SUMMARY[0]
    family = facts.DOMAINS[domain][1]
    return UNSOLVED.get(family, ((0.0, 1.0),)), SOLVED.get(family, ((1.0, 1.0),))


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
        chance: Floats = expit(self.intercept[domain] + SKILL[kind] - pull)
        return chance

    def expected_quality(self, domain: np.ndarray, chance: Floats) -> Floats:
        """Return the expected quality given ``r``, shape ``(n, n_model)``."""
        low, high = self.low[domain][:, None], self.high[domain][:, None]
        quality: Floats = low + (high - low) * chance
        return quality


@cache
def truth() -> Truth:
    """Solve the intercepts; the result is the same for every seed and size."""
    names = list(facts.DOMAINS)
    size = np.array([facts.DOMAINS[name][0] for name in names], dtype=float)
    family = [facts.DOMAINS[name][1] for name in names]
    spread = np.array([SPREAD[f] for f in family])
    low, high = np.array([[sum(g * s for g, s in grades) for grades in grades_of(name)] for name in names]).T
    fixed = np.array([f == "mbpp" for f in family])
    rough = np.array([facts.MBPP_QUALITY if f == "mbpp" else np.array(facts.FAMILY_QUALITY[f]) for f in family])
    share = np.clip((rough - low[:, None]) / (high - low)[:, None], 0.01, 0.985)
    wanted = logit(share)
    for row, name in enumerate(names):
        wanted[row] += facts.DOMAIN_SHIFT.get(name, 0.0)
        for model, shift in facts.MODEL_SHIFT.get(name, {}).items():
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
        mean = np.einsum("dmnk,n->dm", expit(middle[:, :, None, None] + offset), weights) / len(KINDS)
        too_high = mean > solved
        up, down = np.where(too_high, middle, up), np.where(too_high, down, middle)
    middle_of_last: Floats = (down + up) / 2
    return middle_of_last
