"""A hundred ways in which a recording can be broken: one line, exit code 2, nothing half-written, bounded memory."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from dacr.core import cli
from dacr.core.registry import loaders
from dacr.data.prepare import prepare_routerbench

ROOT = Path(__file__).resolve().parents[2]
RECORDS = (
    "routerarena", "routerarena_predictions", "llmrouterbench", "llmrouter", "mixinstruct", "zeroeval", "lm_eval",
    "inspect", "helm", "every_eval_ever", "bfcl", "litellm", "omnisbench", "matrix", "langfuse", "openai_evals",
)  # fmt: skip


def refused(source: Path | str, folder: Path, capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    """Run the stage over an earlier output; assert the refusal, return its one line."""
    out = folder / "out" / "long.parquet"
    out.parent.mkdir()
    out.write_bytes(b"earlier")
    command = ["--input", str(source), "--out", str(out), "--unpriced", "free", *flags]
    assert cli.run(prepare_routerbench, command) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1, said
    assert out.read_bytes() == b"earlier" and [path.name for path in out.parent.iterdir()] == ["long.parquet"]
    return said


def outcomes(place: Path) -> Path:
    """The file of a sample that holds outcomes."""
    found = [path for path in sorted(place.rglob("*")) if path.is_file()] if place.is_dir() else [place]
    return next(
        (path for path in found if path.stem.startswith(("samples", "scenario_state")) or "_result" in path.stem),
        found[-1],
    )


SPOIL: dict[str, Callable[[bytes], bytes]] = {
    "cut in half": lambda data: data[: len(data) // 2 + 3],
    "empty": lambda data: b"",
    "bytes that are no text": lambda data: data.replace(b'"', b'"\xff\xfe', 5),
    "a stray sign": lambda data: data.replace(b"{", b"{{", 1),
    "noise": lambda data: os.urandom(512),
    "a list of numbers": lambda data: b"[1, 2, 3]",
    "records of something else": lambda data: b'[{"a": 1}, {"a": 2}]',
    "nested without end": lambda data: b'{"a":' * 100_000,
}


@pytest.mark.parametrize("how", SPOIL)
@pytest.mark.parametrize("name", RECORDS)
def test_a_spoilt_file(name: str, how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    source = loaders.get(name).write_sample(tmp_path / "in")
    for path in [source] if source.is_file() else [path for path in source.rglob("*") if path.is_file()]:
        if path == outcomes(source) or (
            path.suffix == outcomes(source).suffix and name not in ("lm_eval", "helm", "bfcl")
        ):
            path.write_bytes(SPOIL[how](path.read_bytes()))
    refused(source, tmp_path, capsys, "--loader", name)


def arena(folder: Path, change: Callable[[list[dict]], object]) -> Path:
    """RouterArena's sample with its records changed."""
    (folder / "in").mkdir()
    source = loaders.get("routerarena").write_sample(folder / "in")
    for path in sorted(source.iterdir()):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        change(rows)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return source


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda rows: [r["evaluation_result"].update(score=float("nan")) for r in rows[:1]], "outcomes are missing"),
        (lambda rows: [r["evaluation_result"].update(score=None) for r in rows[:1]], "has NaN quality"),
        (lambda rows: rows[0]["evaluation_result"].update(score="good"), "not in the format"),
        (lambda rows: rows[0]["evaluation_result"].update(score=[1]), "not in the format"),
        (lambda rows: rows[0]["evaluation_result"].update(score=-0.3), "--quality_range"),
        (lambda rows: rows[0]["evaluation_result"].update(score=87), "--quality_range"),
        (lambda rows: rows[0]["evaluation_result"].update(score=float("inf")), "quality is NaN or infinite"),
        (lambda rows: rows[0]["evaluation_result"].update(inference_cost=-1e-3), "cost must be at least 0"),
        (lambda rows: rows[0]["evaluation_result"].update(inference_cost=float("inf")), "cost is NaN or infinite"),
        (lambda rows: rows[0]["token_usage"].update(output_tokens=-5), "output_tokens should be"),
        (lambda rows: rows[0]["token_usage"].update(input_tokens=-5), "input_tokens should be"),
        (lambda rows: rows[0].update(llm_selected=""), "column 'model' is empty"),
        (lambda rows: rows[0].update(llm_selected="a\nb"), "line break"),
        (lambda rows: rows[0].update(global_index=None), "column 'qid' is empty"),
        (lambda rows: rows[0].pop("question"), "not in the format"),
        (lambda rows: rows.append(rows[0]), "stand twice"),
        (lambda rows: rows.pop() if rows[0]["llm_selected"] == "m1" else None, "1 of 4 outcomes are missing"),
        (lambda rows: rows.clear() if rows[0]["llm_selected"] == "m1" else None, "holds no records"),
    ],
)
def test_a_spoilt_record(
    change: Callable[[list[dict]], object], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = arena(tmp_path, change)
    assert says in refused(source, tmp_path, capsys)


def test_two_ids_for_one_prompt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = arena(tmp_path, lambda rows: rows[1].update(question=rows[0]["question"]))
    assert "stand twice" in refused(source, tmp_path, capsys, "--join", "prompt")


@pytest.mark.parametrize("damage", ["cut", "bomb", "outside", "absolute", "locked", "empty", "noise"])
def test_archives(damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, archive = arena(tmp_path, lambda rows: None), tmp_path / "in.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(source.iterdir()) if damage != "empty" else []:
            name = {"outside": "../", "absolute": "/etc/"}.get(damage, "") + path.name
            file.writestr(name, path.read_text() if damage != "bomb" else (" " * 1000 + "\n") * 120_000)
    data = bytearray(archive.read_bytes())
    if damage == "cut":
        data = data[: len(data) // 2]
    elif damage == "noise":
        data[40:60] = os.urandom(20)
    elif damage == "locked":
        for sign in (b"PK\x01\x02", b"PK\x03\x04"):
            at = data.index(sign) + (8 if sign[2] == 1 else 6)
            data[at] |= 1
    archive.write_bytes(bytes(data))
    says = {
        "cut": "no whole zip", "bomb": "unpacks to more than 200 times", "outside": "outside the archive",
        "noise": "in.zip", "absolute": "outside the archive", "locked": "encrypted", "empty": "empty archive",
    }  # fmt: skip
    assert says[damage] in refused(archive, tmp_path, capsys)


@pytest.mark.parametrize("damage", ["cut", "bomb", "noise"])
def test_gzipped_files(damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = arena(tmp_path, lambda rows: None)
    data = gzip.compress((source / "m0.jsonl").read_bytes() if damage != "bomb" else (b" " * 1000 + b"\n") * 120_000)
    data = data[:-12] if damage == "cut" else data[:20] + os.urandom(20) + data[40:] if damage == "noise" else data
    (source / "m0.jsonl.gz").write_bytes(data)
    (source / "m0.jsonl").unlink()
    refused(source, tmp_path, capsys, "--loader", "routerarena")


def test_whole_archives_are_read(tmp_path: Path) -> None:
    source = arena(tmp_path, lambda rows: None)
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as file:
        for path in source.iterdir():
            file.writestr(f"deep/{path.name}.gz", gzip.compress(path.read_bytes()))
    for one in (tmp_path / "in.zip", tmp_path / "in", f"{source}/*.jsonl"):
        prepare_routerbench(input=str(one), out=str(tmp_path / "o.parquet"))
        assert len(pd.read_parquet(tmp_path / "o.parquet")) == 4


@pytest.mark.parametrize("what", ["nothing", "empty folder", "glob", "flag"])
def test_places_with_nothing(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    source = {"nothing": "none.jsonl", "empty folder": "empty", "glob": "*.jsonl", "flag": "empty"}[what]
    flags = ["--quality_range", "9,1"] if what == "flag" else []
    refused(tmp_path / source, tmp_path, capsys, *flags)


@pytest.mark.parametrize("kind", ["line.jsonl", "value.json", "field.csv"])
def test_a_line_of_a_gigabyte_takes_no_gigabyte(kind: str, tmp_path: Path) -> None:
    path = tmp_path / kind
    with open(path, "wb") as file:
        head = {
            "line.jsonl": b'{"global_index": "',
            "value.json": b'[{"global_index": "',
            "field.csv": b"qid,prompt,domain,model,response,quality,cost\n",
        }
        file.write(head[kind])
        part = b"x" * 2**20
        for _ in range(128):
            file.write(part)
        file.truncate(2**30)
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_DATA, (2**30, 2**30))\n"
        "from dacr.core import cli; from dacr.data.prepare import prepare_routerbench\n"
        "sys.exit(cli.run(prepare_routerbench, sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, "--input", str(path), "--out", str(tmp_path / "o.parquet")]
    loader = ["--loader", "long"] if kind.endswith("csv") else ["--loader", "routerarena"]
    done = subprocess.run([*command, *loader], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert "of more than 67,108,864 bytes" in done.stderr or "longer than 67,108,864 bytes" in done.stderr
    assert [one.name for one in tmp_path.iterdir()] == [kind]


def test_brackets_that_close_again_are_too_many_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "deep.json"
    path.write_text(f'[{{"global_index": {"[" * 200_000}{"]" * 200_000}}}]')
    refused(path, tmp_path, capsys, "--loader", "routerarena")
