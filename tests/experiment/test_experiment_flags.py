"""run_experiment as a user meets it: parts listed, plugins, config files, own features, results kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dacr.core import cli, registry
from dacr.experiment import run
from dacr.experiment.settings import ExperimentSettings

CHEAP = ("--routers", "cheapest", "--lambdas", "5", "--seeds", "1", "--ood_holdout", "grade-school-math")

PLUGIN = '''
"""A router from outside the package."""
from dacr.core.registry import routers
from dacr.routers.base import Router

@routers.register("mine")
class Mine(Router):
    """Always the highest p."""

    def scores(self, requests):
        {body}
        return requests.p
'''


def run_here(*argv: object) -> int:
    return cli.run(run.run_experiment, [str(word) for word in argv], settings_class=ExperimentSettings)


def test_list_names_every_registered_part(stage: Callable) -> None:
    done = stage("run_experiment.py", "--list")
    assert done.returncode == 0 and not done.stderr
    words = set(done.stdout.split())
    for kind, parts in registry.ALL.items():
        assert f"{kind}:" in words and parts.names() and set(parts.names()) <= words


def test_a_plugin_is_a_router_like_any_other(sample_long: Path, tmp_path: Path, script: Callable) -> None:
    (tmp_path / "my_router.py").write_text(PLUGIN.format(body=""))
    flags = ("--data", sample_long, "--results_dir", tmp_path / "r", *CHEAP[2:], "--routers", "mine,cheapest")
    done = script("run_experiment.py", *flags, "--plugin", tmp_path / "my_router.py")
    assert done.returncode == 0, done.stderr
    assert pd.read_csv(tmp_path / "r" / "metrics.csv")["policy"].tolist() == ["mine", "cheapest"]
    assert "plugin" in json.loads((tmp_path / "r" / "manifest.json").read_text())["inputs"]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("raise ValueError('midway')", 1),
        ("from dacr.core.errors import UserError; raise UserError('midway')", 2),
        ("raise KeyboardInterrupt", 130),
    ],
)
def test_an_error_midway_keeps_what_stood_in_the_folder(
    fault: str, code: int, sample_long: Path, tmp_path: Path, script: Callable
) -> None:
    results = tmp_path / "r"
    (results / "figures").mkdir(parents=True)
    before = {"metrics.csv": "earlier", "notes.txt": "mine", "figures/a.pdf": "drawn"}
    for name, text in before.items():
        (results / name).write_text(text)
    (tmp_path / "broken.py").write_text(PLUGIN.format(body=fault))
    flags = ("--data", sample_long, "--results_dir", results, *CHEAP[2:], "--routers", "cheapest,mine")
    done = script("run_experiment.py", *flags, "--plugin", tmp_path / "broken.py")
    assert done.returncode == code, done.stderr
    assert code == 1 or done.stderr.count("\n") == 1
    left = {str(path.relative_to(results)) for path in results.rglob("*") if path.is_file()}
    assert left == set(before) and {path.name for path in results.iterdir()} == {"metrics.csv", "notes.txt", "figures"}
    assert all((results / name).read_text() == text for name, text in before.items())


def test_success_replaces_results_and_what_was_made_of_them_alone(sample_long: Path, tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    for name in ("metrics.csv", "report.html", "notes.txt", "figures/a.pdf"):
        (tmp_path / name).write_text("earlier")
    assert run_here("--data", sample_long, "--results_dir", tmp_path, *CHEAP) == 0
    assert (tmp_path / "notes.txt").read_text() == "earlier"
    assert not (tmp_path / "figures").exists() and not (tmp_path / "report.html").exists()
    assert pd.read_csv(tmp_path / "metrics.csv")["policy"].tolist() == ["cheapest"]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_flags_win_over_a_config_file(sample_long: Path, tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text(
        f"data: {sample_long}\nresults_dir: {tmp_path / 'r'}\nrouters: best_single\nlambdas: [5, 9]\nseeds: [1]\n"
    )
    assert run_here("--config", tmp_path / "e.yaml", "--lambdas", "7") == 0
    metrics = pd.read_csv(tmp_path / "r" / "metrics.csv")
    assert metrics[["policy", "lambda_cost"]].values.tolist() == [["best_single", 7.0]]
    config = json.loads((tmp_path / "r" / "manifest.json").read_text())["config"]
    assert config["lambdas"] == [7.0] and config["seeds"] == [1]


def test_features_of_ones_own(sample_long: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "x.npy", np.zeros((600, 3)))  # blind: every query of a domain is treated alike
    np.save(tmp_path / "short.npy", np.zeros((599, 3)))
    flags = ("--data", sample_long, "--results_dir", tmp_path / "r", *CHEAP[2:], "--routers", "knn")
    assert run_here(*flags, "--features", tmp_path / "x.npy") == 0
    capsys.readouterr()
    assert run_here(*flags, "--features", tmp_path / "short.npy") == 2
    said = capsys.readouterr().err
    assert "(600, n_feature)" in said and "(599, 3)" in said and said.count("\n") == 1


def test_the_stages_work_together_and_missing_latencies_are_told(
    sample_long: Path, tmp_path: Path, stage: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {name: tmp_path / f"{name}.jsonl" for name in ("stream", "latency", "base", "partial")}
    held = ("--ood_holdout", "grade-school-math")
    done = stage("build_stream.py", "--data", sample_long, "--out", files["stream"], *held, "--max_queries", "40")
    assert done.returncode == 0, done.stderr
    outs = ("--out", files["latency"], "--out_base", files["base"])
    done = stage("simulate_latency.py", "--data", sample_long, "--stream", files["stream"], *outs)
    assert done.returncode == 0, done.stderr
    flags = ("--data", sample_long, "--stream", files["stream"], *CHEAP)
    assert run_here(*flags, "--latency_log", files["latency"], "--results_dir", tmp_path / "r") == 0
    assert "test queries: 40 of the" in capsys.readouterr().out

    lines = files["latency"].read_text().splitlines()
    models = {json.loads(line)["model"] for line in lines}
    gone = sorted(models)[0]
    first = json.loads(lines[0])["qid"]
    files["partial"].write_text(
        "".join(f"{line}\n" for line in lines if (json.loads(line)["qid"], json.loads(line)["model"]) != (first, gone))
    )
    partial = ("--latency_log", files["partial"], "--results_dir", tmp_path / "p")
    assert run_here(*flags, *partial) == 2
    said = capsys.readouterr().err
    assert "coverage is 99.7 %" in said and "--missing_latency drop" in said and said.count("\n") == 1
    assert not (tmp_path / "p").exists()
    for how, n in (("drop", 39), ("impute", 40)):
        assert run_here(*flags, *partial, "--missing_latency", how) == 0
        decisions = pd.read_parquet(tmp_path / "p" / "decisions.parquet")
        assert len(decisions) == n and (decisions["latency_s"] > 0).all()
