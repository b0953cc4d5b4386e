"""Atomic files, keyed draws, the registry, manifests and the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dacr.core import cli, files, manifest, rng
from dacr.core.errors import UserError
from dacr.core.registry import Registry, load_plugin


def test_an_earlier_file_survives_a_failure(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "a.txt"
    files.write_text(target, "one")
    with pytest.raises(RuntimeError), files.atomic_path(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "one" and [p.name for p in target.parent.iterdir()] == ["a.txt"]
    files.write_text(target, "two")
    assert target.read_text() == "two"


def test_an_earlier_folder_survives_a_failure(tmp_path: Path) -> None:
    target = tmp_path / "results"
    with files.atomic_folder(target) as fresh:
        (fresh / "a").write_text("1")
    with pytest.raises(RuntimeError), files.atomic_folder(target) as fresh:
        (fresh / "b").write_text("2")
        raise RuntimeError
    assert [p.name for p in target.iterdir()] == ["a"]
    with files.atomic_folder(target) as fresh:
        (fresh / "c").write_text("3")
    assert [p.name for p in target.iterdir()] == ["c"] and [p.name for p in tmp_path.iterdir()] == ["results"]


def test_jsonl_round_trip_and_bad_lines(tmp_path: Path) -> None:
    rows = [{"a": 1, "b": "ü"}, {"a": None}]
    assert files.write_jsonl(tmp_path / "x.jsonl", rows) == 2
    assert files.read_jsonl(tmp_path / "x.jsonl") == rows
    (tmp_path / "x.jsonl").write_text('{"a": 1}\n\n{"a":')
    with pytest.raises(UserError, match="line 3: not JSON"):
        files.read_jsonl(tmp_path / "x.jsonl")
    (tmp_path / "x.jsonl").write_text("[1]\n")
    with pytest.raises(UserError, match="got list"):
        files.read_jsonl(tmp_path / "x.jsonl")
    with pytest.raises(UserError, match=r"nearest that exists is .*x\.jsonl"):
        files.read_jsonl(tmp_path / "y.jsonl")
    with pytest.raises(UserError, match="is a folder"):
        files.existing_file(tmp_path)


names = st.lists(st.text(max_size=12), min_size=1, max_size=20, unique=True)


@given(names, st.integers(0, 2**64 - 1), st.integers(1, 5), st.data())
@settings(deadline=None, max_examples=80)
def test_keyed_draws_do_not_depend_on_the_batch(ids: list[str], seed: int, n_draws: int, data: st.DataObject) -> None:
    keys = rng.keys_of(ids)
    whole = rng.keyed_uniform(keys, n_draws, seed)
    rows = data.draw(st.lists(st.integers(0, len(ids) - 1), min_size=1, max_size=10))
    assert (rng.keyed_uniform(keys[rows], n_draws, seed) == whole[rows]).all()
    assert (rng.keyed_uniform(keys, 1, seed) == whole[:, :1]).all()
    assert ((whole > 0) & (whole < 1)).all() and np.isfinite(rng.keyed_normal(keys, n_draws, seed)).all()
    per_row = np.full(len(ids), seed, dtype=np.uint64)
    assert (rng.keyed_uniform(keys, n_draws, per_row) == whole).all()


def test_keyed_draws_are_uniform_and_named_seeds_differ() -> None:
    draws = rng.keyed_uniform(rng.keys_of(str(i) for i in range(20_000)), 2, rng.seed_for("test"))
    counts = np.histogram(draws, bins=20, range=(0, 1))[0]
    assert ((counts - 2000) ** 2 / 2000).sum() < 45  # 99.9 % point of chi-squared with 19 degrees
    assert abs(np.corrcoef(draws.T)[0, 1]) < 0.03
    assert rng.seed_for("a", 1) != rng.seed_for("a", "1") != rng.seed_for("a1")


def test_seeds_and_keys_are_the_same_in_every_process() -> None:
    code = "from dacr.core import rng; print(rng.seed_for('a', 1), rng.keys_of(['q'])[0], rng.generator('g').random())"
    root = Path(rng.__file__).resolve().parents[2]
    said = {
        subprocess.run([sys.executable, "-c", code], cwd=root, env={"PYTHONHASHSEED": seed}, capture_output=True).stdout
        for seed in "12"
    }
    here = f"{rng.seed_for('a', 1)} {rng.keys_of(['q'])[0]} {rng.generator('g').random()}\n"
    assert said == {here.encode()}


def test_registry_refuses_duplicates_and_hints() -> None:
    parts: Registry[type] = Registry("part", package=None)
    parts.register("one")(type("One", (), {}))
    with pytest.raises(UserError, match="registered twice"):
        parts.register("one")(type("Other", (), {}))
    with pytest.raises(UserError, match="did you mean 'one'"):
        parts.get("onee")
    assert parts.names() == ["one"] and [name for name, _ in parts.items()] == ["one"]


def test_plugins_that_are_missing_or_broken(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a file"):
        load_plugin(tmp_path / "none.py")
    (tmp_path / "broken.py").write_text("1 / 0")
    with pytest.raises(UserError, match="ZeroDivisionError"):
        load_plugin(tmp_path / "broken.py")


def test_manifest_round_trip(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("x")
    built = manifest.build("stage", {"a": (1, 2), "p": Path("b")}, {"in": tmp_path / "in.txt"}, note=1)
    assert manifest.from_metadata(manifest.to_metadata(built)) == built
    assert built["config"] == {"a": [1, 2], "p": "b"} and built["inputs"]["in"]["bytes"] == 1 and built["note"] == 1
    assert manifest.from_metadata(None) == {} == manifest.from_metadata({b"other": b"1"})


def stage(
    *,
    lambdas: cli.FloatList = cli.FloatList((1.0, 5.0)),  # noqa: B008
    seeds: cli.IntList = cli.IntList((1,)),  # noqa: B008
    names: cli.StrList = cli.StrList(),  # noqa: B008
    loud: bool = False,
) -> None:
    """Print what was understood."""
    if "fail" in names:
        raise UserError("one\nline")
    print(tuple(lambdas), tuple(seeds), tuple(names), loud)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ([], "(1.0, 5.0) (1,) () False"),
        (
            ["--lambdas", "1, 5,10", "--seeds", "1,2", "--names", "mbpp,winogrande", "--loud"],
            "(1.0, 5.0, 10.0) (1, 2) ('mbpp', 'winogrande') True",
        ),
        (["--loud", "false", "--lambdas", "3"], "(3.0,) (1,) () False"),
    ],
)
def test_lists_and_switches(argv: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(stage, argv) == 0
    assert capsys.readouterr().out.strip() == says


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--lambdas", "1,x"], "'x' is not a number"),
        (["--seeds", "1.5"], "whole number"),
        (["--lambdas", "nan"], "not a number"),
        (["--lamda", "1"], "--lamda"),
        (["--names", "fail"], "one line"),
    ],
)
def test_bad_flags_are_one_line_and_code_2(argv: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = cli.run(stage, argv)
    except SystemExit as stop:
        code = stop.code
    said = capsys.readouterr().err
    assert code == 2 and says in said and said.count("\n") == 1 and said.startswith("error: ")


def test_flags_win_over_the_config_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.yaml").write_text("lambdas: [7, 8]\nseeds: 3\n")
    assert cli.run(stage, ["--config", str(tmp_path / "c.yaml"), "--seeds", "4"]) == 0
    assert capsys.readouterr().out.startswith("(7.0, 8.0) (4,)")
