"""What was run, and what came out, in sentences made from the manifest and the numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from dacr.metrics.paired import LOSS, TIE, WIN
from dacr.report import style
from dacr.report.comparison import Comparison, compare
from dacr.report.equal_money import is_limit, operating_points, worth
from dacr.report.folder import Absent, Results
from dacr.report.table import count, stream_orders


def what_was_run(results: Results) -> list[str]:
    """Say in sentences what the manifest says, as far as it says it."""
    config, sources = results.config, mapping(results.manifest.get("sources"))
    metrics = results.table("metrics.csv")
    n_router = metrics["policy"].nunique()
    n = int(metrics["n"].max())
    models = f" among {len(results.table('singles.csv'))} models" if results.has("singles.csv") else ""
    held = results.held_out
    where = f"from domains that training never saw ({', '.join(held)})" if held else "from domains seen in training"
    trained = f", after training on {int(sources['n_train']):,}" if sources.get("n_train") else ""
    out = [f"{n_router} routers chose{models} for {n:,} test queries {where}{trained}."]
    if sources.get("missing_outcomes"):
        out.append(
            f"Outcomes are incomplete: {sources['missing_outcomes']}. A model can't be called where it was not "
            "recorded, and means of single models are over the queries where they were."
        )
    if sources.get("costs"):
        out.append(f"Costs: {sources['costs']}.")
    if "predictor" in config and "calibrator" in config:
        out.append(
            f"Quality was predicted by {config['predictor']} and calibrated by {config['calibrator']}, unless a "
            "router brings its own."
        )
    if results.tau_s == results.tau_s:
        latency = f" Latency of the test calls: {sources['test_latency']}." if sources.get("test_latency") else ""
        out.append(f"A call that takes longer than {results.tau_s:g} s is late.{latency}")
    out.append(_runs(metrics))
    if "dacr_delay" in config and "dacr_p_miss" in config:
        out.append(
            f"Ratings reach a learner {config['dacr_delay']} decisions late, and "
            f"{100 * float(config['dacr_p_miss']):g} % never come."
        )
    out.append(
        "CLAIRVOYANT: decisions used the true cost and lateness of every model (--decision_info oracle)."
        if results.clairvoyant
        else "Decisions used estimates alone; what knows the truth is marked as clairvoyant."
    )
    return out


def _runs(metrics: pd.DataFrame) -> str:
    """Say how many runs there were, and which of them differ in the order of the stream."""
    ordered = metrics["order_matters"]
    orders, times = stream_orders(metrics.loc[ordered, "n_seed"]), count(metrics.loc[~ordered, "n_seed"])
    times = {"1": "once", "2": "twice"}.get(times, f"{times} times")
    if ordered.all():
        return f"Everything ran in {orders}; numbers are means over them."
    if not ordered.any():
        return f"The order of requests plays no part: everything ran {times}, and numbers are means over these runs."
    return (
        "Where the order of requests matters (to learners, and to every router that keeps a budget, waits in queues or "
        f"meets a stream that changes) routers ran in {orders}; elsewhere it plays no part, and they ran {times}, with "
        "draws of their own. Numbers are means over runs."
    )


def fingerprint(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what identifies a run, as far as its manifest tells: code, command, data, versions."""
    git = mapping(manifest.get("git"))
    dirty = " with uncommitted changes" if git.get("dirty") else ""
    rows = [("code", f"dacr {manifest.get('dacr', '?')}, commit {git.get('commit', 'unknown')}{dirty}")]
    argv = manifest.get("argv")
    if isinstance(argv, list) and argv:
        rows.append(("command", " ".join(map(str, argv))))
    for role, file in sorted(mapping(manifest.get("inputs")).items()):
        file = mapping(file)
        rows.append((f"input: {role}", f"{file.get('path', '?')} (SHA-256 {file.get('sha256', '?')})"))
    versions = mapping(manifest.get("versions"))
    if versions:
        rows.append(("versions", ", ".join(f"{name} {number}" for name, number in sorted(versions.items()))))
    return rows


