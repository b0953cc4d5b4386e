"""Who is called when: the share of each model along the price of a dollar."""

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Patch

from dacr.core.registry import figures
from dacr.report import style
from dacr.report.figure import Figure, fold, headline, legend
from dacr.report.folder import Absent, Results, short_names

WANTED = ("dacr", "dacr_full", "predict_optimize", "dacr_eq9", "knn", "joint_ranker", "oracle")
MOST = 4


@figures.register("model_share")
class ModelShare(Figure):
    """Which models a router calls as money grows dear."""

    size_in = (style.DOUBLE_IN, 2.9)
    beside = "label"

    def frame(self, results: Results) -> pd.DataFrame:
        """One row per router, lambda and model: share of the requests."""
        metrics = results.frontier().dropna(subset=["lambda_cost"])
        steps = metrics.groupby("policy")["lambda_cost"].nunique()
        rich = [router for router in (*WANTED, *style.in_order(steps.index)) if steps.get(router, 0) >= 2]
        shown = [p for p in dict.fromkeys(rich) if p in WANTED or not style.look(p).reference][:MOST]
        if not shown:
            raise Absent("no router has two settings of lambda")
        counts = _counts(results, shown)
        cost = results.table("singles.csv").set_index("model")["mean_cost"] if results.has("singles.csv") else None
        models = sorted(counts["model"].unique(), key=lambda m: (cost.get(m, 0.0) if cost is not None else 0.0, m))
        names = short_names(models)
        counts["share"] = counts["n"] / counts.groupby(["policy", "lambda_cost"])["n"].transform("sum")
        counts["rank"] = counts["model"].map({model: i for i, model in enumerate(models)})
        counts["place"] = counts["policy"].map({router: i for i, router in enumerate(shown)})
        counts = counts.sort_values(["place", "lambda_cost", "rank"], kind="stable")
        counts["label"] = counts["model"].map(names)
        return counts[["policy", "lambda_cost", "label", "rank", "n", "share"]].assign(
            n_model=len(models), note=results.setting
        )

    def draw(self, frame: pd.DataFrame, fig: Canvas) -> None:
        """Draw stacked bars, one panel per router; the darker a model, the dearer."""
        headline(fig, "Which models are called", frame["note"].iloc[0])
        routers = frame["policy"].unique().tolist()
        axes = fig.subplots(1, len(routers), sharey=True, squeeze=False)[0]
        n_model = int(frame["n_model"].iloc[0])
        colours = mpl.colormaps["cividis_r"].resampled(max(n_model, 2))
        lambdas = sorted(frame["lambda_cost"].unique())
        for ax, router in zip(axes, routers, strict=True):
            table = frame[frame["policy"] == router].pivot_table(index="lambda_cost", columns="rank", values="share")
            table = table.reindex(lambdas).fillna(0.0)
            bottom = 0.0 * table.sum(axis=1).to_numpy()
            for rank in table.columns:
                share = table[rank].to_numpy()
                ax.bar(
                    range(len(lambdas)), share, 0.86, bottom=bottom, color=colours(int(rank)), edgecolor="white",
                    linewidth=0.3,
                )  # fmt: skip
                bottom = bottom + share
            ax.set_title(
                fold(style.look(router).label, 100 // len(routers)), fontsize=6.6, fontweight="normal", pad=2.5
            )
            ax.set_ylim(0, 1)
            ax.grid(False)
            ax.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25 %", "50 %", "75 %", "100 %"])
            ax.tick_params(length=0, axis="both")
            ax.set_xticks(range(len(lambdas)), [f"{value:g}" for value in lambdas], rotation=90, fontsize=5.8)
        fig.supxlabel("Price of money: quality worth one USD (lambda)")
        axes[0].set_ylabel("Share of requests")
        ranked = frame.drop_duplicates("rank").sort_values("rank", ascending=False)
        handles = [Patch(color=colours(int(r)), label=n) for r, n in zip(ranked["rank"], ranked["label"], strict=True)]
        legend(axes[-1], handles, handlelength=1.0, title="dearest model first")

    def caption(self, frame: pd.DataFrame) -> str:
        """Say what a bar is."""
        return (
            "Share of requests answered by each model as money grows dear, from left to right; the darker, the dearer "
            "the model. All stream orders together."
        )


def _counts(results: Results, routers: list[str]) -> pd.DataFrame:
    keys = ["policy", "lambda_cost", "setting", "model"]
    table = results.decisions(keys, pd.DataFrame({"policy": routers}))
    counts = table.group_by(keys).aggregate([([], "count_all")]).to_pandas().rename(columns={"count_all": "n"})
    counts = counts.dropna(subset=["lambda_cost"]).astype({"policy": object, "model": object})
    counts["model"] = counts["model"].fillna("no call")
    counts = counts[results.along_frontier(counts)].groupby(["policy", "lambda_cost", "model"])["n"].sum().reset_index()
    if counts.empty:
        raise Absent("decisions.parquet has none of the policies with several lambdas")
    return counts
