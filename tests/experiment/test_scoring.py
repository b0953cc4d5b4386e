"""Decisions made elsewhere get the row that our own routers get, an audit, and ties as ties."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dacr.contracts.results import small_results
from dacr.core.cli import FloatList, StrList
from dacr.core.errors import UserError
from dacr.data.prepare import prepare_routerbench
from dacr.experiment.run import run_experiment
from dacr.experiment.scoring.decisions import read
from dacr.experiment.scoring.export import export_decisions
from dacr.experiment.scoring.score import score_decisions
from dacr.experiment.settings import ExperimentSettings
from dacr.report.make import make_figures

MODELS = ("cheap", "dear")
N = 40


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """40 queries: the cheap model is right on every second one, the dear one on three of four; .001 and .01 USD."""
    rows = [
        (f"q{i}", f"Question {i}?", "mbpp" if i < 20 else "arc", model, "x",
         float(i % 2 == 0) if model == "cheap" else float(i % 4 != 0), 0.001 if model == "cheap" else 0.01, 1.0 + j)
        for i in range(N)
        for j, model in enumerate(MODELS)
    ]  # fmt: skip
    names = ["qid", "prompt", "domain", "model", "response", "quality", "cost", "latency_s"]
    pd.DataFrame(rows, columns=names).to_parquet(tmp_path / "data.parquet")
    return tmp_path / "data.parquet"


def decided(tmp_path: Path, name: str, **columns: object) -> str:
    frame = pd.DataFrame({"qid": [f"q{i}" for i in range(N)], "model": "cheap"} | columns)
    frame.to_csv(tmp_path / name, index=False)
    return str(tmp_path / name)


def scored(data: Path, *files: str, **flags: object) -> Path:
    out = data.parent / "out"
    score_decisions(data=data, decisions=StrList(files), results_dir=out, tau_seconds=1.5, **flags)  # type: ignore[arg-type]
    return out


def test_by_hand_cascade_shed_and_areas(data: Path) -> None:
    """Asks both for every fourth query, sheds the first: cost, quality, calls and latency add up."""
    asked = ["" if i == 0 else "cheap > dear" if i % 4 == 0 else "cheap" for i in range(N)]
    model = ["" if i == 0 else "dear" if i % 4 == 0 else "cheap" for i in range(N)]
    attempts = [0 if i == 0 else a for i, a in enumerate(asked)]
    out = scored(data, decided(data.parent, "mine.csv", model=model, attempts=attempts), lambda_lat=0.0)
    row = pd.read_csv(out / "metrics.csv").set_index("policy").loc["mine"]
    assert row["n"] == N and row["shed_rate"] == 1 / N
    assert row["mean_quality"] == pytest.approx(10 / N)  # of the even ones, those that the dear model was not asked
    assert row["mean_cost"] == pytest.approx((30 * 0.001 + 9 * 0.011) / N)
    assert row["mean_attempts"] == pytest.approx((30 + 18) / N)
    assert row["mean_latency_s"] == pytest.approx((30 * 1.0 + 9 * 3.0) / 39)
    assert row["slo_violation_rate"] == pytest.approx(9 / N)
    singles = pd.read_csv(out / "singles.csv").set_index("model")["mean_quality"]
    assert singles.to_dict() == {"cheap": 0.5, "dear": 0.75}
    frontier = pd.read_csv(out / "frontier.csv").set_index("policy")["area"]
    assert frontier["zero"].iloc[0] == pytest.approx(0.625)
    assert frontier["mine"].iloc[0] == pytest.approx(0.5)
    paired = pd.read_csv(out / "paired.csv").set_index("reference")["difference"]
    assert paired["best_single"] == pytest.approx(0.25 - 0.75) and paired["oracle"] == pytest.approx(0.25 - 1.0)
    share = (row["mean_cost"] - 0.001) / 0.009
    assert paired["zero"] == pytest.approx(0.25 - (0.5 + 0.25 * share))


def test_the_audit_says_what_is_odd(data: Path) -> None:
    folder = data.parent
    odd = pd.DataFrame(
        {"qid": [f"q{i}" for i in range(N)], "model": "dear", "cost_usd": 0.02, "router": "odd", "split": "test"}
    )
    odd.loc[35:, "split"] = "train"
    more = pd.DataFrame({"qid": ["q1", "nowhere"], "model": "dear", "cost_usd": 0.02, "router": "odd", "split": "test"})
    pd.concat([odd, more]).to_json(folder / "odd.jsonl", orient="records", lines=True)
    out = scored(data, str(folder / "odd.jsonl"), decided(folder, "plain.csv"))
    audit = pd.read_csv(out / "audit.csv")
    said = audit[audit["router"] == "odd"].set_index("finding")["n"]
    for words, n in (("marks as other than test", 5), ("the data has not", 1), ("decided on twice", 1)):
        assert said[said.index.str.contains(words)].tolist() == [n], words
    assert said.index.str.contains("claims 0.02 USD per request, the data recorded 0.01").any()
    assert said.index.str.contains("dear serves 100.0% of the requests").any()
    assert audit["finding"].str.contains("scored on 35 of the 40 queries of the data (87.5%)", regex=False).sum() == 2
    plain = audit[(audit["router"] == "plain") & audit["finding"].str.contains("not all routers")]
    assert plain["n"].tolist() == [5]


def test_worse_than_the_model_that_it_mostly_calls(data: Path) -> None:
    model = ["cheap" if i % 4 else "dear" for i in range(N)]  # asks the dear one where it is wrong
    out = scored(data, decided(data.parent, "worse.csv", model=model))
    found = pd.read_csv(out / "audit.csv")["finding"]
    assert found.str.contains("cheap, which it mostly calls, alone has quality 0.500").any()


def test_calibration_where_p_is_given_and_figures(data: Path) -> None:
    out = scored(data, decided(data.parent, "sure.csv", p=0.9), lambda_lat=1.0)
    row = pd.read_csv(out / "calibration_ece.csv").set_index(["calibrator", "domain"]).loc[("sure", "all")]
    assert row["ece"] == pytest.approx(0.4) and row["n"] == N
    assert pd.read_csv(out / "metrics.csv")["slo_violation_rate"].iloc[0] == 0
    make_figures(results_dir=str(out), figures=StrList(["quality_cost"]))
    assert (out / "report.html").stat().st_size > 1000


def test_data_without_latency_have_their_other_figures(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pd.read_parquet(data).drop(columns="latency_s").to_parquet(data)
    out = scored(data, decided(data.parent, "one.csv"))
    make_figures(results_dir=str(out), figures=StrList(["latency_tail", "quality_cost"]))
    said = capsys.readouterr().out
    assert f"skipped latency_tail: {out} has no numbers for it" in said and "1 of 2 figures" in said
    assert not list((out / "figures").glob("latency_tail.*"))


def test_a_leaderboard_has_ties_as_ties(data: Path) -> None:
    folder = data.parent
    oracle = ["dear" if i % 4 in (1, 3) else "cheap" for i in range(N)]
    files = [decided(folder, "first.csv", model=oracle), decided(folder, "same.csv"), decided(folder, "again.csv")]
    score_decisions(data=data, decisions=StrList([str(folder / "[fsa]*.csv")]), results_dir=folder / "out",
                    leaderboard=folder / "board.md")  # fmt: skip
    rows = [
        line.split("|")[1:3]
        for line in (folder / "board.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| ")
    ]
    assert [(rank.strip(), name.strip()) for rank, name in rows[1:]] == [("1", "first"), ("2", "again"), ("2", "same")]
    assert len(files) == 3


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"model": "chaep"}, "the data has no model 'chaep'; did you mean 'cheap'"),
        ({"qid": ["nowhere"] * N}, "no decision is on a query of --data"),
        ({"attempts": 3}, "asked several models about 'q0'.*attempts as a list of models, or cost_usd"),
        ({"attempts": "[cheap"}, "is no JSON list of models"),
        ({"cost_usd": "dear"}, "column cost_usd holds 'dear', expected a number"),
    ],
)
def test_mistakes_are_one_line(data: Path, columns: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words) as told:
        scored(data, decided(data.parent, "mine.csv", **columns))
    assert "\n" not in str(told.value) and not (data.parent / "out").exists()


def test_a_file_without_models_and_a_file_that_is_not_there(data: Path) -> None:
    pd.DataFrame({"qid": ["q0"], "arm": ["cheap"]}).to_csv(data.parent / "bad.csv", index=False)
    with pytest.raises(UserError, match=r"has no column 'model'; .* got qid, arm"):
        scored(data, str(data.parent / "bad.csv"))
    with pytest.raises(UserError, match="no such file"):
        scored(data, str(data.parent / "none*.csv"))


def require_same_rows(own: Path, scored_folder: Path) -> pd.DataFrame:
    """Compare the rows of both folders; return ours."""
    ours, theirs = (pd.read_csv(folder / "metrics.csv") for folder in (own, scored_folder))
    both = ours.merge(theirs, on=["policy", "setting"], suffixes=("", "_scored"))
    assert len(both) == len(ours) and (both["enforced"] == both["enforced_scored"]).all()
    names = ("n", "n_seed", "mean_quality", "mean_cost", "mean_latency_s", "p95_latency_s", "slo_violation_rate")
    for name in (*names, "mean_attempts"):
        np.testing.assert_allclose(both[f"{name}_scored"], both[name], rtol=1e-9, err_msg=name)
    areas = [
        pd.read_csv(folder / "frontier.csv").query("seed == 'mean'").set_index("policy")
        for folder in (own, scored_folder)
    ]
    # Ends of intervals come from resamples of the queries in another order.
    for name, off in (("area", 1e-9), ("area_low", 0.02), ("area_high", 0.02)):
        np.testing.assert_allclose(areas[1][name].reindex(areas[0].index), areas[0][name], atol=off)
    return ours


def test_our_own_decisions_give_our_own_rows(tmp_path: Path) -> None:
    own = small_results()
    export_decisions(results_dir=own, out=tmp_path / "own.jsonl")
    data = own.parent / "long.parquet"
    score_decisions(data=data, decisions=StrList([str(tmp_path / "own.jsonl")]), results_dir=tmp_path / "out")
    require_same_rows(own, tmp_path / "out")


def test_plans_cascades_and_learners_orders_give_our_own_rows(sample_long: Path, tmp_path: Path) -> None:
    plans = tmp_path / "plans.txt"
    cheap, other, dear = "mistralai/mixtral-8x7b-chat", "gpt-3.5-turbo-1106", "gpt-4-1106-preview"
    plans.write_text(f"gate({cheap}, {other} > {dear})\n")
    settings = ExperimentSettings(
        data=sample_long, results_dir=tmp_path / "own", routers=StrList(["consensus", "cascade", "chain", "linucb"]),
        plans=str(plans), lambdas=FloatList([0.0, 20.0, 80.0]), budget_grid=2, orders=2, no_cache=True,
        calibrators=StrList(["identity"]),
    )  # fmt: skip
    run_experiment(settings)
    export_decisions(results_dir=tmp_path / "own", out=tmp_path / "own.parquet")
    chosen = pd.read_parquet(tmp_path / "own.parquet")["model"]
    assert chosen.str.startswith("gate(").any()
    score_decisions(
        data=sample_long, decisions=StrList([str(tmp_path / "own.parquet")]), results_dir=tmp_path / "out"
    )  # fmt: skip
    require_same_rows(tmp_path / "own", tmp_path / "out")
    assert len(pd.read_csv(tmp_path / "out" / "singles.csv")) == 11  # models alone


def test_a_plan_of_a_model_that_the_data_has_not_and_data_without_responses(data: Path) -> None:
    with pytest.raises(UserError, match="a plan asks 'mid', which the data has not; it has cheap, dear"):
        scored(data, decided(data.parent, "m.csv", model="gate(cheap, mid > dear)"))
    frame = pd.read_parquet(data)
    pd.concat([frame, frame[frame["model"] == "cheap"].assign(model="mid")]).assign(response="").to_parquet(data)
    with pytest.raises(UserError, match="the table has no responses to follow them with"):
        scored(data, decided(data.parent, "m.csv", model="gate(cheap, mid > dear)"))


def test_routerarenas_own_rows_give_what_their_fields_imply(shared_data: Path, tmp_path: Path) -> None:
    """809 rows of two real caches: a router that takes turns, in the form of its predictions."""
    folder = shared_data / "formats" / "routerarena"
    caches = {
        path.stem: [json.loads(line) for line in path.read_text().splitlines()] for path in folder.glob("*.jsonl")
    }
    prepare_routerbench(input=str(folder), quality_range="clip", out=str(tmp_path / "arena.parquet"))
    models = sorted(caches)
    by_id = {name: {row["global_index"]: row["evaluation_result"] for row in rows} for name, rows in caches.items()}
    rows = []
    for i, qid in enumerate(sorted(by_id[models[0]])):
        had = by_id[models[i % 3 > 0]][qid]
        rows.append({"global index": qid, "prompt": "", "prediction": models[i % 3 > 0], "for_optimality": False,
                     "cost": had["inference_cost"], "accuracy": had["score"], "generated_result": {}})  # fmt: skip
    (tmp_path / "turns.json").write_text(json.dumps(rows))
    out = scored(tmp_path / "arena.parquet", str(tmp_path / "turns.json"), lambda_lat=0.0)
    row = pd.read_csv(out / "metrics.csv").set_index("policy").loc["turns"]
    assert row["n"] == 809
    assert row["mean_quality"] == pytest.approx(np.clip([r["accuracy"] for r in rows], 0, 1).mean(), abs=1e-9)
    assert row["mean_cost"] == pytest.approx(np.mean([r["cost"] for r in rows]), rel=1e-9)
    assert not pd.read_csv(out / "audit.csv")["finding"].str.contains("claims").any()


def test_routerarenas_predictions_both_ways(data: Path) -> None:
    """Their file gives the accuracy and the cost that its own fields imply; ours is written in their form."""
    rows = [
        {"global index": f"q{i}", "prompt": "", "prediction": "cheap" if i % 3 else "dear", "for_optimality": False,
         "cost": 0.001 if i % 3 else 0.01, "accuracy": float(i % 2 == 0 if i % 3 else i % 4 != 0),
         "generated_result": {"success": True}}
        for i in range(N)
    ]  # fmt: skip
    rows.append(dict(rows[0], prediction="dear", for_optimality=True))
    path = data.parent / "arena.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    out = scored(data, str(path), lambda_lat=0.0)
    row = pd.read_csv(out / "metrics.csv").set_index("policy").loc["arena"]
    assert row["mean_quality"] == pytest.approx(np.mean([r["accuracy"] for r in rows[:N]]))
    assert row["mean_cost"] == pytest.approx(np.mean([r["cost"] for r in rows[:N]]))
    assert not pd.read_csv(out / "audit.csv")["finding"].str.contains("claims").any()
    own = small_results()
    setting = pd.read_csv(own / "metrics.csv").query("policy == 'zero' and not enforced")["setting"].iloc[0]
    with pytest.raises(UserError, match="give --router and --setting"):
        export_decisions(results_dir=own, out=data.parent / "p.json", form="routerarena")
    export_decisions(results_dir=own, out=data.parent / "p.json", form="routerarena", router="zero", setting=setting)
    frame = read(data.parent / "p.json")
    assert len(frame) and frame["model"].ne("").all() and frame["quality"].between(0, 1).all()
