"""The documents' links are followed, their excerpts compared with the code; what they name exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted(
    {*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "data/README.md", ROOT / "results_dacr/README.md"}
)


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