def answer(results: Results) -> list[str]:
    """Return the answer in three sentences: the first router, whom it beats and who beats it, and the limits."""
    try:
        made = compare(results)
    except Absent:
        return _answer_without_intervals(operating_points(results))
    own = made.points.iloc[0]
    name = style.look(str(own["policy"])).label
    interval = f" [{own['quality_lo']:.3f}, {own['quality_hi']:.3f}]" if own["quality_lo"] == own["quality_lo"] else ""
    first = (
        f"{name} reaches a mean quality of {own['mean_quality']:.3f}{interval} at {1000 * own['mean_cost']:.3g} USD "
        f"per 1,000 requests, with {100 * own['slo_violation_rate']:.1f} % of its answers late."
    )
    return [first, _rivals(made, name, worth(results)), _limits(made, name)]


def _rivals(made: Comparison, name: str, compared: str) -> str:
    dearer = set(made.points.loc[made.points["dearer"].astype(bool), "policy"])
    if made.points["policy"].iloc[0] in dearer:
        return f"{name} keeps to none of the costs that were fixed beforehand, so it is compared with nobody."
    rivals = made.differences
    if len(rivals):
        rivals = rivals[[not is_limit(p) and p not in dearer for p in rivals["name"]]]
    if rivals.empty:
        return "No other router was run at a cost that compares."
    beaten = rivals[rivals["verdict"] == LOSS].sort_values("difference", ascending=False)
    ahead = rivals[rivals["verdict"] == WIN].sort_values("difference", ascending=False)
    ties = rivals[rivals["verdict"] == TIE]
    parts = []
    if len(beaten):
        shown = [
            f"{style.look(r.name_).label} by {_span(-r.difference, -r.high, -r.low)}" for r in _rows(beaten.head(3))
        ]
        more = f" and {len(beaten) - 3} more by larger margins" if len(beaten) > 3 else ""
        parts.append(f"it beats {', '.join(shown)}{more}")
    if len(ties):
        parts.append(f"it ties with {_list([style.look(n).label for n in ties['name']])}")
    if len(ahead):
        shown = [f"{style.look(r.name_).label} by {_span(r.difference, r.low, r.high)}" for r in _rows(ahead)]
        parts.append(f"it is beaten by {_list(shown)}")
    if not parts:
        return f"Whether {name} beats any of them cannot be said: one run of a learner allows no interval."
    at = f"{1000 * made.cost:.3g} USD per 1,000 requests"
    text = f"Among routers at equal money, {at}, compared by {compared}, {'; '.join(parts)}."
    return text if len(ahead) else text[:-1] + "; none beats it." if len(beaten) + len(ties) == len(rivals) else text


def _limits(made: Comparison, name: str) -> str:
    own = made.points.iloc[0]
    parts = []
    for _, row in made.points.iloc[1:].iterrows():
        label = style.look(str(row["policy"])).label
        if row["policy"] == "strongest" and row["dearer"]:
            times = row["mean_cost"] / own["mean_cost"]
            parts.append(f"the strongest model, for {times:,.1f} times the money, {row['mean_quality']:.3f}")
        elif is_limit(str(row["policy"])):
            parts.append(f"{label} {row['mean_quality']:.3f}")
    if not parts:
        return "No limit (oracle, full information) was run beside it."
    return f"For orientation, limits rather than rivals of {name}: {'; '.join(parts)}."


def _answer_without_intervals(points: pd.DataFrame) -> list[str]:
    own = points.iloc[0]
    name = style.look(str(own["policy"])).label
    return [
        f"{name} reaches a mean quality of {own['mean_quality']:.3f} at {1000 * own['mean_cost']:.3g} USD per 1,000 "
        "requests.",
        "Without decisions.parquet nothing can be said about chance, so no router is called better than another.",
        "Run the experiment again to get intervals.",
    ]


def _rows(frame: pd.DataFrame) -> list[Any]:
    return list(frame.rename(columns={"name": "name_"}).itertuples())


def _span(value: float, low: float, high: float) -> str:
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def mapping(value: object) -> Mapping[str, Any]:
    """Return a part of a manifest; nothing where it is no mapping."""
    return value if isinstance(value, dict) else {}
