"""CONTRIBUTING's promise: a part is one new file, under 40 lines, that no other file has to know."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from dacr.contracts import __main__ as contract
from dacr.core import registry
from dacr.core.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "contracts" / "newcomer"
PARTS = {  # file: (where it goes, its name)
    "my_router.py": ("dacr/routers", "newcomer_router"),
    "my_predictor.py": ("dacr/estimates/predictors", "newcomer_predictor"),
    "my_calibrator.py": ("dacr/estimates/calibrators", "newcomer_calibrator"),
    "my_loader.py": ("dacr/data/loaders", "newcomer_loader"),
    "my_figure.py": ("dacr/report/figures", "newcomer_figure"),
    "my_metric.py": ("dacr/metrics/columns", "newcomer_metric"),
    "my_check.py": ("dacr/experiment/checks", "NEW001"),
}


@pytest.fixture
def registries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Later tests do not know the newcomer's parts."""
    for parts in registry.ALL.values():
        monkeypatch.setattr(parts, "_parts", dict(parts.items()))


def test_every_kind_of_part_is_tried_and_small() -> None:
    assert {path.name for path in HERE.glob("*.py")} == set(PARTS) and len(PARTS) == len(contract.CONTRACTS)
    for name in PARTS:
        assert len((HERE / name).read_text(encoding="utf-8").splitlines()) < 40, name


@pytest.mark.parametrize("file", PARTS)
def test_as_a_plug_in_it_keeps_its_contract(file: str, registries: None, capsys: pytest.CaptureFixture[str]) -> None:
    contract.check_part(name=PARTS[file][1], plugin=str(HERE / file))
    assert f"{PARTS[file][1]} keeps its contract" in capsys.readouterr().out


def test_a_name_that_no_part_has() -> None:
    with pytest.raises(UserError, match="no part is called 'nope'; give one of"):
        contract.check_part(name="nope")


BROKEN = {
    "my_router.py": ("requests.cost_hat", "requests.cost_hat + requests.p.mean()", "rows stand alone"),
    "my_predictor.py": ("x, y = checked(x, y)", "y = y * 1.0", "missing values are refused"),
    "my_calibrator.py": ("(p + self.rate_) / 2", "1 - (p + self.rate_) / 2", "monotone"),
    "my_loader.py": ('frame["points"] / 20', 'frame["points"] / 40', "sound long table"),
    "my_figure.py": ('ax.barh(frame["policy"], frame["mean_quality"])', "pass", "nothing is drawn"),
    "my_metric.py": (' if spent > 0 else float("nan")', "", "shed requests are no accident"),
    "my_check.py": ('yield "warning"', 'yield "fatal"', "severity is 'fatal'"),
}


@pytest.mark.parametrize("file", BROKEN)
def test_a_part_that_breaks_its_contract_is_told_which_rule(file: str, registries: None, tmp_path: Path) -> None:
    good, bad, rule = BROKEN[file]
    text = (HERE / file).read_text(encoding="utf-8")
    if file == "my_check.py":
        text = text.replace("1.1 * c.single_cost.min()", "1e9")
    assert good in text
    (tmp_path / file).write_text(text.replace(good, bad), encoding="utf-8")
    with pytest.raises(UserError, match=rule):
        contract.check_part(name=PARTS[file][1], plugin=str(tmp_path / file))


@pytest.mark.slow
def test_dropped_into_the_package_they_are_found_and_seen(tmp_path: Path) -> None:
    """Each file in its folder of a copy, nothing else touched: listed, kept to the contract, seen in the results."""
    shutil.copytree(ROOT / "dacr", tmp_path / "dacr", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("scripts", "configs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for file, (folder, _) in PARTS.items():
        shutil.copy(HERE / file, tmp_path / folder / file)

    def run(*words: str) -> str:
        done = subprocess.run([sys.executable, *words], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    listed = run("scripts/run_experiment.py", "--list", "true")
    for _, name in PARTS.values():
        assert f"  {name} " in listed
    run("-m", "dacr.contracts", "--name", "newcomer_router")
    run("scripts/prepare_routerbench.py", "--sample", "500", "--out", "long.parquet")
    asked = ("--routers", "newcomer_router,zero", "--predictor", "newcomer_predictor")
    asked = (*asked, "--calibrator", "newcomer_calibrator", "--ood_holdout", "mbpp")
    run("scripts/run_experiment.py", "--data", "long.parquet", "--results_dir", "out", *asked)
    run("scripts/make_figures.py", "--results_dir", "out")
    metrics = pd.read_csv(tmp_path / "out" / "metrics.csv")
    assert "newcomer_router" in set(metrics["policy"]) and metrics["newcomer_metric"].notna().all()
    assert "NEW001" in set(pd.read_csv(tmp_path / "out" / "checks.csv")["code"])
    assert "newcomer_calibrator" in set(pd.read_csv(tmp_path / "out" / "calibration_ece.csv")["calibrator"])
    assert (tmp_path / "out" / "figures" / "newcomer_figure.png").stat().st_size > 1000
