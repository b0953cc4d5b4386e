"""Feedback as flags ask for it: a router from outside writes down what it is told, and a calendar by hand checks it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dacr.core import cli
from dacr.core.registry import routers
from dacr.experiment.run import run_experiment
from dacr.experiment.settings import ExperimentSettings
from dacr.workload.stream import build_stream

SPY = '''
"""A router that writes down everything that it is told, and after how many decisions."""
import json
import numpy as np
from dacr.core.registry import routers
from dacr.core.rng import keyed_uniform
from dacr.routers.base import Learner, Router

@routers.register("spy")
class Spy(Learner):
    """Chooses at random."""

    def start(self, n_run, n_domain, seeds):
        self.decided = 0

    def scores(self, requests):
        return keyed_uniform(requests.key, len(requests.models), 3)

    def decide(self, requests, terms=None):
        choice = super().decide(requests, terms)
        domains = [requests.domains[code] if code >= 0 else "" for code in requests.domain]
        self.write(kind="decide", run=list(range(len(requests))), arrival_s=requests.arrival_s, domain=domains)
        self.decided += 1
        return choice

    def observe(self, feedback):
        for kind, told in (("rating", feedback.quality), ("end", feedback.cost_usd)):
            known = np.isfinite(told)
            if known.any():
                self.write(kind=kind, run=feedback.run[known], t=feedback.t[known], told=told[known])

    def write(self, **what):
        plain = {{key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in what.items()}}
        with open({log!r}, "a") as file:
            file.write(json.dumps(plain | {{"decided": self.decided}}) + "\\n")
'''


class Told:
    """What the spy wrote down in one experiment, and the decisions of that experiment."""

    def __init__(self, folder: Path, lines: list[dict]) -> None:
        decisions = pd.read_parquet(folder / "decisions.parquet")
        self.decisions = decisions[decisions["policy"] == "spy"].sort_values(["seed", "t"])
        self.n = int(self.decisions["t"].max()) + 1
        self.n_run = self.decisions["seed"].nunique()
        self.asked = [line for line in lines if line["kind"] == "decide"]
        self.arrival_s = np.array([line["arrival_s"][0] for line in self.asked])
        self.when = {
            kind: {
                (run, t): (line["decided"], told)
                for line in lines
                if line["kind"] == kind
                for run, t, told in zip(line["run"], line["t"], line["told"], strict=True)
            }
            for kind in ("rating", "end")
        }
        self.count = {
            kind: sum(len(line["run"]) for line in lines if line["kind"] == kind) for kind in ("rating", "end")
        }

    def column(self, name: str) -> np.ndarray:
        """Return a column of the decisions: (n_run, n)."""
        return self.decisions[name].to_numpy().reshape(self.n_run, self.n)

    def first_at(self, moment: float, after: int) -> int:
        """Return before which decision something is told that is known from ``moment`` on, walking the calendar."""
        for t in range(after, self.n):
            if self.arrival_s[t] >= moment:
                return t
        return self.n


@pytest.fixture
def spied(sample_long: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run the spy with some flags; return what it was told."""

    def run(*flags: object, orders: int = 2) -> Told:
        (tmp_path / "spy.py").write_text(SPY.format(log=str(tmp_path / "told.jsonl")))
        (tmp_path / "told.jsonl").unlink(missing_ok=True)
        words = ["--data", sample_long, "--results_dir", tmp_path / "r", "--plugin", tmp_path / "spy.py"]
        words += ["--routers", "spy", "--lambdas", "0", "--seeds", "1", "--orders", orders, "--n_jobs", "1", *flags]
        words += [] if "--ood_holdout" in flags else ["--ood_holdout", "hellaswag"]
        with monkeypatch.context() as patch:
            patch.setattr(routers, "_parts", dict(routers.items()))  # the spy is known here alone
            assert cli.run(run_experiment, [str(w) for w in words], settings_class=ExperimentSettings) == 0
        lines = (tmp_path / "told.jsonl").read_text().splitlines()
        return Told(tmp_path / "r", [json.loads(line) for line in lines])

    return run


def check(told: Told, delay: int, delay_s: float | None, p_miss: float = 0.0) -> None:
    """Compare every delivery with a calendar that is walked position by position."""
    latency = told.column("latency_s")
    n_cell = told.n_run * told.n
    assert told.count["end"] == len(told.when["end"]) == n_cell, "the end of every call, once"
    assert told.count["rating"] == len(told.when["rating"]), "no rating twice"
    if p_miss == 0:
        assert len(told.when["rating"]) == n_cell, "no rating lost"
    for (run, t), (decided, cost) in told.when["end"].items():
        assert decided == told.first_at(told.arrival_s[t] + latency[run, t], t + 1)
        assert cost == pytest.approx(told.column("cost")[run, t])
    for (run, t), (decided, quality) in told.when["rating"].items():
        due = t + 1 + delay
        if delay_s is not None:
            due = max(due, told.first_at(told.arrival_s[t] + latency[run, t] + delay_s, t + 1))
        assert decided == min(due, told.n), (run, t)
        assert quality == pytest.approx(told.column("quality")[run, t])


