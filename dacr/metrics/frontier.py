"""What a whole quality-cost frontier is worth: one number for a router at all its settings.

Peers divide by different things, so every function says its normalisation:

=============================  ===================================================  ==================
function                       what it is                                           divided by
=============================  ===================================================  ==================
:func:`lambda_frontier_area`   hull area, cheapest to dearest *single model*        that cost range
:func:`aiq`                    RouterBench's AIQ, over the cost range given         that cost range
:func:`aiq` without a range    cascade-routing's area over its own points           own cost range
:func:`aiq_routerbench`        AIQ over its own points, as RouterBench's code has it largest cost
:func:`apgr`, :func:`cpt`      RouteLLM's recovered gap, weak to strong model       gap, and cost gap
:func:`perf_gain`              LLMRouterBench: best setting against best single     its quality
:func:`cost_save`              LLMRouterBench: as good as best single, cheaper      its cost
:func:`oracle_share`           share of what a perfect choice would add             that
=============================  ===================================================  ==================

Costs are means in USD per request, qualities means in [0, 1]. The headline is no area: the mean quality over budgets
that were enforced (:func:`dacr.metrics.budgets.budgeted_quality`).
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from dacr.core.errors import UserError
from dacr.metrics.hull import checked_points, upper_hull
from dacr.types import Floats


@dataclass(frozen=True)
class Frontier:
    """A non-decreasing upper convex hull, and what can be read off it.

    Attributes
    ----------
    cost : (n_vertex,) float, USD per request, strictly rising
    quality : (n_vertex,) float, strictly rising

    Examples
    --------
    >>> frontier = Frontier.of([1.0, 3.0], [0.2, 0.8])
    >>> round(float(frontier.quality_at(2.0)), 3), float(frontier.cost_at(0.5)), frontier.area(1.0, 3.0)
    (0.5, 2.0, 0.5)
    """

    cost: Floats
    quality: Floats

    @classmethod
    def of(cls, cost: ArrayLike, quality: ArrayLike) -> Self:
        """Build the frontier of any points, in any order."""
        return cls(*upper_hull(cost, quality))

    def quality_at(self, cost: ArrayLike) -> Floats:
        """Return the quality had for a mean cost; NaN left of the cheapest point, flat right of the best."""
        wanted = np.asarray(cost, dtype=np.float64)
        out: Floats = np.interp(wanted, self.cost, self.quality)
        return np.where(wanted < self.cost[0], np.nan, out)

    def cost_at(self, quality: ArrayLike) -> Floats:
        """Return the least mean cost of a quality; the cheapest point's cost below it, NaN where out of reach."""
        wanted = np.asarray(quality, dtype=np.float64)
        out: Floats = np.interp(wanted, self.quality, self.cost)
        return np.where(wanted > self.quality[-1], np.nan, out)

    def area(self, low: float, high: float) -> float:
        """Return the mean height between two costs: the integral / (high - low), in units of quality.

        Right of the last vertex the frontier is flat. Where low equals high it is the height there.

        Raises
        ------
        UserError
            The range starts left of the cheapest point, where nothing can be bought, or is reversed.
        """
        if not (np.isfinite(low) and np.isfinite(high) and low <= high):
            raise UserError(f"a cost range needs two finite ends, the lower first; got {low:g} to {high:g}")
        if low < self.cost[0] * (1 - 1e-12):
            raise UserError(
                f"the frontier starts at {self.cost[0]:g} USD, right of the cost range from {low:g} USD; "
                "add the cheapest single model to its points"
            )
        if low == high:
            return float(np.interp(low, self.cost, self.quality))
        inner = self.cost[(self.cost > low) & (self.cost < high)]
        x = np.concatenate([[low], inner, [high]])
        return float(np.trapezoid(np.interp(x, self.cost, self.quality), x) / (high - low))


def lambda_frontier_area(
    cost: ArrayLike, quality: ArrayLike, single_cost: ArrayLike, single_quality: ArrayLike
) -> float:
    r"""Hull area of a router's settings between the cheapest and the dearest single model.

    :math:`\frac{1}{c_1 - c_0} \int_{c_0}^{c_1} h(c)\,dc` with c_0, c_1 the lowest and highest mean cost of a
    single model, and h the hull of the settings together with the cheapest single model, at which every
    frontier starts. Normalised by the single models' cost range, the same for all routers of a table.

    Parameters
    ----------
    cost, quality : (n_setting,) float
    single_cost, single_quality : (n_model,) float
        Each model called for everything, on the same requests.
    """
    x, y = checked_points(cost, quality)
    sx, sy = checked_points(single_cost, single_quality)
    start = np.lexsort((-sy, sx))[0]
    frontier = Frontier.of(np.append(x, sx[start]), np.append(y, sy[start]))
    return frontier.area(float(sx.min()), float(sx.max()))


