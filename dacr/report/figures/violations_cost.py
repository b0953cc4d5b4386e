"""The share of late answers against cost."""

import pandas as pd
from matplotlib.figure import Figure as Canvas

from dacr.core.registry import figures
from dacr.report import style, trade_off
from dacr.report.figure import Figure, headline, legend
from dacr.report.folder import Results


@figures.register("violations_cost")
class ViolationsCost(Figure):
    """Who is late, and what does it cost to be in time."""

    size_in = (style.DOUBLE_IN, 3.3)
    beside = "policy"

    def frame(self, results: Results) -> pd.DataFrame:
        """One row per router and setting and per single model; ``target`` is the tolerated share, if any."""
        frame = trade_off.points(results, "slo_violation_rate")
        frame["y"] *= 100.0
        frame[["y_lo", "y_hi"]] = frame[["y_lo", "y_hi"]] * 100.0
        target = results.config.get("dacr_budget_viol")
        tau = results.tau_s
        return frame.assign(
            target_percent=100.0 * float(target) if isinstance(target, (int, float)) and target else float("nan"),
            tau_s=tau,
            note=results.setting,
        )

    def draw(self, frame: pd.DataFrame, fig: Canvas) -> None:
        """Draw the shares with the legend at the right."""
        headline(fig, "Late answers against cost", frame["note"].iloc[0])
        ax = fig.subplots()
        target = float(frame["target_percent"].iloc[0])
        handles = trade_off.draw(ax, frame)
        if target == target and target < ax.get_ylim()[1] * 1.6:
            ax.set_ylim(top=max(ax.get_ylim()[1], target * 1.08))
            line = ax.axhline(target, color="#444444", linewidth=0.8, linestyle=(0, (5, 2)), zorder=1.6)
            line.set_label(f"tolerated: {target:g} %")
            handles.append(line)
        if float(frame["y"].max()) == 0.0:  # nothing was late: say so on a scale that means something
            ax.set_ylim(-0.4, 10.0)
        ax.yaxis.set_major_formatter("{x:g} %")
        tau = float(frame["tau_s"].iloc[0])
        ax.set_ylabel(f"Answers later than {tau:g} s" if tau == tau else "Answers later than the objective")
        legend(ax, handles)
        trade_off.name_models(ax, frame, above=0.1 * float(frame["y"].max()))

    def caption(self, frame: pd.DataFrame) -> str:
        """Say what a point is."""
        return (
            "Share of answers that came later than the latency objective, against mean cost. Each mark is one "
            "router at one setting, joined in order of cost; down and left is better. Grey dots are single models "
            "called on every query (named where they are late often). A router that calls several models for one "
            f"query waits for all of them.{trade_off.own_budget(frame)}"
        )
