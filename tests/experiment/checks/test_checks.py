from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dacr.core import registry
from dacr.core.errors import UserError
from dacr.estimates.features.near_duplicates import nearest_in_training
from dacr.experiment import checks

ROOT = Path(__file__).resolve().parents[3]


def only(context: checks.Context, code: str) -> pd.DataFrame:
    """The rows of one check."""
    results = checks.run(context)
    return results[results["code"] == code]


def status(context: checks.Context, code: str) -> str:
    return only(context, code)["status"].iloc[0]


def words(*names: str) -> np.ndarray:
    return np.array(names, dtype=object)


def metrics(**columns: object) -> pd.DataFrame:
    base = {"policy": "mine", "lambda_cost": [0.0, 10.0, 100.0], "setting": [0, 1, 2], "n": 500}
    return pd.DataFrame({**base, "mean_quality": [0.8, 0.6, 0.4], "mean_cost": [1.0, 0.5, 0.0], **columns})


def budgets(kind: str = "money", allowed: float = 1.0, had: tuple[float, ...] | list[float] = (1.0,)) -> pd.DataFrame:
    runs = {"policy": "p", "setting": "s", "seed": range(len(had)), "n": 1200, "kind": kind}
    return pd.DataFrame({**runs, "allowed": allowed, "had": had})


SINGLES = {"single_cost": np.array([0.0, 1.0]), "single_quality": np.array([0.3, 0.7])}


def test_nothing_given_is_not_applicable_with_reasons() -> None:
    results = checks.run(checks.Context())
    assert len(results) == len(registry.checks.names()) >= 12
    assert set(results["status"]) == {"not applicable"} and set(results["severity"]) == {""}
    assert results["message"].str.startswith("the run gives no ").all()
    assert "0 passed, 0 with findings" in checks.to_text(results)


def test_codes_are_documented_and_registered_once() -> None:
    text = (ROOT / "docs" / "checks.md").read_text(encoding="utf-8")
    for code, one in registry.checks.items():
        assert f"| {code} | {one.title} |" in text
    with pytest.raises(UserError, match="registered twice"):
        checks.check("DACR001", "again")(lambda context: iter(()))


@pytest.mark.parametrize(
    ("code", "bad", "good", "severity"),
    [
        ("DACR001", {"latency_coverage": 0.9}, {"latency_coverage": 1.0}, "error"),
        (
            "DACR002",
            {"metrics": metrics(mean_quality=[0.6, 0.4, 0.2]), **SINGLES},
            {"metrics": metrics(mean_quality=[0.6, 0.4, 0.31]), **SINGLES},
            "warning",
        ),
        (
            "DACR003",
            {"metrics": metrics(mean_cost=[1.0, 0.9, 0.5]), **SINGLES},
            {"metrics": metrics(), **SINGLES},
            "warning",
        ),
        (
            "DACR004",
            {"calibrators": [checks.CalibratorUse("platt", "insample")]},
            {"calibrators": [checks.CalibratorUse("platt", "oof")]},
            "warning",
        ),
        (
            "DACR005",
            {"ood": True, "train_domain": words("a", "b"), "test_domain": words("b")},
            {"ood": True, "train_domain": words("a"), "test_domain": words("b")},
            "error",
        ),
        (
            "DACR005",
            {"ood": True, "train_domain": words("mmlu-law"), "test_domain": words("mmlu-virology")},
            {"ood": False, "train_domain": words("a"), "test_domain": words("a")},
            "warning",
        ),
        (
            "DACR006",
            {"budgets": budgets(had=[0.7, 1.02])},
            {"budgets": budgets(had=[0.7, 1.0])},
            "error",
        ),
        ("DACR006", {"budgets": budgets(had=[0.7, 1.01])}, {"budgets": budgets(had=[1.0, 1.0])}, "info"),
        (
            "DACR006",
            {"budgets": budgets("late answers", 0.1, [0.05, 0.12])},
            {"budgets": budgets("late answers", 0.1, [0.05, 0.1])},
            "error",
        ),
        (
            "DACR007",
            {"test_domain": words(*["a"] * 5, *["b"] * 100)},
            {"test_domain": words(*["b"] * 100)},
            "info",
        ),
        ("DACR008", {"clairvoyant": ("oracle",)}, {"clairvoyant": ()}, "info"),
        (
            "DACR009",
            {"calibrators": [checks.CalibratorUse("platt", "lodo", {"a": -0.1, "b": 1.0})]},
            {"calibrators": [checks.CalibratorUse("platt", "lodo", {"a": 0.0, "b": 1.0})]},
            "warning",
        ),
        (
            "DACR010",
            {
                "train_prompt": words("How many apples are in the red box?"),
                "test_prompt": words("how many apples are in the red box"),
            },
            {
                "train_prompt": words("How many apples are in the red box?"),
                "test_prompt": words("Who wrote this long book?"),
            },
            "warning",
        ),
        (
            "DACR012",
            {"feature_distinct": pd.DataFrame({"domain": ["a"], "n": [10], "distinct": [1]})},
            {"feature_distinct": pd.DataFrame({"domain": ["a"], "n": [10], "distinct": [5]})},
            "error",
        ),
        (
            "DACR013",
            {"metrics": metrics(n_seed=3), "learners": ("mine",)},
            {"metrics": metrics(n_seed=3), "learners": ("other",)},
            "warning",
        ),
    ],
)
def test_each_check_finds_and_passes(code: str, bad: dict, good: dict, severity: str) -> None:
    found = only(checks.Context(**bad), code)
    assert found["status"].tolist() == ["found"] and found["severity"].tolist() == [severity]
    assert found["message"].all() and found["fix"].all()
    assert status(checks.Context(**good), code) == "passed"


