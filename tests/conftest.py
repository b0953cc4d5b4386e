"""What all tests share: the real data where they exist, a tiny table, a runner for the scripts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real benchmark rows beside the checkout; tests skip where it does not exist."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the folder ../shared/data with real benchmark rows does not exist here")
    return folder


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Cache of this test session: tests neither read nor fill the user's own."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DACR_CACHE_DIR", str(folder))
        yield folder


@pytest.fixture(scope="session", autouse=True)
def figures_on_demand() -> Iterator[None]:
    """Experiments of tests draw no figures of their own accord: those have tests of their own."""
    from dacr.experiment import run

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "draw", lambda _: None)
        yield


@pytest.fixture(scope="session")
def sample_long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded benchmark with 600 queries as a long table; read it, don't change it."""
    from dacr.data.prepare import prepare_routerbench

    path = tmp_path_factory.mktemp("sample") / "long.parquet"
    prepare_routerbench(sample=600, out=str(path))
    return path


@pytest.fixture(scope="session")
def script() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``python scripts/NAME ...`` as a user would; return the finished process."""

    def run(name: str, *args: object, cwd: Path = ROOT, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *_words(name, args)],
            cwd=cwd,
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            timeout=1800,  # tells what hangs from what is slow on a busy machine
        )

    return run


@pytest.fixture(scope="session")
def stage() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Like ``script``, in this process: for whatever is about the stage. It takes .6 s less, most of them imports."""
    from dacr.__main__ import script

    def run(name: str, *args: object, **env: str) -> subprocess.CompletedProcess[str]:
        words, out, err = _words(name, args), StringIO(), StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.chdir(ROOT)
            patch.setattr(sys, "argv", words)
            for variable, value in env.items():
                patch.setenv(variable, value)
            code = script(words[0])
        return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture(scope="session")
def hash_seed() -> str:
    """A ``PYTHONHASHSEED`` that is not that of this process, which draws its own."""
    return "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"


def _words(name: str, args: tuple[object, ...]) -> list[str]:
    if name == "run_experiment.py" and "--draw" not in args:
        args = (*args, "--draw", "false")  # figures have tests of their own
    return [str(ROOT / "scripts" / name), *map(str, args)]


@pytest.fixture
def tiny_long() -> pd.DataFrame:
    """Six queries in three domains, three models: a long table small enough to work out by hand."""
    rows = []
    quality = np.array([[1, 0, 1], [0.5, 0, 1], [0, 0, 1], [1, 1, 1], [0, 0.25, 0], [1, 0, 0]])
    for i, domain in enumerate(["mbpp", "mbpp", "mmlu-law", "mmlu-law", "winogrande", "winogrande"]):
        for j, (model, cost) in enumerate([("cheap", 1e-5), ("mid", 1e-4), ("strong", 1e-2)]):
            rows.append((f"q{i}", f"Question number {i}?", domain, model, "A" * (j + 1), quality[i, j], cost * (i + 1)))
    return pd.DataFrame(rows, columns=["qid", "prompt", "domain", "model", "response", "quality", "cost"])
