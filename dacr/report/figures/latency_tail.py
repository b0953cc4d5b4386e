"""The tail of the latency distribution of every router at one setting each."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from dacr.core.registry import figures
from dacr.report import style, trade_off
from dacr.report.comparison import latency_quantiles, read_decisions
from dacr.report.equal_money import operating_points, portions
from dacr.report.figure import Figure, headline, legend
from dacr.report.folder import Results

N_POINT = 160
"""Quantiles per router: millions of decisions become a CSV of a few hundred rows."""


@figures.register("latency_tail")
class LatencyTail(Figure):
    """How often is an answer slower than x seconds."""

    size_in = (style.DOUBLE_IN, 3.3)
    beside = "policy"

    def frame(self, results: Results) -> pd.DataFrame:
        """One row per router and share: the latency that this share of its answers exceeds."""
        points = operating_points(results)
        decisions = read_decisions(results, portions(points), ("policy", "setting", "latency_s"))
        share = np.geomspace(1.0, 1.0 / max(int(points["n"].max()), 2), N_POINT)
        parts = [
            pd.DataFrame(
                {
                    "policy": point["policy"],
                    "setting": point["setting"],
                    "second": point["second"],
                    "weight": point["weight"],
                    "share_slower": share,
                    "latency_s": latency_quantiles(decisions, point, 1.0 - share),
                }
            )
            for point in points.to_dict("records")
        ]
        frame = pd.concat(parts, ignore_index=True).dropna(subset=["latency_s"])
        frame["policy"] = pd.Categorical(frame["policy"], style.in_order(frame["policy"]))
        frame = frame.sort_values(["policy", "share_slower"], ascending=[True, False], kind="stable")
        return frame.astype({"policy": object}).assign(tau_s=results.tau_s, note=results.setting)

    def draw(self, frame: pd.DataFrame, fig: Canvas) -> None:
        """Draw the complementary distribution functions, both axes logarithmic."""
        headline(fig, "Tail of the latency", frame["note"].iloc[0])
        ax = fig.subplots()
        ax.set(xscale="log", yscale="log")
        handles = []
        tau = float(frame["tau_s"].iloc[0])
        for i, router in enumerate(style.in_order(frame["policy"])):
            part = frame[frame["policy"] == router]
            kwargs, handle = style.look(router).curve()
            ax.plot(
                part["latency_s"],
                part["share_slower"],
                **kwargs,
                drawstyle="steps-post",
                markevery=(10 + (i * 5) % 24, 28),
            )
            handles.append(handle)
        low = frame.loc[frame["share_slower"] <= 0.98, "latency_s"].min()
        ax.set_xlim(low, frame["latency_s"].max() * 1.08)
        ax.set_ylim(frame["share_slower"].min(), 1.15)
        if ax.get_xlim()[0] <= tau <= ax.get_xlim()[1]:  # else its name would stand outside the axes
            ax.axvline(tau, color="#444444", linewidth=0.8, linestyle=(0, (5, 2)), zorder=1.6)
            ax.text(
                tau, 1.01, f"objective {tau:g} s", transform=ax.get_xaxis_transform(), ha="center", va="bottom",
                fontsize=6, color="#444444",
            )  # fmt: skip
        trade_off.plain_log_ticks(ax)
        ax.yaxis.set_major_locator(LogLocator(base=10, numticks=12))
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
        ax.set_xlabel("Latency x (seconds, log scale)")
        ax.set_ylabel("Answers slower than x (log scale)")
        legend(ax, handles)

    def caption(self, frame: pd.DataFrame) -> str:
        """Say which setting each router is shown at."""
        return (
            "Share of answers slower than x; lower is better. Every router stands where the main table has it, at "
            "equal money. Waits for several calls count in full."
        )