def test_the_worst_run_counts_not_the_mean() -> None:
    many = pd.concat([budgets(had=[0.9] * 9 + [1.2]), budgets("late answers", 0.1, [0.1, 0.104])])
    error, info = only(checks.Context(budgets=many.reset_index(drop=True)), "DACR006").itertuples()
    assert error.severity == "error" and "1 of 10 runs, at worst by 20 %" in error.message and "run 9" in error.message
    assert info.severity == "info" and "1 of 2 runs, at worst by 0.004 of all answers" in info.message
    assert info.fix.startswith("within one answer in a hundred")


@pytest.mark.parametrize(
    ("kind", "allowed", "had", "severity", "words"),
    [
        ("money", 1.0, 1.00003, "info", "by 0.003 %: 1 where 1 was allowed"),  # never "over by 0.00%"
        ("money", 1.0, 1.02, "error", "by 2 %: 1.02 where 1 was allowed"),
        ("late answers", 0.05, 0.0514, "info", "by 0.0014 of all answers: 0.0514 where 0.05 was allowed"),
        ("late answers", 0.05, 0.07, "error", "by 0.02 of all answers"),
    ],
)
def test_an_excess_is_told_in_its_own_unit(kind: str, allowed: float, had: float, severity: str, words: str) -> None:
    [found] = only(checks.Context(budgets=budgets(kind, allowed, [had])), "DACR006").itertuples()
    assert found.severity == severity and words in found.message
    assert ("within 1 %" in found.fix) == (kind == "money" and severity == "info")


def test_short_streams_are_one_warning_that_names_the_worst_router() -> None:
    short = pd.concat([budgets(had=[1.2]), budgets(had=[1.5, 0.9]).assign(policy="q")]).assign(n=427)
    long = budgets(had=[1.0])
    [found] = only(checks.Context(budgets=pd.concat([short, long], ignore_index=True)), "DACR006").itertuples()
    assert found.severity == "warning" and found.message.startswith("p, q were over a budget of money in 2 of 3 runs")
    assert "nothing is promised; at worst q, by 50 %" in found.message and "427 requests" in found.message
    little = checks.Context(budgets=budgets(had=[1.005]).assign(n=427))
    assert only(little, "DACR006")["severity"].tolist() == ["info"]


