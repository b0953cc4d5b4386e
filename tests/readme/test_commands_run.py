"""Every command and every line of Python of every page runs, each page as one session, on small data."""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.live.fault_server import FaultServer
from tests.readme.session import ROOT, Lacking, Session, blocks, commands, never_run
from tests.readme.staged import hub_of, stage

PAGES = sorted(
    {*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("[dr]*/README.md")} - {ROOT / "CHANGELOG.md"}
)
"""All but the history, which tells of commands as they were."""
TEXTS = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in PAGES}
PYTHON = {name: blocks(text, "python") for name, text in TEXTS.items()}

EXCERPTS = {"README.md": "HalfTrustRouter"}
"""Blocks that are cut out of a file; test_documents.py compares them."""
PLACES = {
    "README.md": {" A B": " results_dacr results_dacr", "FILE": "measured.csv", "DIR": "demo"},
    "docs/checks.md": {"NAME=DACR099": "NAME=DACR018"},
    "docs/reproducing.md": {"THEIRS YOURS": "results_dacr results_dacr"},
    "docs/files.md": {"DIR": "results_dacr"},
    "CONTRIBUTING.md": {"NAME=mine PLUGIN": "NAME=newcomer_router PLUGIN", "NAME=mine": "NAME=cheapest"},
}
"""Words of a page that stand for a reader's own."""
LEFT = {
    "README.md": ("results_dacr/mine/metrics.csv", "half_trust"),
    "docs/live.md": ("data/routed.jsonl", '"qid"'),
    "docs/methods/ope.md": ("results_dacr/ope.csv", "DR"),
    "docs/scoring.md": ("folder/README.md", "my_router"),
}
"""A file that is there after a page has run, and a word in it."""
BEFORE = {
    "docs/live.md": "import openai\nmessages = [{'role': 'user', 'content': 'hello'}]\nschema = {'type': 'string'}\n",
    "docs/checks.md": "def something(metrics): return False\n",
}
"""What the lines of Python of a page take for granted."""


def test_no_page_has_commands_that_are_not_run() -> None:
    assert len(TEXTS) > 30
    assert not {name: left for name, text in TEXTS.items() if (left := never_run(text))}, "write them as ```sh"


@pytest.mark.parametrize(
    "hidden",
    [
        "```bash\npython scripts/verify.py\n```\n",
        "```\ndacr run\n```\n",
        "```text\nX=1 python -m dacr\n```\n",
        "text\n\n    python scripts/verify.py\n",
        "```console\n$ ls\n```\n",
    ],
)
def test_a_command_that_would_not_be_run_is_found(hidden: str) -> None:
    assert never_run(hidden) and not commands(hidden)


def test_what_is_run_by_hand() -> None:
    page = (
        "`dacr run -x`, `scripts/x.py\n--a`.\n\n```sh\na\nb\n```\n\n`x = 1`, `dacr run`\n\n```python\n`dacr x`\n```\n"
    )
    assert commands(page) == ["dacr run -x\n", "python scripts/x.py --a\n", "a\nb\n"]
    assert not never_run(page)


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory, script: Callable[..., object]) -> Path:
    return stage(tmp_path_factory.mktemp("staged"), script)


@pytest.fixture(scope="module")
def around(staged: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of all sessions: a Hub, and a server that answers for every model."""
    with hub_of((staged / "routerbench_raw.pkl").read_bytes()) as hub, FaultServer(answer).running() as models:
        yield {
            "DACR_CACHE_DIR": os.environ["DACR_CACHE_DIR"],
            "HF_ENDPOINT": hub,
            "HF_HOME": str(tmp_path_factory.mktemp("hub")),
            "HF_HUB_OFFLINE": "0",
            "OPENAI_BASE_URL": models.url,
            "OLLAMA_API_BASE": models.url.removesuffix("/v1"),
            "OPENAI_API_KEY": "made-for-this-test",
        }


def answer(model: str, prompt: str, nth: int) -> dict[str, str]:
    """What a model says: JSON to who needs it, an action to who plays, else a sentence."""
    known = {"gpt-4o-mini": '{"domain": "math"}', "qwen2.5:7b": '"yes"', "qwen3": "route_to_a"}
    return {"text": known.get(model, "The answer is B.")}


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, text in TEXTS.items() if commands(text) or PYTHON[name]])
def test_a_page_as_it_stands(name: str, staged: Path, around: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "here"
    shutil.copytree(staged, folder)
    if "pip install ." in TEXTS[name] and "plugin" not in name:
        shutil.copytree(ROOT / "dacr", folder / "dacr", ignore=shutil.ignore_patterns("__pycache__"))
    places = {"HOST": "127.0.0.1", "/shared/": f"{tmp_path}/shared/", **PLACES.get(name, {})}
    places |= {port: free_port() for port in ("8080", "8786", "6379")}
    places["localhost:11434"] = around["OLLAMA_API_BASE"].removeprefix("http://")

    def placed(code: str) -> str:
        for word, place in places.items():
            code = code.replace(word, place)
        return code

    before = list(TEXTS.values())[: list(TEXTS).index(name)]
    elsewhere = {command for text in before for command in commands(text)}
    shown = [line for text in TEXTS.values() for block in blocks(text, "sh") for line in block.splitlines()]
    elsewhere |= {re.sub(r"\s+#.*", "", line) + "\n" for line in shown}
    begins_in = "docs/examples/plugin" if "plugin" in name else "."
    session, left, ran = Session(folder, around, begins_in), [], 0
    try:
        for command in dict.fromkeys(commands(TEXTS[name])):
            if placed(command) in elsewhere and command not in blocks(TEXTS[name], "sh"):
                continue
            try:
                session.run(placed(command))
                ran += 1
            except Lacking as reason:
                left.append(str(reason))
        lines = [code for code in PYTHON[name] if EXCERPTS.get(name, "\0") not in code]
        if lines:
            session.python([BEFORE.get(name, ""), *map(placed, lines)])
    except Lacking as reason:
        left.append(str(reason))
    finally:
        session.close()
    if name in LEFT:
        file, word = LEFT[name]
        assert word in (folder / file).read_text(encoding="utf-8")
    if left:
        pytest.skip(f"{ran} blocks ran; left out: {'; '.join(sorted(set(left)))}")
