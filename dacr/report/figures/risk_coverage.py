"""Risk and coverage: how often answers are wrong, where only those of the highest confidence are given."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import PercentFormatter

from dacr.core.registry import figures
from dacr.metrics.selective import risk_coverage
from dacr.report import style
from dacr.report.comparison import answers_at, read_decisions
from dacr.report.equal_money import operating_points, portions
from dacr.report.figure import Figure, headline, legend
from dacr.report.folder import Absent, Results

LEAST, N_POINT = 0.05, 96
"""Curves begin at this coverage, since the first few answers of a router are noise, and have so many points."""


@figures.register("risk_coverage")
class RiskCoverage(Figure):
    """How good are the answers that each router is most confident of."""

    size_in = (style.DOUBLE_IN, 3.3)
    beside = "policy"

    def frame(self, results: Results) -> pd.DataFrame:
        """One row per router and coverage: mean 1 - quality of that share of its answers."""
        points = operating_points(results)
        columns = ("policy", "setting", "p_hat", "quality")
        decisions = read_decisions(results, portions(points), columns).dropna(subset=["p_hat"])
        parts = [_curve(decisions, point) for point in points.to_dict("records")]
        frame = pd.concat(parts, ignore_index=True)
        if frame.empty:
            raise Absent("no router says how confident it is of its answers")
        return frame.assign(note=results.setting)

    def draw(self, frame: pd.DataFrame, fig: Canvas) -> None:
        """Draw one curve per router."""
        headline(fig, "Risk and coverage", frame["note"].iloc[0])
        ax, handles = fig.subplots(), []
        for i, router in enumerate(style.in_order(frame["policy"])):
            part, (kwargs, handle) = frame[frame["policy"] == router], style.look(router).curve()
            ax.plot(part["coverage"], part["risk"], **kwargs, markevery=(5 + (i * 5) % 24, 24))
            handles.append(handle)
        ax.set_xlim(0.0, 1.0)
        ax.set_ylim(bottom=0.0)
        ax.xaxis.set_major_formatter(PercentFormatter(1.0))
        ax.set_xlabel("Coverage: share of answers given, most confident first")
        ax.set_ylabel("Risk: mean of 1 - quality")
        legend(ax, handles)

    def caption(self, frame: pd.DataFrame) -> str:
        """Say what confidence is, and which setting each router is shown at."""
        return (
            "Mean of 1 - quality over the share of answers of which a router is most confident (its estimate of the "
            "model that it chose); lower is better, and a flat curve is a confidence that knows nothing. Every router "
            "stands where the main table has it, at equal money; nothing is calibrated to a promise on this domain."
        )


def _curve(decisions: pd.DataFrame, point: Mapping[str, Any]) -> pd.DataFrame:
    """Return the curve of a router at its operating point, which may mix two settings."""
    answers, weight = answers_at(decisions, point)
    coverage, risk = risk_coverage(answers["p_hat"].to_numpy(float), answers["quality"].to_numpy(float), weight)
    at = np.linspace(LEAST, 1.0, N_POINT if len(risk) else 0)
    shown = np.interp(at, coverage, risk) if len(risk) else at
    return pd.DataFrame({"policy": point["policy"], "coverage": at, "risk": shown})