def test_lateness_that_is_priced_counts_against_the_zero_router_too() -> None:
    """In time where single models are late: below their mixture in quality, above it in what is asked."""
    frame = metrics(mean_quality=[0.6, 0.45, 0.29], slo_violation_rate=0.0)
    late = {"single_late": np.array([0.2, 0.2]), "price_late": 1.0}
    assert status(checks.Context(metrics=frame, **SINGLES), "DACR002") == "found"
    assert status(checks.Context(metrics=frame, **SINGLES, **late), "DACR002") == "passed"
    slow = metrics(mean_quality=[0.8, 0.6, 0.4], slo_violation_rate=0.5)  # above the mixture, but late
    assert status(checks.Context(metrics=slow, **SINGLES), "DACR002") == "passed"
    [found] = only(checks.Context(metrics=slow, **SINGLES, **late), "DACR002").itertuples()
    assert "in quality less 1 x share of late answers" in found.message


def test_missing_latency_that_was_treated_as_asked_is_no_error() -> None:
    result = only(checks.Context(latency_coverage=0.5, latency_treatment="imputed by the model"), "DACR001")
    assert result["severity"].tolist() == ["info"] and "imputed" in result["message"].iloc[0]


def test_runs_in_one_order_of_arrival_are_told() -> None:
    result = only(checks.Context(metrics=metrics(n_seed=10), learners=("mine",), same_order=True), "DACR013")
    assert "one order of arrival" in result["message"].iloc[0]
    own = checks.Context(metrics=metrics(n_seed=10), learners=("mine",), same_order=False)
    assert status(own, "DACR013") == "passed"


def test_queries_in_both_parts_are_an_error() -> None:
    prompts = {"train_prompt": words("What is this thing here?"), "test_prompt": words("Name all the colours, please.")}
    result = only(checks.Context(train_qid=words("q1"), test_qid=words("q1"), **prompts), "DACR010")
    assert result["severity"].tolist() == ["error"]


def test_report_puts_errors_first_and_names_the_fix() -> None:
    context = checks.Context(latency_coverage=0.5, clairvoyant=("oracle",), ood=False)
    results = checks.run(context)
    assert checks.findings(results)["severity"].tolist() == ["error", "info"]
    text = checks.to_text(results)
    assert text.startswith("DACR001 error: latency is known for 50.0%") and "\n    fix: " in text
    assert set(results["severity"]) == {"error", "info", ""}


def test_references_are_exempt_from_the_zero_router_check() -> None:
    frame = metrics(policy="random", mean_quality=[0.1, 0.1, 0.1])
    assert status(checks.Context(metrics=frame, **SINGLES), "DACR002") == "passed"


def test_distinct_features_counts_rows_per_domain() -> None:
    x = np.array([[1, 2], [1, 2], [1, 2], [3, 4]], dtype=np.float32)
    frame = checks.distinct_features(x, words("p", "q", "q", "r"), words("a", "a", "a", "b"))
    assert frame.to_dict("list") == {"domain": ["a", "b"], "n": [2, 1], "distinct": [1, 1]}


def test_near_duplicates_estimate_the_jaccard_index() -> None:
    rng = np.random.default_rng(0)
    base = [" ".join(f"w{v}" for v in rng.integers(0, 10_000, 60)) for _ in range(50)]
    changed = [text.rsplit(" ", 6)[0] + " x1 x2 x3 x4 x5 x6" for text in base]
    similarity, index = nearest_in_training(base, changed)
    np.testing.assert_array_equal(index, np.arange(50))
    assert similarity.mean() == pytest.approx(52 / 64, abs=0.03)  # 58 shingles each, 52 of them shared
    far, nowhere = nearest_in_training(base, ["nothing of the kind at all"])
    assert far.tolist() == [0.0] and nowhere.tolist() == [-1]
    assert nearest_in_training([], ["a b c"])[1].tolist() == [-1]
