"""The documents' commands are run as they stand, their links followed, their excerpts compared with the code."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pandas as pd
import pytest

from dacr.data import hub

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted(
    {*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "data/README.md", ROOT / "results_dacr/README.md"}
)


def commands(marker: str) -> list[str]:
    """Return the commands of the code block that follows the comment ``<!-- marker: ... -->``."""
    block = re.search(rf"<!-- {marker}:[^>]*-->\n```(?:sh|python)\n(.*?)```", README, re.S)
    assert block, f"README.md has no block marked {marker!r}"
    return block.group(1).replace("\\\n", "").strip().splitlines()


@pytest.fixture
def shell(tmp_path: Path, script: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., str]:
    """Run a README command in an empty folder, where nothing of the checkout can be overwritten."""
    for name in ("scripts", "configs", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "data").mkdir()

    def run(line: str, *more: str, **env: str) -> str:
        python, path, *rest = shlex.split(line)
        assert python == "python", line
        env = {"DACR_CACHE_DIR": str(tmp_path / "cache"), **env}
        done = script(Path(path).name, *rest, *more, cwd=tmp_path, **env)
        assert done.returncode == 0, f"{line}\n{done.stderr[-2000:]}"
        return done.stdout

    return run


class _OneFile(BaseHTTPRequestHandler):
    """A Hub that has the pinned raw file alone."""

    content = b""

    def do_HEAD(self) -> None:
        self._answer(False)

    def do_GET(self) -> None:
        self._answer(True)

    def _answer(self, body: bool) -> None:
        known = self.path == f"/datasets/{hub.REPO}/resolve/{hub.REVISION}/{hub.FILE}"
        content = self.content if known else b""
        self.send_response(200 if known else 404)
        self.send_header("X-Repo-Commit", hub.REVISION)
        self.send_header("ETag", '"made-for-this-test"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def endpoint(tmp_path: Path, script: Callable[..., subprocess.CompletedProcess[str]]) -> Iterator[str]:
    """Address of a Hub on this machine that serves the embedded benchmark as routerbench_raw.pkl."""
    made = script("make_sample.py", "--out_dir", tmp_path / "made", "--sample", 1500, "--kind", "raw")
    assert made.returncode == 0, made.stderr
    handler = type("Handler", (_OneFile,), {"content": (tmp_path / "made" / hub.FILE).read_bytes()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.slow
def test_the_five_commands_as_they_stand(shell: Callable[..., str], endpoint: str, tmp_path: Path) -> None:
    lines = commands("pipeline")
    assert len(lines) == 5
    for line in lines:
        shell(line, HF_ENDPOINT=endpoint, HF_HOME=str(tmp_path / "hub"), HF_HUB_OFFLINE="0")
    results = tmp_path / "results_dacr"
    metrics = pd.read_csv(results / "metrics.csv")
    assert {1.0, 5.0, 10.0, 20.0} <= set(metrics["lambda_cost"].dropna())
    assert {"dacr", "dacr_eq9", "predict_optimize", "oracle", "zero"} <= set(metrics["policy"])
    assert metrics["mean_quality"].between(0, 1).all()
    for figure in ("quality_cost", "violations_cost", "latency_tail", "reliability"):
        for ending in ("png", "pdf", "csv"):
            assert (results / "figures" / f"{figure}.{ending}").stat().st_size > 0


@pytest.mark.parametrize("line", commands("pipeline"), ids=lambda line: line.split()[1])
def test_the_flags_of_the_five_commands_exist(shell: Callable[..., str], line: str) -> None:
    shown = shell(line, "--print_config")
    for flag in re.findall(r"--(\w+)", line):
        assert re.search(rf"^{flag}:", shown, re.M), f"{flag} is not a flag of {line}"


def test_the_sample_and_the_plugin_commands_as_they_stand(shell: Callable[..., str], tmp_path: Path) -> None:
    for line in [*commands("sample"), *commands("plugin")]:
        shell(line)
    metrics = pd.read_csv(tmp_path / "results_dacr" / "mine" / "metrics.csv")
    own = metrics[metrics["policy"] == "half_trust"]
    assert len(own) == metrics["lambda_cost"].nunique() > 1
    assert (own["param_weight"] == 0.5).all()
    assert own["mean_quality"].between(0, 1).all()


def test_the_lines_of_a_notebook_as_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    shown = []
    for line in filter(None, commands("library")):
        code = compile(line, "README.md", "exec" if re.match(r"import|\w+ = ", line) else "eval")
        shown.append(eval(code, names))
    assert [type(one).__name__ for one in shown[-4:]] == ["ExperimentResults", "InlineFigure", "DataFrame", "DataFrame"]


def test_the_routers_heart_is_that_of_the_example() -> None:
    example = (ROOT / "docs/examples/my_router.py").read_text(encoding="utf-8")
    block = re.search(r"```python\n(@routers.*?)```", README, re.S)
    assert block
    for line in block.group(1).strip().splitlines():
        heart = line.strip().removeprefix("return ").split("  #")[0].removesuffix("(self, requests):")
        assert heart in example, f"not in docs/examples/my_router.py: {line}"


def test_the_make_targets_that_are_named_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for page in PAGES:
        for target in re.findall(r"`make ([a-z-]+)`|^make ([a-z-]+)", page.read_text(encoding="utf-8"), re.M):
            name = "".join(target)
            assert re.search(rf"^{name}:", makefile, re.M), f"{page.name} names `make {name}`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text):
        assert (page.parent / target).exists(), f"{page.name} links to {target}, which does not exist"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_scripts_that_are_named_exist(page: Path) -> None:
    for name in re.findall(r"scripts/(\w+\.py)", page.read_text(encoding="utf-8")):
        assert (ROOT / "scripts" / name).exists(), f"{page.name} names scripts/{name}"


def test_the_test_command_is_what_continuous_integration_runs() -> None:
    assert "make test" in (ROOT / ".ci/run").read_text(encoding="utf-8")
    checked = subprocess.run(["bash", "-n", str(ROOT / ".ci/run")], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert sys.version_info >= (3, 11)
