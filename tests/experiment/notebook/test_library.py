"""``import dacr`` as a library: cheap to import, and the same results as the command."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import dacr
from dacr.core.errors import UserError

ROOT = Path(__file__).resolve().parents[3]
FLAGS = {"ood_holdout": "mbpp", "routers": "linucb,zero,best_single", "orders": 2, "lambdas": [0, 50]}


@pytest.fixture(scope="module")
def results(sample_long: Path, tmp_path_factory: pytest.TempPathFactory) -> dacr.ExperimentResults:
    return dacr.run(data=sample_long, results_dir=tmp_path_factory.mktemp("library") / "r", **FLAGS)


def test_the_import_brings_nothing_along() -> None:
    code = "import json, sys; import dacr; print(json.dumps([name for name in sys.modules if name[:5] == 'dacr.']))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_types_are_told_of_all_that_is_there() -> None:
    tree = ast.parse((ROOT / "dacr" / "__init__.pyi").read_text(encoding="utf-8"))
    [told] = [
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    assert sorted(ast.literal_eval(told)) == sorted(dacr._LAZY)
    assert all(getattr(dacr, name).__doc__ for name in dacr._LAZY) and set(dacr._LAZY) <= set(dir(dacr))
    with pytest.raises(AttributeError, match="no attribute 'runn'; it has prepare, load, run"):
        dacr.runn  # noqa: B018


def test_a_call_writes_what_the_command_writes(
    results: dacr.ExperimentResults,
    sample_long: Path,
    tmp_path: Path,
    stage: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    words = ["--ood_holdout", "mbpp", "--routers", FLAGS["routers"], "--orders", 2, "--lambdas", "0,50"]
    done = stage("run_experiment.py", "--data", sample_long, "--results_dir", tmp_path / "r", *words)
    assert done.returncode == 0, done.stderr
    written = {path.name for path in (tmp_path / "r").glob("*.csv")}
    assert {"metrics.csv", "frontier.csv", "summary.csv"} <= written
    for name in written - {"stages.csv"}:
        assert (results.folder / name).read_bytes() == (tmp_path / "r" / name).read_bytes(), name


def test_nothing_is_printed_and_no_figure_drawn(
    results: dacr.ExperimentResults, capsys: pytest.CaptureFixture[str]
) -> None:
    dacr.run(data=results.config["data"], results_dir=results.folder, **FLAGS)
    assert capsys.readouterr().out == ""
    assert not (results.folder / "figures").exists()


def test_settings_are_as_good_as_keywords(results: dacr.ExperimentResults, tmp_path: Path) -> None:
    settings = dacr.ExperimentSettings(
        data=Path(results.config["data"]),
        results_dir=tmp_path / "r",
        ood_holdout=("mbpp",),
        routers=("zero",),
        draw=False,
    )  # type: ignore[arg-type]
    again = dacr.run(settings)
    assert set(again.to_pandas()["policy"]) == {"zero"}
    with pytest.raises(UserError, match="settings or keywords, got both: settings and orders"):
        dacr.run(settings, orders=1)


def test_a_learner_of_a_notebook_plays(sample_long: Path, tmp_path: Path) -> None:
    code = f"""
import dacr
from dacr.core.registry import routers
routers.names()
@routers.register("of_this_notebook")
class Mine(routers.get("linucb")): ...
results = dacr.run(data={str(sample_long)!r}, results_dir={str(tmp_path / "r")!r}, routers="of_this_notebook,zero",
                   ood_holdout="mbpp", orders=2, lambdas=[0, 50], n_jobs=2)
print(sorted(results.to_pandas()["policy"]))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['of_this_notebook', 'zero']"


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ({"orers": 3}, "dacr.run: unknown key 'orers'; did you mean 'orders'"),
        ({"orders": "many"}, "dacr.run: --orders: expected a whole number of at least 1, got 'many'"),
        ({"data": "no.parquet"}, "no.parquet"),
    ],
)
def test_a_mistake_is_one_line(flags: dict[str, object], told: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=told):
        dacr.run(results_dir=tmp_path / "r", **flags)
    assert not (tmp_path / "r").exists()


def test_the_table_shows_its_models(sample_long: Path) -> None:
    table = dacr.load(sample_long)
    shown = table._repr_html_()
    assert f"{table.n_query:,} queries, {len(set(table.domain))} domains, {table.n_model} models" in shown
    assert all(model in shown for model in table.model)
    gaps = table.quality.copy()
    gaps[1:, 0] = np.nan
    shown = replace(table, quality=gaps)._repr_html_()
    assert re.search(rf"<th>{re.escape(table.model[0])}</th>\s*<td>1</td>\s*<td>{gaps[0, 0]:.4g}</td>", shown)


def test_frames_are_those_of_the_folder(results: dacr.ExperimentResults) -> None:
    assert isinstance(results, dacr.ExperimentResults)
    assert set(results.to_pandas()["policy"]) == {"linucb", "zero", "best_single"}
    assert len(results.to_pandas("decisions")) == len(pd.read_parquet(results.folder / "decisions.parquet"))
    assert not results.frontier()["enforced"].any()
    with pytest.raises(UserError, match=r"no table 'metric' in .*; did you mean 'metrics'"):
        results.to_pandas("metric")