def aiq(cost: ArrayLike, quality: ArrayLike, low: float | None = None, high: float | None = None) -> float:
    r"""Average improvement in quality of RouterBench (arXiv 2403.12031, section 3).

    :math:`\mathrm{AIQ} = \frac{1}{c_{max} - c_{min}} \int_{c_{min}}^{c_{max}} \tilde R\,dc` with R~ the
    non-decreasing convex hull. Normalised by the cost range *given*; without one, by the range of these very
    points (the area of cascade-routing, arXiv 2410.10347), and then two routers are not comparable. Left of the
    cheapest point the frontier goes on to the null router at (0, 0), right of the best one it is flat, as there.

    Parameters
    ----------
    cost, quality : (n_setting,) float
    low, high : float, USD per request
        c_min and c_max; both default to the points' own.
    """
    x, y = checked_points(cost, quality)
    low = float(x.min()) if low is None else low
    high = float(x.max()) if high is None else high
    if 0 <= low < x.min():
        x, y = np.append(x, 0.0), np.append(y, 0.0)
    return Frontier.of(x, y).area(low, high)


def aiq_routerbench(cost: ArrayLike, quality: ArrayLike) -> float:
    r"""AIQ as RouterBench's own code divides it: by the largest cost instead of the range of costs.

    :math:`\frac{1}{c_{max}} \int_{c_{min}}^{c_{max}} \tilde R\,dc` over the range of these very points. It is
    :math:`1 - c_{min} / c_{max}` of what :func:`aiq` gives without a range, about .012 less on RouterBench's own
    models. NaN where nothing costs anything.
    """
    x, y = checked_points(cost, quality)
    dearest = float(x.max())
    return aiq(x, y) * (1.0 - float(x.min()) / dearest) if dearest > 0 else float("nan")


def apgr(cost: ArrayLike, quality: ArrayLike, weak: tuple[float, float], strong: tuple[float, float]) -> float:
    r"""Average performance gap recovered, after RouteLLM (arXiv 2406.18665), for any number of models.

    :math:`\int_0^1 \frac{h(c_w + s (c_s - c_w)) - q_w}{q_s - q_w}\,ds`. RouteLLM's axis is the share of calls
    to the strong of two models; with many models it is the share s of the way from the weak model's mean cost to
    the strong one's, which is the same thing where there are two of constant cost. h is the hull of the settings
    and of both models. Normalised twice: quality by the gap, cost by the cost gap.

    Parameters
    ----------
    cost, quality : (n_setting,) float
    weak, strong : (cost, quality)
        Mean of each model called for everything.

    Returns
    -------
    float
        0.5 for random mixing of the two models; NaN where the strong model is no better or no dearer than the
        weak one, as then there is no gap.
    """
    frontier = _between(cost, quality, weak, strong)
    if frontier is None:
        return float("nan")
    return (frontier.area(weak[0], strong[0]) - weak[1]) / (strong[1] - weak[1])


def cpt(
    cost: ArrayLike, quality: ArrayLike, weak: tuple[float, float], strong: tuple[float, float], share: float
) -> float:
    r"""Call-performance threshold CPT(x) of RouteLLM (arXiv 2406.18665), for any number of models.

    The least share of the way from the weak model's cost to the strong one's at which the share ``share`` of
    the quality gap is recovered; CPT(50 %) is ``share=0.5``. Normalised as :func:`apgr`; smaller is better. It is
    negative where a setting that is cheaper than the weak model suffices. NaN where there is no gap.
    """
    frontier = _between(cost, quality, weak, strong)
    if frontier is None:
        return float("nan")
    needed = float(frontier.cost_at(weak[1] + share * (strong[1] - weak[1])))
    return (needed - weak[0]) / (strong[0] - weak[0])


def _between(
    cost: ArrayLike, quality: ArrayLike, weak: tuple[float, float], strong: tuple[float, float]
) -> Frontier | None:
    x, y = checked_points(cost, quality)
    ends, heights = checked_points([weak[0], strong[0]], [weak[1], strong[1]])
    if ends[1] <= ends[0] or heights[1] <= heights[0]:
        return None
    return Frontier.of(np.concatenate([x, ends]), np.concatenate([y, heights]))


def perf_gain(cost: ArrayLike, quality: ArrayLike, best_quality: float) -> float:
    r"""PerfGain after LLMRouterBench (arXiv 2601.07206): the best setting against the best single model.

    :math:`\max_k \bar q_k / q_{best} - 1`, whatever it costs. Normalised by the best single model's quality; NaN
    where that is 0.
    """
    _, y = checked_points(cost, quality)
    return float(y.max() / best_quality - 1.0) if best_quality > 0 else float("nan")


def cost_save(cost: ArrayLike, quality: ArrayLike, best_cost: float, best_quality: float) -> float:
    r"""CostSave after LLMRouterBench (arXiv 2601.07206): how much cheaper the best single model's quality gets.

    :math:`1 - \min\{\bar c_k : \bar q_k \ge q_{best}\} / c_{best}` over the settings that were measured (nothing
    interpolated). Normalised by the best single model's cost. NaN where no setting is as good.
    """
    x, y = checked_points(cost, quality)
    enough = y >= best_quality
    return float(1.0 - x[enough].min() / best_cost) if enough.any() and best_cost > 0 else float("nan")


def oracle_share(quality: float, best_quality: float, oracle_quality: float) -> float:
    """Share of the way from the best single model to the oracle; negative below the former, NaN without a gap."""
    gap = oracle_quality - best_quality
    return (quality - best_quality) / gap if gap > 0 else float("nan")
