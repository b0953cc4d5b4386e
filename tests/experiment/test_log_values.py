"""Values of policies from a log with one model per request: intervals that cover, support, and where it comes from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dacr.core import cli
from dacr.core.errors import UserError
from dacr.core.rng import generator
from dacr.data.table import load
from dacr.experiment.off_policy.of_log import Target, judged, unsupported
from dacr.experiment.off_policy.one_arm import OneArmLog, _shares, read_log
from dacr.experiment.off_policy.stage import evaluate_policies
from dacr.experiment.run import run_experiment
from dacr.experiment.settings import ExperimentSettings
from dacr.types import Floats, Ints

N = 1000


def simulated(quality: Floats, domain: Ints, chance: Floats, draw: str, logged: bool) -> tuple[OneArmLog, Ints]:
    """Sample requests of a complete table, and call one model for each: the log, and the rows that were sampled."""
    rng = generator("one-arm log", draw)
    row = rng.integers(0, len(quality), N)
    e = chance[domain[row]]
    model = (rng.random((N, 1)) > np.cumsum(e, axis=1)).sum(axis=1).clip(max=e.shape[1] - 1)
    had = np.where(rng.random(N) < 0.9, quality[row, model], np.nan)  # one in ten has no score
    told = e[np.arange(N), model] if logged else _shares(domain[row], model, np.isfinite(had), e.shape[1])
    names = np.arange(N).astype(object)
    domains, models = (tuple(f"{what}{i}" for i in range(n)) for what, n in zip("dm", chance.shape, strict=True))
    cost = np.full(N, np.nan)
    return OneArmLog(names, names, names, domain[row], model, had, cost, told, logged, domains, models), row


def coverage(n_log: int, logged: bool, sample_long: Path) -> dict[str, float]:
    """Share of intervals that hold the truth: logs of the sample, each domain its own chances of models."""
    table = load(sample_long)
    quality = table.quality[:, :4]
    hard = quality.mean(axis=1) + generator("difficulty as somebody sees it").normal(0, 0.3, len(quality))
    domain = hard.argsort().argsort() * 3 // len(hard)
    chance = generator("chances of models by domain").dirichlet(np.full(4, 20.0), 3)
    mixed = generator("a policy of each query").integers(0, 4, len(quality))
    covered: dict[str, list[bool]] = {}
    for k in range(n_log):
        log, row = simulated(quality, domain, chance, f"{k} {logged}", logged)
        policies = {f"always {m}": np.full(len(quality), m) for m in range(4)} | {"mixed": mixed}
        for name, chosen in policies.items():
            target = Target(name, chosen[row])
            assert not unsupported(log, target).any()
            true = quality[np.arange(len(quality)), chosen].mean()
            for one in judged(log, target).itertuples():
                covered.setdefault(str(one.estimator), []).append(bool(one.low <= true <= one.high))
    assert set(covered) == ({"IPS", "SNIPS", "DR"} if logged else {"DR"})
    return {name: float(np.mean(hits)) for name, hits in covered.items()}


@pytest.mark.parametrize("logged", [True, False])
def test_intervals_cover(logged: bool, sample_long: Path) -> None:
    share = coverage(60, logged, sample_long)
    assert all(0.91 <= value <= 0.985 for value in share.values()), share


@pytest.mark.slow
@pytest.mark.parametrize("logged", [True, False])
def test_intervals_cover_in_93_to_97_of_100(logged: bool, sample_long: Path) -> None:
    share = coverage(800, logged, sample_long)
    assert all(0.93 <= value <= 0.97 for value in share.values()), share


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    """400 requests in two domains: model b is never called in the second; scores are .2, .5, .8 by model on average."""
    rng = generator("a log file")
    domain = np.where(np.arange(400) < 200, "easy", "hard")
    model = np.where(domain == "easy", rng.choice(["a", "b", "c"], 400), rng.choice(["a", "c"], 400))
    mean = pd.Series({"a": 0.2, "b": 0.5, "c": 0.8})[model].to_numpy()
    frame = pd.DataFrame(
        {
            "qid": [f"q{i}" for i in range(400)],
            "prompt": [f"Question {i}, from jane.doe@example.com?" for i in range(400)],
            "domain": domain,
            "model": model,
            "quality": (rng.random(400) < mean).astype(float),
            "cost": pd.Series({"a": 1e-5, "b": 1e-4, "c": 1e-3})[model].to_numpy(),
            "propensity": np.where(domain == "easy", 1 / 3, 1 / 2),
        }
    )
    frame.to_csv(tmp_path / "log.csv", index=False)
    return tmp_path / "log.csv"


def test_values_by_hand_support_and_where_propensities_come_from(
    log_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "values.csv"
    evaluate_policies(log=str(log_file), propensities="by_domain", out=out)
    said = capsys.readouterr().out
    frame = pd.read_csv(log_file)
    made = pd.read_csv(out).set_index(["target", "measure"])
    for name in ("a", "c"):
        means = frame[frame["model"] == name].groupby("domain")[["quality", "cost"]].mean()
        for measure, column in (("quality", "quality"), ("cost_usd", "cost")):
            assert made.loc[(f"always {name}", measure), "estimate"] == pytest.approx(means[column].mean())
    assert made.loc[("as logged", "quality"), "estimate"] == pytest.approx(frame["quality"].mean())
    assert made.loc[("as logged", "cost_usd"), "estimate"] == pytest.approx(frame["cost"].mean())
    assert "always b" not in made.index.get_level_values(0)
    assert "refused: always b: no support for 200 of 400 requests, such as 'q200', 'q201', 'q202'" in said
    assert "propensities: estimated, the share of each model of the calls in each of 2 domains" in said
    about = json.loads((tmp_path / "values.manifest.json").read_text())
    assert about["propensities"] in said and list(about["refused"]) == ["always b"] and about["n"] == 400
    evaluate_policies(log=str(log_file), out=out)
    assert "propensities: logged" in capsys.readouterr().out
    made = pd.read_csv(out)
    assert set(made["estimator"]) == {"mean", "IPS", "SNIPS", "DR"} and not made["target"].eq("always b").any()
    weight = (frame["model"] == "a") / frame["propensity"]
    ips = made[(made["target"] == "always a") & (made["measure"] == "quality")].set_index("estimator")
    assert ips.loc["IPS", "estimate"] == pytest.approx((weight * frame["quality"]).mean())


def test_decisions_of_others_are_judged_or_refused(log_file: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(log_file)
    mine = frame[["qid"]].assign(model=np.where(frame["domain"] == "easy", "b", "c"))
    mine.to_csv(tmp_path / "mine.csv", index=False)
    run = {"log": str(log_file), "propensities": "by_domain", "out": tmp_path / "v.csv"}
    evaluate_policies(**run, decisions=cli.StrList([str(tmp_path / "mine.csv")]))
    row = pd.read_csv(tmp_path / "v.csv").query("target == 'mine' and measure == 'quality'").iloc[0]
    parts = [
        frame[(frame["domain"] == d) & (frame["model"] == m)]["quality"].mean()
        for d, m in (("easy", "b"), ("hard", "c"))
    ]
    assert row["estimate"] == pytest.approx(np.mean(parts)) and row["low"] < row["estimate"] < row["high"]
    (tmp_path / "v.csv").unlink()
    for change, says in (
        ({"model": "b"}, "mine: no support for 200 of 400 requests, such as 'q200', 'q201', 'q202': .* in hard"),
        ({"model": "d"}, "mine: no support for 400 of 400 requests"),
        ({"qid": "elsewhere"}, "decides nothing for 400 of 400 requests"),
        ({"attempts": "a > c"}, "asks several models for a request"),
    ):
        mine.assign(**change).to_csv(tmp_path / "mine.csv", index=False)
        with pytest.raises(UserError, match=says):
            evaluate_policies(**run, decisions=cli.StrList([str(tmp_path / "mine.csv")]))
    assert not (tmp_path / "v.csv").exists()


def test_propensities_that_the_log_contradicts(log_file: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(log_file).assign(propensity=0.9)
    frame.to_csv(log_file, index=False)
    with pytest.raises(UserError, match=r"logged propensities are not those of the log: weights of 'always .' average"):
        evaluate_policies(log=str(log_file), out=tmp_path / "v.csv")
    frame.assign(propensity=0.0).to_csv(log_file, index=False)
    with pytest.raises(UserError, match="propensity of request 'q0' is 0, expected above 0"):
        evaluate_policies(log=str(log_file), out=tmp_path / "v.csv")
    frame.drop(columns="propensity").to_csv(log_file, index=False)
    with pytest.raises(UserError, match=r"--propensities logged: .* by_domain estimates it"):
        evaluate_policies(log=str(log_file), propensities="logged", out=tmp_path / "v.csv")


def _messages(i: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"Question {i}? My key is sk-{'a1B2' * 10}"}]


def _litellm(frame: pd.DataFrame, folder: Path) -> Path:
    rows = [
        {
            "request_id": f"r{i}", "spend": row.cost, "model": row.model, "model_group": row.domain,
            "status": "success", "messages": json.dumps(_messages(i)), "response": {},
            "startTime": "2026-01-01T00:00:00Z", "endTime": "2026-01-01T00:00:01Z",
            "metadata": json.dumps({"propensity": row.propensity}),
        }
        for i, row in enumerate(frame.itertuples())
    ]  # fmt: skip
    (folder / "spend.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    scores = pd.DataFrame({"request_id": [f"r{i}" for i in range(len(frame))], "score": frame["quality"]})
    scores.to_csv(folder / "scores.csv", index=False)
    return folder / "spend.jsonl"


def _langfuse(frame: pd.DataFrame, folder: Path) -> Path:
    rows = [
        {
            "id": f"o{i}", "trace_id": f"r{i}", "input": _messages(i), "output": "", "provided_model_name": row.model,
            "total_cost": row.cost, "latency": 1.0, "propensity": row.propensity, "metadata": row.domain,
        }
        for i, row in enumerate(frame.itertuples())
    ]  # fmt: skip
    (folder / "observations.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    names = {"trace_id": [f"r{i}" for i in range(len(frame))], "name": "correct", "value": frame["quality"]}
    other = pd.DataFrame(names).assign(name="toxic", value=0.0)
    pd.concat([pd.DataFrame(names), other]).to_csv(folder / "scores.csv", index=False)
    return folder / "observations.jsonl"


def _arena(frame: pd.DataFrame, folder: Path) -> Path:
    rows = [
        {"global index": f"{row.domain}_{i}", "prompt": "", "prediction": row.model, "cost": row.cost,
         "accuracy": row.quality, "for_optimality": False, "generated_result": {}}
        for i, row in enumerate(frame.itertuples())
    ]  # fmt: skip
    (folder / "predictions.json").write_text(json.dumps(rows))
    return folder / "predictions.json"


@pytest.mark.parametrize(
    ("write", "flags"),
    [
        (_litellm, {"scores": "scores.csv"}),
        (_langfuse, {"scores": "scores.csv", "quality_metric": "correct", "domain_from": "metadata"}),
        (_arena, {}),
    ],
)
def test_every_kind_of_log_gives_the_same_values(
    write: Callable[[pd.DataFrame, Path], Path],
    flags: dict[str, str],
    log_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    frame = pd.read_csv(log_file)
    (tmp_path / "logs").mkdir()
    path = write(frame, tmp_path / "logs")
    flags = {name: str(path.parent / value) if name == "scores" else value for name, value in flags.items()}
    argv = ["--log", str(path), "--propensities", "by_domain", "--out", str(tmp_path / "v.csv")]
    assert cli.run(evaluate_policies, [*argv, *(f"--{name}={value}" for name, value in flags.items())]) == 0
    evaluate_policies(log=str(log_file), propensities="by_domain", out=tmp_path / "own.csv")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "v.csv"), pd.read_csv(tmp_path / "own.csv"))
    said = capsys.readouterr().out + "".join(p.read_text() for p in tmp_path.glob("*.csv") if p != log_file)
    assert "sk-a1B2" not in said and "sk-a1B2" not in (tmp_path / "v.manifest.json").read_text()
    if write is not _arena:  # these say their propensities
        kept = read_log(
            str(path), loader=None, scores=flags["scores"], quality_range=None, propensities="auto", keep_prompts=True,
            options={"quality_metric": flags.get("quality_metric"), "domain_from": flags.get("domain_from")},
        )  # fmt: skip
        assert kept.logged and not any("sk-a1B2" in text for text in kept.prompt)
        np.testing.assert_allclose(kept.propensity, frame["propensity"])


def test_a_log_without_scores_or_that_is_none(
    log_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pd.read_csv(log_file).assign(quality=np.nan).to_csv(log_file, index=False)
    for argv, says in (
        (["--log", str(log_file)], "no request has a score; give them with --scores FILE"),
        (["--log", str(tmp_path / "none.csv")], "no such file"),
        (["--scores", "s.csv"], "need --log FILE"),
        (["--log", str(log_file), "--data", "t.parquet"], "exclude each other"),
    ):
        assert cli.run(evaluate_policies, [*argv, "--out", str(tmp_path / "v.csv")]) == 2
        said = capsys.readouterr().err
        assert says in said and said.count("\n") == 1
    assert not list(tmp_path.glob("v.*"))


def test_a_saved_router_is_judged_on_the_logs_prompts(sample_long: Path, tmp_path: Path) -> None:
    settings = ExperimentSettings(
        data=sample_long, results_dir=tmp_path / "r", routers=cli.StrList(["static"]),
        save_router=tmp_path / "static.npz", lambdas=cli.FloatList([0.0]), no_cache=True,
    )  # fmt: skip
    run_experiment(settings)
    long = pd.read_parquet(sample_long)
    log = long.groupby("qid", sort=False, observed=True).sample(1, random_state=1)
    log.to_parquet(tmp_path / "log.parquet")
    run = {"log": str(tmp_path / "log.parquet"), "out": tmp_path / "v.csv", "router": tmp_path / "static.npz"}
    evaluate_policies(**run, propensities="overall")
    made = pd.read_csv(tmp_path / "v.csv").set_index(["target", "measure"])
    assert (
        made.loc[("static", "quality"), "low"]
        > made.loc[("always WizardLM/WizardLM-13B-V1.2", "quality"), "estimate"] - 0.3
    )
    log.assign(prompt="").to_parquet(tmp_path / "log.parquet")
    with pytest.raises(UserError, match="requests have no prompt, which is what it decides on"):
        evaluate_policies(**run, propensities="overall")
