"""A made-up results folder, in the shape that an experiment writes, small and quick."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from dacr.metrics.calibration.bins import Groups
from dacr.metrics.calibration.reliability import pooled_bins
from dacr.metrics.frontier import lambda_frontier_area

MODELS = {  # name: (mean quality, USD per query, seconds)
    "gpt-4-1106-preview": (0.78, 3.3e-3, 7.0),
    "zero-one-ai/Yi-34B-Chat": (0.65, 1.86e-4, 4.0),
    "claude-v2": (0.636, 2.42e-3, 6.0),
    "claude-v1": (0.63, 2.15e-3, 5.5),
    "gpt-3.5-turbo-1106": (0.62, 2.43e-4, 2.0),
    "claude-instant-v1": (0.6, 2.33e-4, 2.2),
    "mistralai/mixtral-8x7b-chat": (0.55, 1.35e-4, 2.5),
    "WizardLM/WizardLM-13B-V1.2": (0.43, 7.3e-5, 3.0),
    "meta/llama-2-70b-chat": (0.33, 2.0e-4, 5.0),
    "mistralai/mistral-7b-chat": (0.31, 4.6e-5, 1.5),
    "meta/code-llama-instruct-34b-chat": (0.2, 1.7e-4, 3.5),
}
DOMAINS = ["grade-school-math", "mbpp", "mmlu-law", "mmlu-anatomy", "winogrande"]
TAU_S = 10.0
LAMBDAS = (1.0, 5.0, 10.0, 20.0, 50.0, 100.0, 1000.0)
NOISE = {  # how badly each router sees the true probabilities
    "dacr": 0.25,
    "dacr_full": 0.2,
    "dacr_eq9": 0.6,
    "predict_optimize": 0.5,
    "joint_ranker": 0.7,
    "knn": 0.8,
    "oracle": 0.0,
    "my_plugin": 0.9,
}
LEARNERS = ("dacr", "dacr_full", "dacr_eq9", "my_plugin")
SCALARS = ["mean_quality", "mean_cost", "mean_latency_s", "slo_violation_rate"]


def write(folder: Path, n: int = 300, seeds: tuple[int, ...] = (1, 2, 3), *, later: bool = True) -> Path:
    """Write the folder; ``later`` adds the tables of budgets, regret and duals."""
    rng = np.random.default_rng(7)
    folder.mkdir(parents=True, exist_ok=True)
    names = list(MODELS)
    q0, c0, l0 = (np.array([MODELS[m][k] for m in names]) for k in range(3))
    domain = rng.integers(len(DOMAINS), size=n)
    hard = rng.normal(0, 1.2, size=(n, 1)) + np.linspace(-0.6, 0.6, len(DOMAINS))[domain][:, None]
    p = 1 / (1 + np.exp(-(np.log(q0 / (1 - q0)) * 1.3 - hard + rng.normal(0, 0.8, (n, len(names))))))
    quality = (rng.random(p.shape) < p).astype(float)
    cost = c0 * rng.lognormal(-0.1, 0.5, p.shape)
    latency = l0 * rng.lognormal(-0.1, 0.45, p.shape)
    late = latency > TAU_S
    rows, strongest, cheapest = [], int(q0.argmax()), int(c0.argmin())
    second, weak, last = (min(k, len(names) - 1) for k in (1, 4, 9))

    def add(policy: str, setting: str, lam: float, seed: int, arm: np.ndarray, paid: np.ndarray | None = None) -> None:
        i = np.arange(n)
        rows.append(
            pd.DataFrame(
                {
                    "policy": policy,
                    "lambda_cost": lam,
                    "setting": setting,
                    "seed": seed,
                    "t": i,
                    "qid": [f"q{k}" for k in i],
                    "domain": np.array(DOMAINS)[domain],
                    "model": np.array(names)[arm],
                    "quality": quality[i, arm],
                    "cost": cost[i, arm] if paid is None else paid,
                    "latency_s": latency[i, arm],
                    "slo_violation": late[i, arm],
                    "attempts": 1,
                    "p_hat": p[i, arm],
                }
            )
        )

    for seed in seeds:
        for policy, noise in NOISE.items():
            seen = quality if policy == "oracle" else np.clip(p + rng.normal(0, noise * 0.5, p.shape), 0, 1)
            for lam in LAMBDAS:
                arm = (seen - lam * c0 - 0.2 * late.mean(0)).argmax(1)
                add(policy, f"lambda={lam:g}", lam, seed, arm)
        for level in np.linspace(0, 1, 6):
            gap = np.clip(p[:, strongest] - p[:, weak] + rng.normal(0, 0.25, n), -1, 1)
            arm = np.where(np.argsort(np.argsort(-gap)) < level * n, strongest, weak)
            add("routellm", f"threshold={level:g}", np.nan, seed, arm)
            mix = np.where(rng.random(n) < level, strongest, second)
            add("zero", f"lambda={level:g}", level, seed, mix)
            unsure = rng.random(n) < level
            add(
                "cascade",
                f"threshold={level:g}",
                np.nan,
                seed,
                np.where(unsure, strongest, last),
                np.where(unsure, cost[:, strongest], 0) + cost[:, last],
            )
        add("random", "", np.nan, seed, rng.integers(len(names), size=n))
        for policy, arm in (("cheapest", cheapest), ("strongest", strongest), ("best_single", strongest)):
            add(policy, "", np.nan, seed, np.full(n, arm))
    decisions = pd.concat(rows, ignore_index=True)
    decisions["setting"] = decisions["setting"].replace("", "fixed")
    _write_metrics(folder, decisions, n, seeds)
    for column in ("policy", "setting", "model", "domain"):
        decisions[column] = decisions[column].astype("category")
    decisions.to_parquet(folder / "decisions.parquet", index=False)
    pd.DataFrame(
        {
            "model": names,
            "n": n,
            "mean_quality": quality.mean(0),
            "mean_cost": cost.mean(0),
            "mean_latency_s": latency.mean(0),
            "slo_violation_rate": late.mean(0),
        }
    ).to_csv(folder / "singles.csv", index=False)
    _write_calibration(folder, names, p, quality, np.array(DOMAINS, dtype=object)[domain], rng)
    _write_frontier(folder)
    if later:
        _write_later(folder, rng)
    config = {
        "ood_holdout": ["grade-school-math", "mbpp"],
        "tau_seconds": TAU_S,
        "decision_info": "predicted",
        "seeds": list(seeds),
        "lambdas": list(LAMBDAS),
        "dacr_budget_viol": 0.1,
        "dacr_budget_cost": 0.0055,
        "dacr_delay": 10,
        "dacr_p_miss": 0.3,
    }
    (folder / "checks.csv").write_text(
        "code,title,status,severity,message,fix\n"
        "DACR001,latency is known for every outcome,passed,,,\n"
        "DACR002,no router is dominated by the zero router,found,warning,kNN lies below a blind mixture,leave it out\n"
    )
    (folder / "manifest.json").write_text(json.dumps({"stage": "run_experiment", "config": config, "n_test": n}))
    return folder


def _write_metrics(folder: Path, decisions: pd.DataFrame, n: int, seeds: tuple[int, ...]) -> None:
    decisions = decisions.assign(family=decisions["domain"].str.split("-").str[0])
    decisions.loc[decisions["domain"] == "grade-school-math", "family"] = "grade-school-math"
    keys = ["policy", "lambda_cost", "setting"]

    def group(by: list[str]) -> pd.DataFrame:
        g = decisions.groupby(by, dropna=False, sort=False)
        out = g.agg(
            n=("qid", "nunique"),
            mean_quality=("quality", "mean"),
            mean_cost=("cost", "mean"),
            mean_latency_s=("latency_s", "mean"),
            p95_latency_s=("latency_s", lambda x: x.quantile(0.95)),
            p99_latency_s=("latency_s", lambda x: x.quantile(0.99)),
            slo_violation_rate=("slo_violation", "mean"),
            attempts_mean=("attempts", "mean"),
        ).reset_index()
        out["decision_info"] = np.where(out["policy"] == "oracle", "oracle", "predicted")
        out["clairvoyant"] = out["policy"] == "oracle"
        out["learns"] = out["order_matters"] = out["policy"].isin(LEARNERS)
        out["enforced"] = out["budgeted"] = False
        out["budget_cost"] = np.nan
        return out

    group(keys).assign(n_seed=len(seeds)).to_csv(folder / "metrics.csv", index=False)
    group([*keys, "seed"]).to_csv(folder / "metrics_by_seed.csv", index=False)
    group([*keys, "domain", "family"]).to_csv(folder / "metrics_by_domain.csv", index=False)


def _write_frontier(folder: Path) -> None:
    metrics, singles = (pd.read_csv(folder / name) for name in ("metrics.csv", "singles.csv"))
    rows = []
    for policy, own in metrics.groupby("policy"):
        values = own["mean_cost"], own["mean_quality"], singles["mean_cost"], singles["mean_quality"]
        area = lambda_frontier_area(*values)
        rows.append({"policy": policy, "seed": "mean", "area": area, "net_area": area})
    pd.DataFrame(rows).to_csv(folder / "frontier.csv", index=False)


def _write_calibration(
    folder: Path, names: list[str], p: np.ndarray, quality: np.ndarray, domain: np.ndarray, rng: np.random.Generator
) -> None:
    good = np.clip(p[:, : len(names)] + rng.normal(0, 0.08, p.shape), 0.001, 0.999)
    bad = 1 / (1 + np.exp(-(2.2 * np.log(good / (1 - good)) + 1.0)))
    series = [("none", "raw", bad), ("platt", "offline", good), ("dacr", "online_counterfactual", (2 * good + bad) / 3)]
    groups = Groups.of(domain)
    bins, eces = [], []
    for calibrator, stage, x in series:
        how = {"calibrator": calibrator, "stage": stage}
        found = pd.DataFrame(pooled_bins(x[None], quality, groups, [0, *groups.families]))
        where = np.array(groups.names, dtype=object)[found.pop("group")]
        bins.append(found.assign(model="all", domain=where, **how))
        for j, model in enumerate(names):
            if stage == "online_counterfactual":
                continue
            found = pd.DataFrame(pooled_bins(x[None, :, [j]], quality[:, [j]], groups, [0]))
            bins.append(found.drop(columns="group").assign(model=model, domain="all", **how))
            ece = float((found["n"] * (found["mean_p"] - found["mean_q"]).abs()).sum() / found["n"].sum())
            eces += [(model, calibrator, name, stage, len(p), ece, ece / 3, 0.2, 0.6) for name in ["all", *DOMAINS]]
    columns = ["model", "calibrator", "domain", "stage"]
    wide = pd.concat(bins, ignore_index=True)
    wide = wide[[*columns, *(name for name in wide.columns if name not in columns)]]
    wide.to_csv(folder / "reliability.csv", index=False)
    table = pd.DataFrame(eces, columns=[*columns, "n", "ece", "ece_null", "brier", "log_loss"])
    table.assign(setting="").to_csv(folder / "calibration_ece.csv", index=False)


def _write_later(folder: Path, rng: np.random.Generator) -> None:
    names = [(plan, domain) for plan in ("gate(a, b > c)", "cue(a > c)") for domain in ("all", *DOMAINS)]
    what = {"n": 40, "share_agreed": 0.75, "right_agreed": 0.9, "right_fallback": 0.6, "quality": 0.825, "calls": 2.25}
    what |= {"cost": 2e-3, "probe_share": 0.5, "latency_s": 3.0}
    pd.DataFrame(names, columns=["plan", "domain"]).assign(**what).to_csv(folder / "plans.csv", index=False)
    t = np.arange(0, 1500, 10)
    budgets, regret, duals = [], [], []
    for policy, over, slope in (
        ("dacr", 0.99, 0.02),
        ("dacr_eq9", 1.12, 0.06),
        ("linucb", 1.02, 0.09),
        ("paced_bandit", 0.97, 0.05),
    ):
        for budget in np.geomspace(1e-4, 3e-3, 20):
            for seed in (1, 2, 3):
                spent = budget * over * rng.normal(1, 0.01)
                budgets.append((policy, budget, seed, spent, 0.3 + 0.5 * (budget / 3e-3) ** 0.3, 3.0))
        mean = slope * t**0.8
        regret.append(
            pd.DataFrame({"policy": policy, "t": t, "regret_mean": mean, "lo": mean * 0.85, "hi": mean * 1.15})
        )
        wave = np.maximum(0, over - 0.9 + 0.3 * np.sin(t / 90) * np.exp(-t / 900))
        duals.append(pd.DataFrame({"policy": policy, "t": t, "price_cost": wave, "price_late": wave / 3}))
    columns = ["policy", "budget_cost", "seed", "mean_cost", "mean_quality", "dual_end"]
    pd.DataFrame(budgets, columns=columns).assign(enforced=True, slo_violation_rate=0.0).to_csv(
        folder / "budgets.csv", index=False
    )
    fixed = {"setting": "lambda=5", "reference": "best fixed model"}
    pd.concat(regret).assign(**fixed).to_csv(folder / "regret.csv", index=False)
    about = {"lambda_cost": 0.0, "setting": "", "enforced": False, "budget_cost": np.nan, "budget_late": np.nan}
    gains = {"gain": 0.02, "quality_gain": 0.03, "late_change": -0.1, "cost_change": 1e-5}
    pd.DataFrame([{"policy": "dacr", "setting": "lambda=5", **gains}]).to_csv(
        folder / "perfect_information.csv", index=False
    )
    pd.concat(duals).assign(**about).to_csv(folder / "duals.csv", index=False)


if __name__ == "__main__":
    write(Path(sys.argv[1]), *(int(word) for word in sys.argv[2:3]))
