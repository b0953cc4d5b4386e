"""Every registered loader keeps its contract, on the sample rows that it brings."""

from __future__ import annotations

import pytest

from dacr.contracts.loader import RULES
from dacr.core.errors import UserError
from dacr.core.registry import loaders
from dacr.data.loaders.base import detect

NAMES = loaders.names()


def test_loaders_are_found() -> None:
    assert set(NAMES) >= {"long", "routerbench_raw", "routerbench_wide", "paretobandit"}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_loader(name, rule) -> None:
    rule(loaders.get(name))


def test_columns_that_no_loader_knows() -> None:
    with pytest.raises(UserError, match="no loader knows"):
        detect(["a", "b"], "file")
