"""Mean quality by router, as bars."""

from dacr.core.registry import figures
from dacr.report.figure import Figure, headline


@figures.register("newcomer_figure")
class QualityBars(Figure):
    """The best setting of each router."""

    def frame(self, results):
        """One row per router."""
        best = results.frontier().groupby("policy", sort=False)["mean_quality"].max()
        return best.reset_index().assign(note=results.setting)

    def draw(self, frame, fig):
        """Draw one bar per router."""
        headline(fig, "Mean quality at the best setting", frame["note"].iloc[0])
        ax = fig.subplots()
        ax.barh(frame["policy"], frame["mean_quality"])
        ax.set_xlabel("Mean quality")

    def caption(self, frame):
        """Say what a bar is."""
        return "Mean quality of each router at the setting where it is highest."
