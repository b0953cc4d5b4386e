"""The command ``dacr``: the same stages and flags as the scripts, anywhere, installed or not."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

import dacr
from dacr.__main__ import COMMANDS, DEMO, HOLDOUT, main
from dacr.core import registry
from dacr.core.errors import UserError
from dacr.core.files import CONFIGS

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted((ROOT / "scripts").glob("[!_]*.py"))
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
INSTALL = ["-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-build-isolation"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_every_script_is_a_command_with_the_same_stage_and_flags(script: Path) -> None:
    assert script.read_text(encoding="utf-8").endswith('if __name__ == "__main__":\n    run(__file__)\n')
    found = [command for command in COMMANDS.values() if command.script == script.stem]
    assert len(found) == 1, f"name scripts/{script.name} in dacr/__main__.py"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["dacr"])
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    assert f"usage: dacr {name}" in capsys.readouterr().out


def test_version_overview_and_an_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"dacr {dacr.__version__}\n"
    assert main([]) == 0
    said = capsys.readouterr().out
    assert all(f"  {name} " in said for name in COMMANDS) and max(map(len, said.splitlines())) <= 100
    assert main(["rum"]) == 2
    assert capsys.readouterr().err == "error: unknown command 'rum'; did you mean 'run'? see dacr --help\n"


def test_the_demo_stops_at_the_stage_that_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--out", str(tmp_path / "d"), "--queries", "10"]) == 2
    told = capsys.readouterr()
    assert told.out.count("$ dacr ") == 1 and "at least 500 queries" in told.err
    assert not list((tmp_path / "d").rglob("*.parquet"))


def test_the_demo_is_that_of_make() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = text[text.index("\ndemo:") : text.index("@echo", text.index("\ndemo:"))].replace("\\\n", " ")
    made = [line.split() for line in recipe.splitlines() if "scripts/" in line]
    names = {"$(DEMO_DATA)": "{data}", "$(DEMO_RESULTS)": "{results}", "$(DEMO_QUERIES)": "{queries}"}
    names |= {'"$(HOLDOUT)"': "{holdout}"}
    command = {command.script: name for name, command in COMMANDS.items() if command.script}
    steps = []
    for _, script, *flags in made:
        line = " ".join([command[Path(script).stem], *flags])
        for variable, place in names.items():
            line = line.replace(variable, place)
        steps.append(line)
    assert steps == list(DEMO)
    assert re.search(rf"^HOLDOUT := {HOLDOUT}$", text, re.M)


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        (["st"], {"stream", "study"}),
        (["play", "--max_"], {"--max_seeds"}),
        (["play", "x"], set()),
    ],
)
def test_completion(typed: list[str], completed: set[str], completions: str, tmp_path: Path) -> None:
    (tmp_path / "dacr.bash").write_text(completions)
    words = " ".join(f'"{word}"' for word in ["dacr", *typed])
    ask = f'source dacr.bash; COMP_WORDS=({words}); COMP_CWORD={len(typed)}; _dacr; echo "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", ask], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == completed


@pytest.fixture(scope="module")
def completions() -> str:
    done = subprocess.run(
        [sys.executable, "-m", "dacr", "completion"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout


NOT_OURS = {"--head", "--no-dashboard", "--num-cpus", "--nthreads", "--document_file"}
"""Flags in the documents of Ray, of Dask, and of the benchmark of sizes, which stands with the tests."""


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_flags_and_extras_of_the_documents_exist(page: Path, completions: str) -> None:
    codes = re.findall(r"```.*?```|`[^`\n]+`|^    .*$", page.read_text(encoding="utf-8"), re.S | re.M)
    flags = {flag for code in codes for flag in re.findall(r"(?<![\w-])--[a-z][\w-]*", code)}
    known = set(re.findall(r"--[a-z]\w*", completions)) | NOT_OURS
    assert not {flag for flag in flags if flag not in known and f"--{flag[2:].replace('-', '_')}" not in known}
    named = {name for code in codes for name in re.findall(r"^`?\s*dacr ([a-z][a-z-]*)", code, re.M)}
    assert named <= set(COMMANDS)
    extras = {extra for code in codes for extra in re.findall(r"pip install '\.\[(\w+)\]'", code)}
    assert extras <= {path.stem.removeprefix("requirements-") for path in ROOT.glob("requirements-*.txt")}


def test_doctor_tells_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "dacr      for every stage: complete" in said
    assert all(word in said for word in ("Python", "cache", "cores", "live", "redis", "chromium"))


def test_doctor_tells_what_is_missing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from packaging.requirements import Requirement

    from dacr.core import doctor

    wanted = {"": [Requirement("numpy>=2")], "live": [Requirement("no-such-thing>=1"), Requirement("numpy>=99")]}
    monkeypatch.setattr(doctor, "requirements", lambda: wanted)
    assert doctor.doctor() == 0
    said = capsys.readouterr().out
    assert "missing: no-such-thing, numpy>=99 (there is" in said and "pip install -r requirements-live.txt" in said


def test_the_requirement_files_are_the_one_source_of_the_extras() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {"dependencies", "optional-dependencies"} <= set(project["dynamic"])
    assert project["scripts"] == {"dacr": "dacr.__main__:main"}


def test_installed_parts_that_fail_to_import_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import EntryPoint

    broken = EntryPoint("mine", "no_such_module_at_all", "dacr.parts")
    monkeypatch.setattr(registry, "entry_points", lambda group: [broken] if group == "dacr.parts" else [])
    with pytest.raises(UserError, match="installed parts 'mine' failed to import: ModuleNotFoundError"):
        registry.load_installed.__wrapped__()


def test_the_configurations_are_found_from_another_folder(
    script: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    assert {path.name for path in CONFIGS.glob("*.yaml")} >= {"models.yaml", "chain.yaml", "rules.yaml", "latency.yaml"}
    done = script("route_live.py", "--prompt", "x", "--base_url", "http://127.0.0.1:9/v1", cwd=tmp_path)
    assert "no such file" not in done.stderr


def install(source: Path, folder: Path) -> None:
    """Build a wheel of ``source`` and install it into the environment in ``folder``."""
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-index", "--no-deps", "--no-build-isolation"]
    wheels = folder / "wheels" / source.name
    subprocess.run([*build, "-w", str(wheels), str(source)], check=True, capture_output=True, text=True)
    wheel = next(wheels.glob("*.whl"))
    subprocess.run([str(folder / "venv" / "bin" / "python"), *INSTALL, str(wheel)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """A new environment with the wheel; its dependencies are those of this interpreter.

    Return a function that runs a command of it in an empty folder, with an empty cache and an empty home.
    """
    folder = tmp_path_factory.mktemp("fresh")
    source = folder / "source"
    names = ("dacr", "configs", "pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE")
    for path in [*(ROOT / name for name in names), *ROOT.glob("requirements*.txt")]:
        if path.is_dir():
            shutil.copytree(path, source / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            source.mkdir(exist_ok=True)
            shutil.copy(path, source)
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    packages = next((folder / "venv").rglob("site-packages"))
    (packages / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    # The wheel is built from the source distribution, so that both are tried.
    build = "from setuptools.build_meta import build_sdist; build_sdist('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True, text=True)
    install(next((source / "dist").glob("*.tar.gz")), folder)
    shutil.rmtree(source)  # nothing may lean on the checkout
    empty = folder / "empty"
    empty.mkdir()
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "DACR"))}
    env |= {"HOME": str(folder / "home"), "XDG_CACHE_HOME": str(folder / "home" / "cache")}

    def run(command: str, *args: object) -> subprocess.CompletedProcess[str]:
        words = [str(folder / "venv" / "bin" / command), *map(str, args)]
        return subprocess.run(words, cwd=empty, env=env, capture_output=True, text=True, timeout=1800)

    return run


@pytest.mark.slow
def test_the_wheel_makes_the_demo_anywhere(
    fresh: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    assert fresh("dacr", "--version").stdout == f"dacr {dacr.__version__}\n"
    where = fresh("python", "-c", "from dacr.core.files import CONFIGS; print(CONFIGS)").stdout.strip()
    assert where.endswith("site-packages/dacr/configs") and (Path(where) / "models.yaml").is_file()
    assert fresh("dacr", "doctor").returncode == 0
    done = fresh("dacr", "demo", "--out", tmp_path / "there", "--queries", 600)
    assert done.returncode == 0, done.stderr
    env = {**os.environ, "DACR_CACHE_DIR": str(tmp_path / "cache")}
    here = [sys.executable, "-m", "dacr", "demo", "--out", str(tmp_path / "here"), "--queries", "600"]
    subprocess.run(here, cwd=ROOT, env=env, check=True, capture_output=True, text=True)
    tables = sorted(path.relative_to(tmp_path / "here") for path in (tmp_path / "here").rglob("*.csv"))
    assert len(tables) > 10
    for table in (path for path in tables if path.name != "stages.csv"):  # which holds times
        one, two = (sha256((tmp_path / side / table).read_bytes()).hexdigest() for side in ("here", "there"))
        assert one == two, table
    assert (tmp_path / "there" / "results" / "figures" / "quality_cost.png").stat().st_size > 10_000
    played = fresh("dacr", "play", "--scenario", "easy", "--max-seeds", 1)
    assert played.returncode == 0 and "[END]" in played.stdout


@pytest.mark.slow
def test_the_router_of_an_installed_package_appears_in_tables(
    fresh: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    folder = Path(fresh("python", "-c", "import sys; print(sys.prefix)").stdout.strip()).parent
    plugin = shutil.copytree(ROOT / "docs" / "examples" / "plugin", tmp_path / "plugin")
    install(plugin, folder)
    listed = fresh("dacr", "run", "--list")
    assert listed.returncode == 0 and "cautious" in listed.stdout, listed.stderr
    data, stream, latency = (tmp_path / name for name in ("long.parquet", "stream.jsonl", "latency_eff.jsonl"))
    assert fresh("dacr", "prepare", "--sample", 600, "--out", data).returncode == 0
    assert fresh("dacr", "stream", "--data", data, "--out", stream, "--max-queries", 0).returncode == 0
    made = ("--out", latency, "--out-base", tmp_path / "base.jsonl")
    assert fresh("dacr", "latency", "--data", data, "--stream", stream, *made).returncode == 0
    flags = ("--stream", stream, "--latency_log", latency, "--routers", "cautious,zero", "--orders", 2)
    done = fresh("dacr", "run", "--data", data, "--results_dir", tmp_path / "r", *flags)
    assert done.returncode == 0, done.stderr
    assert "cautious" in (tmp_path / "r" / "metrics.csv").read_text(encoding="utf-8")
    tested = fresh("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", plugin / "tests")
    assert tested.returncode == 0, tested.stdout


def test_every_file_that_is_no_module_ships() -> None:
    data = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]
    shipped = {path for pattern in data["dacr"] for path in (ROOT / "dacr").glob(pattern)}
    files = [path for path in (ROOT / "dacr").rglob("*.*") if path.is_file() and "__pycache__" not in path.parts]
    left = [str(path) for path in files if path.suffix != ".py" and path not in shipped]
    assert not left, "name them under package-data in pyproject.toml"
    assert data["dacr.configs"] == ["*.yaml"]
