"""A user's mistake is one line that says what was got, wherever files and flags are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from dacr.core import cli, files
from dacr.core.errors import UserError
from dacr.data.write import write_long
from dacr.envs import scenarios
from dacr.experiment.settings import ExperimentSettings
from dacr.experiment.sweep.grid import read_grids
from dacr.experiment.verify.stage import verify
from dacr.live import catalogue, fleet
from dacr.report.folder import read_csv
from dacr.routers.rules.engine import load_rules
from dacr.workload.latency import LatencyModel
from dacr.workload.latency_fit import read_llmperf


def test_a_binary_file_is_no_json_lines(sample_long: Path) -> None:
    with pytest.raises(UserError, match="is not UTF-8 text; expected JSON lines"):
        files.read_jsonl(sample_long)


@pytest.mark.parametrize("content", [b"a: [1", b"\xff\xfe\x00"], ids=["broken", "binary"])
@pytest.mark.parametrize(
    "read",
    [
        files.read_yaml,
        read_grids,
        load_rules,
        fleet.load_chain,
        catalogue.load,
        LatencyModel.from_yaml,
        lambda path: scenarios.scenario("easy", config=path),
    ],
    ids=["io", "sweep", "rules", "chain", "catalogue", "latency", "scenarios"],
)
def test_what_is_not_yaml_is_one_line_everywhere(read: Any, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"x\.yaml is not YAML: ") as told:
        read(path)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"n_jobs": 0}, "--n_jobs: expected a whole number of at least 1, got 0"),
        ({"dacr_mu_lr": -0.1}, "--dacr_mu_lr: expected a number of at least 0, got -0.1"),
        ({"dacr_cal_lr": -1.0}, "--dacr_cal_lr: expected a number of at least 0, got -1.0"),
        ({"dacr_mu_lr": float("nan")}, "--dacr_mu_lr: expected a number of at least 0, got nan"),
        ({"tau_seconds": float("inf")}, "--tau_seconds: expected a number above 0, got inf"),
        ({"dacr_p_miss": 1.1}, "--dacr_p_miss: expected a share from 0 to 1, got 1.1"),
        ({"test_size": 1.0}, "--test_size: expected a share between 0 and 1, got 1.0"),
        ({"delay_s": -1}, "--delay_s: expected a number of at least 0, got -1"),
        ({"token_method": "bytes"}, "--token_method: expected chars or words or max, got 'bytes'"),
        ({"noise_cv": "0.1"}, "--noise_cv: expected a number of at least 0, got '0.1'"),
    ],
)
def test_settings_that_make_no_sense(flags: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError) as told:
        ExperimentSettings(**flags)
    assert str(told.value) == expected


def test_a_list_of_settings_may_stand_in_several_words() -> None:
    seen: list[ExperimentSettings] = []
    words = ["--routers", "cheapest", "zero", "--seeds", "1", "2", "--no_cache"]
    assert cli.run(seen.append, words, settings_class=ExperimentSettings) == 0
    assert seen[0].routers == ("cheapest", "zero") and seen[0].seeds == (1, 2) and seen[0].no_cache


def test_verify_reads_the_manifest_of_a_store(sample_long: Path, tmp_path: Path) -> None:
    from dacr.data.prepare import prepare_routerbench

    prepare_routerbench(sample=500, out=str(tmp_path / "x.store"))
    for path in (tmp_path / "x.store", sample_long):
        assert verify(data=path) == 0


def test_chunks_that_are_not_whole_queries_are_refused(tmp_path: Path, tiny_long: pd.DataFrame) -> None:
    with pytest.raises(UserError, match="every query has to have the models"):
        write_long(tmp_path / "x.parquet", [tiny_long.iloc[:-1]], {})
    swapped = tiny_long.iloc[[0, 1, 2, 4, 3, 5]]
    with pytest.raises(UserError, match="every query has to have the models"):
        write_long(tmp_path / "x.parquet", [swapped], {})
    assert not list(tmp_path.iterdir())


def test_a_folder_is_no_file_and_a_file_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is a folder, expected a file to write"):
        files.write_text(tmp_path, "x")
    with pytest.raises(UserError, match="is a file, expected a folder"):
        files.existing_folder(tmp_path / "file")


def test_a_binary_file_of_flags_is_one_line(sample_long: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(print, ["--config", str(sample_long)], settings_class=ExperimentSettings) == 2
    assert capsys.readouterr().err == "error: --config: not UTF-8 text; expected a YAML file with flags\n"


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00"], ids=["empty", "binary"])
def test_what_is_no_csv_is_one_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_bytes(content)
    for read in (lambda: read_llmperf(tmp_path / "metrics.csv"), lambda: read_csv(tmp_path / "metrics.csv")):
        with pytest.raises(UserError, match=r"is not a (readable )?CSV"):
            read()