@pytest.mark.parametrize(
    ("delay", "delay_s"), [(0, None), (7, None), (0, 0.0), (0, 6.5), (3, 2.0), (40, 1.0), (500, 3.0), (2, 1e6)]
)
def test_ratings_come_when_the_later_of_both_delays_is_over(delay: int, delay_s: float | None, spied) -> None:
    flags = [] if delay_s is None else ["--delay_s", delay_s]
    told = spied("--dacr_delay", delay, "--dacr_p_miss", "0", *flags)
    assert told.n_run == 2 and told.n > 100
    check(told, delay, delay_s)


def test_delay_s_with_the_default_delay(spied) -> None:
    """Without --dacr_delay ten decisions still count; ratings that are missing stay missing."""
    told = spied("--delay_s", "4")
    check(told, 10, 4.0, p_miss=0.3)
    assert 0.5 < len(told.when["rating"]) / (told.n * told.n_run) < 0.9


@pytest.mark.parametrize(("depends", "bad", "good"), [("quality", 0.0, 1.0), ("quality_reversed", 1.0, 0.0)])
def test_missing_ratings_that_depend_on_quality(depends: str, bad: float, good: float, spied) -> None:
    """With p_miss .5 an answer of quality q goes unrated with probability 1 - q (reversed: q)."""
    told = spied("--dacr_p_miss", "0.5", "--miss_depends_on", depends, "--ood_holdout", "grade,hellaswag", orders=4)
    quality = told.column("quality")
    rated = np.zeros(quality.shape, dtype=bool)
    rated[tuple(np.array(list(told.when["rating"])).T)] = True
    assert (quality == 0).sum() > 50 and (quality == 1).sum() > 50
    assert rated[quality == 0].mean() == bad
    assert rated[quality == 1].mean() == good
    between = (quality > 0) & (quality < 1)
    expected = quality[between] if depends == "quality" else 1 - quality[between]
    assert between.sum() > 50 and rated[between].mean() == pytest.approx(expected.mean(), abs=0.15)
    assert told.count["end"] == quality.size, "costs are known whether or not an answer is rated"


@pytest.mark.parametrize("by_quality", ["none", "quality"])
def test_the_same_ratings_are_missing_for_every_router(by_quality: str, spied) -> None:
    one = spied("--dacr_delay", "0", "--miss_depends_on", by_quality)
    other = spied("--dacr_delay", "20", "--miss_depends_on", by_quality)
    assert set(one.when["rating"]) == set(other.when["rating"])


@pytest.mark.parametrize("info", ["known", "family", "inferred", "llm", "none"])
def test_the_label_that_routers_see(info: str, sample_long: Path, tmp_path: Path, spied) -> None:
    flags = ["--domain_info", info, "--ood_holdout", "mmlu"]
    table = pd.read_parquet(sample_long, columns=["qid", "domain"]).drop_duplicates("qid")
    if info == "llm":
        labels = ["MCQ" if domain.startswith("mmlu") else "Math" for domain in table["domain"]]
        lines = [{"qid": qid, "model": "m", "label": label} for qid, label in zip(table["qid"], labels, strict=True)]
        (tmp_path / "labels.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        flags += ["--domain_labels", tmp_path / "labels.jsonl"]
    told = spied(*flags)
    seen = np.array([line["domain"] for line in told.asked]).T
    true = told.column("domain").astype(str)
    assert all(name.startswith("mmlu-") for name in true.ravel())
    expected = {
        "known": lambda: (seen == true).all(),
        "family": lambda: (seen == "mmlu").all(),
        "inferred": lambda: not set(seen.ravel()) & ({"mmlu"} | set(true.ravel())) and (seen != "").all(),
        "llm": lambda: (seen == "MCQ").all(),
        "none": lambda: (seen == "").all(),
    }
    assert expected[info](), set(seen.ravel())


def test_a_trace_is_replayed_with_its_bursts(sample_long: Path, tmp_path: Path, spied) -> None:
    """Gaps of 0 s and of 30 s: whole bursts are decided before the first call of them has ended."""
    gaps = np.tile([0.0, 0.1, 0.1, 0.1, 30.0], 40)
    times = pd.Timestamp("2026-01-05") + pd.to_timedelta(np.cumsum(gaps), unit="s")
    pd.DataFrame({"TIMESTAMP": times}).to_csv(tmp_path / "trace.csv", index=False)
    words = ["--data", sample_long, "--ood_holdout", "hellaswag", "--out", tmp_path / "stream.jsonl"]
    assert cli.run(build_stream, [str(word) for word in [*words, "--trace", tmp_path / "trace.csv"]]) == 0
    told = spied("--stream", tmp_path / "stream.jsonl", "--dacr_delay", "0", "--dacr_p_miss", "0", "--delay_s", "0.5")
    found = np.diff(told.arrival_s)
    np.testing.assert_allclose(found, np.resize(np.append(gaps[1:], 0.0), len(found)), atol=1e-6)
    check(told, 0, 0.5)
    # What was decided in a burst is told only after it, and before the next.
    when = {told.when["rating"][0, t][0] for t in range(100)}
    assert when <= {t for t in range(told.n) if t % 5 == 4} | {5, 10}, sorted(when)[:20]
