"""Real files of other projects, compared with figures that are worked out here; and every format to the end."""

from __future__ import annotations

import json
import re
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dacr.core import cli
from dacr.core.cli import FloatList, StrList
from dacr.core.registry import loaders
from dacr.data import table
from dacr.data.loaders import base
from dacr.data.prepare import prepare_routerbench
from dacr.experiment.run import run_experiment
from dacr.experiment.settings import ExperimentSettings

Read = Callable[..., table.RoutingTable]


@pytest.fixture
def formats(shared_data: Path) -> Path:
    if not (shared_data / "formats").is_dir():
        pytest.skip("needs the folder formats of the shared data")
    return shared_data / "formats"


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def convert(source: Path | str, *flags: str) -> table.RoutingTable:
        out = tmp_path / "out.parquet"
        assert cli.run(prepare_routerbench, ["--input", str(source), "--out", str(out), *flags]) == 0
        return table.load(out)

    return convert


def jsonl(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_routerarena(formats: Path, read: Read) -> None:
    got = read(formats / "routerarena", "--quality_range", "clip")
    assert got.n_query == 809 and got.model == ("claude-3-haiku-20240307", "gemini-2.0-flash-001")
    for m, name in enumerate(got.model):
        rows = [row["evaluation_result"] for row in jsonl(formats / "routerarena" / f"{name}.jsonl")]
        assert got.quality[:, m].mean() == pytest.approx(np.clip([r["score"] for r in rows], 0, 1).mean(), abs=1e-12)
        assert got.cost_usd[:, m].mean() == pytest.approx(np.mean([r["inference_cost"] for r in rows]), abs=1e-15)
    assert got.quality.mean(axis=0) == pytest.approx([0.523, 0.690], abs=5e-4)
    assert got.cost_usd.mean(axis=0) == pytest.approx([1.76e-4, 4.75e-5], rel=2e-3)
    assert "AIME" in got.domain and "NarrativeQA" in got.domain


def test_the_matrix(formats: Path, read: Read) -> None:
    got = read(formats / "matrix" / "matrix_superhard.json")
    told = json.loads((formats / "matrix" / "matrix_superhard.json").read_text())
    assert got.quality.shape == (56, 17)
    for m, name in enumerate(got.model):
        for i, qid in enumerate(got.qid):
            cell = told[name][qid]
            assert (got.quality[i, m], got.cost_usd[i, m]) == (cell["ok"], cell["usd"])
            assert got.latency_s[i, m] == cell["lat"] / 1000
    assert set(got.domain) == {"sh"}


def test_omnisbench_is_sparse(formats: Path, read: Read, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    items = json.loads((formats / "omnisbench" / "results.json").read_text())["items"]
    long = pd.concat(list(loaders.get("omnisbench")().chunks(base.members(formats / "omnisbench"))))
    expected = pd.DataFrame(items).drop_duplicates(["dataset", "item_id", "chosen_model"])
    assert len(long) == len(expected) == 91
    assert long["quality"].mean() == expected["passed"].mean() and long["cost"].sum() == expected["cost_usd"].sum()
    assert (
        cli.run(prepare_routerbench, ["--input", str(formats / "omnisbench"), "--out", str(tmp_path / "none.parquet")])
        == 2
    )
    assert "49 of 140 outcomes are missing" in capsys.readouterr().err
    part = ["--missing_outcomes", "available", "--out", str(tmp_path / "some.parquet")]
    assert cli.run(prepare_routerbench, ["--input", str(formats / "omnisbench"), *part]) == 0
    got = table.load(tmp_path / "some.parquet", incomplete=True)
    assert got.recorded is not None and got.recorded.sum() == 91 and got.quality.shape == (35, 4)
    assert np.nansum(got.cost_usd) == pytest.approx(expected["cost_usd"].sum())


@pytest.mark.parametrize("name", ["data_arc_qwen", "data_arc_sonnet", "data_pubmedqa_gpt4o_mini"])
def test_inspect_has_the_accuracy_of_its_own_header(name: str, formats: Path, read: Read) -> None:
    log = json.loads((formats / "inspect" / f"{name}.json").read_text())
    got = read(formats / "inspect" / f"{name}.json", "--unpriced", "free")
    accuracy = log["results"]["scores"][0]["metrics"]["accuracy"]["value"]
    assert got.quality.mean() == pytest.approx(accuracy, abs=1e-12) and got.model == (log["eval"]["model"],)
    assert got.n_query == log["results"]["total_samples"]
    usage = [next(iter(sample["model_usage"].values())) for sample in log["samples"]]
    assert got.output_tokens is not None and got.output_tokens.sum() == sum(one["output_tokens"] for one in usage)
    working = [sample["working_time"] for sample in log["samples"]]
    np.testing.assert_allclose(got.latency_s[:, 0], working)


def test_two_inspect_logs_of_one_task_are_joined(formats: Path, read: Read, tmp_path: Path) -> None:
    prices = tmp_path / "prices.yaml"
    prices.write_text(
        "models:\n  anthropic/claude-sonnet-4*: {price_per_million_input: 3, price_per_million_output: 15}\n"
    )
    got = read(formats / "inspect" / "data_arc_*.json", "--prices", str(prices), "--missing_outcomes", "drop")
    assert got.quality.tolist() == [[1, 1], [1, 0], [1, 0]]
    assert got.cost_usd[:, 0] == pytest.approx(
        [(129 * 3 + 356 * 15) / 1e6, (98 * 3 + 7 * 15) / 1e6, (106 * 3 + 216 * 15) / 1e6]
    )
    assert (got.cost_usd[:, 1] == 0).all(), "a local model costs nothing"


def test_an_inspect_archive(formats: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with zipfile.ZipFile(formats / "inspect" / "popularity_a.eval") as archive:
        n_sample = sum(name.startswith("samples/") for name in archive.namelist())
    long = loaders.get("inspect")().load(formats / "inspect" / "popularity_a.eval")
    assert len(long) == n_sample == 10 and set(long["model"]) == {"openai/gpt-4o-mini"}
    assert long["output_tokens"].sum() == 20 and long["input_tokens"].sum() == 620  # as its header says
    command = ["--input", str(formats / "inspect" / "popularity_a.eval"), "--out", str(tmp_path / "o.parquet")]
    assert cli.run(prepare_routerbench, command) == 2
    assert "has NaN quality" in capsys.readouterr().err, "this log was never scored"


def test_lm_eval(formats: Path, read: Read) -> None:
    got = read(formats / "lm_eval", "--unpriced", "free")
    results = json.loads(next((formats / "lm_eval").glob("results_*.json")).read_text())
    assert got.model == (results["model_name"],) and got.n_query == 10
    assert got.quality.mean() == results["results"]["math_perturbed_full"]["exact_match,none"] == 0
    rows = jsonl(next((formats / "lm_eval").glob("samples_*.jsonl")))
    assert got.prompt[0] == rows[0]["arguments"]["gen_args_0"]["arg_0"]
    assert got.response[0].as_py() == rows[0]["resps"][0][0]


def test_helm(formats: Path, read: Read) -> None:
    for place in sorted((formats / "helm").iterdir()):
        stats = json.loads((place / "stats.json").read_text())
        for metric in ("exact_match", "quasi_exact_match"):
            got = read(place, "--unpriced", "free", "--quality_metric", metric)
            own = [
                (one["mean"], sum(r["instance"]["split"] == one["name"]["split"] for r in states))
                for states in [json.loads((place / "scenario_state.json").read_text())["request_states"]]
                for one in stats
                if one["name"]["name"] == metric and "perturbation" not in one["name"]
            ]
            expected = sum(mean * n for mean, n in own) / sum(n for _, n in own)
            assert got.quality.mean() == pytest.approx(expected, abs=1e-9) and got.model == ("openai/gpt2",)
    assert read(formats / "helm", "--unpriced", "free").n_query == 15


def test_helm_by_another_stat_and_one_that_is_none(
    formats: Path, read: Read, capsys: pytest.CaptureFixture[str]
) -> None:
    got = read(
        formats / "helm" / "narrative_qa-model=openai_gpt2", "--unpriced", "free", "--quality_metric", "f1_score"
    )
    assert got.quality.mean() == pytest.approx(0.17424242424242425 * 4 / 5, abs=1e-9)
    command = ["--input", str(formats / "helm"), "--quality_metric", "f2", "--out", "/tmp/none.parquet"]
    assert cli.run(prepare_routerbench, command) == 2
    assert "--quality_metric 'f2'" in capsys.readouterr().err


def test_every_eval_ever(formats: Path, read: Read) -> None:
    got = read(formats / "eee", "--unpriced", "free")
    assert (
        got.quality.tolist() == [[1.0]] and got.prompt[0] == "What is 2 + 2?" and got.model == ("demo-org/demo-model",)
    )
    assert got.output_tokens is not None and got.output_tokens.tolist() == [[5]]


def test_zeroeval_grades_as_the_long_table_of_the_same_answers(formats: Path, shared_data: Path, read: Read) -> None:
    got = read(formats / "zeroeval", "--unpriced", "free")
    assert got.quality.shape == (120, 4)
    known = pd.read_parquet(shared_data / "zeroeval_long.parquet")
    short = {name.split("/")[-1].casefold(): name for name in got.model}
    known = known[known["model"].str.casefold().isin(short)]
    by_id = {(row.qid, short[row.model.casefold()]): row.quality for row in known.itertuples()}
    graded = [
        [by_id[f"{domain}.{qid}", name] for name in got.model] for qid, domain in zip(got.qid, got.domain, strict=True)
    ]
    np.testing.assert_array_equal(got.quality, graded)


def big_sample(**columns: str) -> pd.DataFrame:
    """Sixty queries of two domains and two models, in the shape of :func:`dacr.data.loaders.base.sample_rows`."""
    rng = np.random.default_rng(1)
    rows = [
        (
            f"q{i}",
            f"Question {i} about {'trees' if i % 2 else 'ships'}?",
            "ab"[i % 2] * 2,
            f"m{m}",
            f"Answer {m}",
            q,
            1e-4 * (m + 1),
        )
        for i in range(60)
        for m, q in enumerate((float(rng.random() < 0.5), float(rng.random() < 0.7)))
    ]
    names = ["qid", "prompt", "domain", "model", "response", "quality", "cost"]
    return pd.DataFrame(rows, columns=names).rename(columns=columns)


def big_pool(folder: Path) -> Path:
    """Write :func:`big_sample` as RouterEval has it: matrices in a pickle, questions by the index of their part."""
    wide = big_sample().pivot(index="qid", columns="model", values="quality")
    prompts = big_sample().drop_duplicates("qid").set_index("qid")["prompt"].reindex(wide.index)
    parts = {"train": np.arange(0, 40), "val": np.arange(40, 50), "test": np.arange(50, 60)}
    data = {f"{part}_score": wide.to_numpy()[rows] for part, rows in parts.items()}
    whole = {
        "hard": {2: {"all_strong": {"data": data, "model": list(wide.columns)}}},
        "split_index": {part: rows.tolist() for part, rows in parts.items()},
        "embedding": {},
        "prompt": prompts.tolist(),
    }
    pd.to_pickle(whole, folder / "pool.pkl")
    return folder / "pool.pkl"


def big_responses(folder: Path) -> Path:
    """Write :func:`big_sample` as RouteLLM has it: a CSV with a column of truth values and one of answers per model."""
    long = big_sample()
    wide = long.pivot(index="prompt", columns="model", values="quality").astype(bool)
    said = long.pivot(index="prompt", columns="model", values="response").add_suffix("_response")
    wide.join(said).reset_index().to_csv(folder / "responses.csv", index=False)
    return folder / "responses.csv"


def big_copies(part: type[base.Loader], folder: Path) -> Path:
    """Write thirty copies of a format's sample files, each with ids and questions of its own."""
    for k in range(30):
        place = folder / str(k)
        place.mkdir()
        part.write_sample(place)
        for path in [path for path in place.rglob("*") if path.is_file()]:
            text = path.read_text()
            for i in (1, 0):
                text = re.sub(rf"(?<![a-z])q{i}\b", f"q{2 * k + i}", text)
                text = re.sub(rf'("(?:doc_id|index|embedding_id)": |"simple_){i}\b', rf"\g<1>{2 * k + i}", text)
            path.write_text(text)
    return folder


OWN_FIXTURES = {"routereval": big_pool, "routellm": big_responses}


@pytest.mark.slow
@pytest.mark.parametrize("name", loaders.names())
def test_from_a_file_to_an_experiment(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = loaders.get(name)
    (tmp_path / "in").mkdir()
    if name in OWN_FIXTURES:
        source = OWN_FIXTURES[name](tmp_path / "in")
    elif hasattr(sys.modules[part.__module__], "sample_rows"):
        monkeypatch.setattr(sys.modules[part.__module__], "sample_rows", big_sample)
        source = part.write_sample(tmp_path / "in")
    else:
        source = big_copies(part, tmp_path / "in")
    prices = tmp_path / "prices.yaml"
    prices.write_text("models:\n  m*: {price_per_million_input: 1, price_per_million_output: 2}\n")
    out = tmp_path / "long.parquet"
    prepare_routerbench(input=str(source), prices=prices, out=str(out))
    got = table.load(out)
    assert got.quality.shape == (60, 2) and np.isfinite(got.cost_usd).all() and (got.cost_usd > 0).all()
    if name not in ("zeroeval", "bfcl", "omnisbench"):  # which grade, or only tell right from wrong
        sample = big_sample() if hasattr(sys.modules[part.__module__], "sample_rows") else base.sample_rows()
        expected = (big_sample() if name in OWN_FIXTURES else sample).groupby("model")["quality"].mean()
        assert got.quality.mean(axis=0) == pytest.approx(expected.to_numpy(), abs=1e-12)
    settings = ExperimentSettings(
        data=out, results_dir=tmp_path / "results", routers=StrList(["dacr", "static", "zero"]),
        lambdas=FloatList([0.0, 100.0]), orders=2, n_jobs=1, no_cache=True,
    )  # fmt: skip
    run_experiment(settings)
    assert len(pd.read_csv(tmp_path / "results" / "metrics.csv")) > 0
