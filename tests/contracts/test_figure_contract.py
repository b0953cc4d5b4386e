"""Every registered figure keeps its contract: it is really drawn, from a real experiment."""

from __future__ import annotations

import pytest

from dacr.contracts.figure import RULES
from dacr.core.registry import ALL, figures

NAMES = figures.names()


def test_every_kind_of_part_is_found() -> None:
    assert len(NAMES) >= 5
    for kind, parts in ALL.items():
        assert len(parts.names()) >= 2, kind


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_figure(name, rule) -> None:
    rule(figures.get(name))
