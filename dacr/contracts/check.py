"""What a methodological check has to keep: it says what it needs, and what it finds in one line with a fix."""

import re
from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd

from dacr.contracts.rules import Rule, described, keep, require
from dacr.experiment.checks import CalibratorUse, Check, Context
from dacr.experiment.checks.registered import SEVERITIES

_CODE = re.compile(r"[A-Z]{2,}\d{3}")


def contexts() -> list[Context]:
    """Return experiments in which every field is given: a sound one, and one with about everything wrong."""
    return [_context(sound=True), _context(sound=False)]


def its_code_is_stable_and_its_needs_exist(part: Check) -> None:
    """A code is letters and three digits; needs are fields of the context."""
    require(_CODE.fullmatch(part.name), f"its code is {part.name!r}, expected letters and three digits as in DACR099")
    unknown = sorted(set(part.needs) - {field.name for field in fields(Context)})
    require(not unknown, f"it needs {', '.join(unknown)}, which Context has not")
    require(part.needs, "it names no field of Context that it needs: it would pass where nothing is known")


def what_it_finds_is_one_line_with_a_fix(part: Check) -> None:
    """Severity, message, fix; the same every time."""
    for context in contexts():
        found = list(part.function(context))
        for severity, message, fix in found:
            require(severity in SEVERITIES, f"its severity is {severity!r}, expected one of {', '.join(SEVERITIES)}")
            require(
                message and "\n" not in message and fix and "\n" not in fix, f"one line each, got {message!r}, {fix!r}"
            )
        require(found == list(part.function(context)), "of the same context it finds something else")


RULES: tuple[Rule, ...] = (described, its_code_is_stable_and_its_needs_exist, what_it_finds_is_one_line_with_a_fix)


def check_check(part: Check) -> None:
    """Hold a registered check to its contract; an AssertionError names the rule that it breaks."""
    keep(part, RULES)


def _context(sound: bool) -> Context:
    n, names = 120 if sound else 60, ("dacr", "predict_optimize")
    domain = np.full(n, "mbpp", dtype=object)
    prompt = np.array([f"What comes after {i} apples and {i * i} pears?" for i in range(n)], dtype=object)
    other = np.array([f"Name {i} rivers that are longer than {i * i} miles" for i in range(n)], dtype=object)
    quality, easy = 0.9 if sound else 0.1, np.arange(n) < n // 2
    metrics = pd.DataFrame(
        [(name, price, f"lambda_cost={price:g}", n, quality, cost) for name in names for price, cost in
         ((0.0, 3e-3), (1e3, 1e-4 if sound else 2e-3))],
        columns=["policy", "lambda_cost", "setting", "n", "mean_quality", "mean_cost"],
    )  # fmt: skip
    metrics = metrics.assign(n_seed=10 if sound else 1, slo_violation_rate=0.1, mean_latency_s=1.0, learns=True)
    budgets = metrics[["policy", "setting", "n"]].assign(
        seed=1, kind="money", allowed=1e-3, had=1e-3 if sound else 2e-3
    )
    return Context(
        metrics=metrics,
        single_cost=np.array([1e-4, 4e-3]),
        single_quality=np.array([0.4, 0.8]),
        learners=("dacr",),
        clairvoyant=() if sound else ("oracle",),
        latency_coverage=1.0 if sound else 0.5,
        calibrators=[CalibratorUse("platt", "oof" if sound else "insample", {"m": 1.0 if sound else -1.0})],
        train_qid=np.array([f"a{i}" for i in range(n)], dtype=object),
        test_qid=np.array([f"{'b' if sound else 'a'}{i}" for i in range(n)], dtype=object),
        train_domain=np.full(n, "arc-challenge", dtype=object) if sound else domain,
        test_domain=domain,
        train_prompt=prompt,
        test_prompt=other if sound else prompt,
        ood=True,
        budgets=budgets,
        feature_distinct=pd.DataFrame({"domain": ["mbpp"], "n": [n], "distinct": [n if sound else 1]}),
        same_order=not sound,
        quality=np.column_stack([np.where(easy | sound, 1.0, np.nan), np.where(easy, 0.9, 0.1)]),
        models=("cheap", "dear"),
        pricing=_pricing(sound),
    )


def _pricing(sound: bool) -> dict[str, Any]:
    told = {
        "n": 60, "n_counted": 60, "n_priced": 60, "n_zero_cost": 0 if sound else 9, "recorded_counted_usd": 1.0,
        "listed_counted_usd": 1.0 if sound else 6.0, "least_cost": 1e-4, "most_cost": 2e-4 if sound else 1e-4,
        "least_output_tokens": 5.0, "most_output_tokens": 50.0 if sound else 5.0,
    }  # fmt: skip
    return {"models": {"m": told}, "as_of": {"m": "2026-01-31"}, "recorded": "2026-01-01" if sound else "2026-06-01"}
