"""Every registered metric and every registered check keeps its contract."""

from __future__ import annotations

import pytest

from dacr.contracts import check, metric
from dacr.core.registry import checks, metrics
from dacr.experiment.checks import run


@pytest.mark.parametrize("rule", metric.RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("name", metrics.names())
def test_metric(name, rule) -> None:
    rule(metrics.get(name))


@pytest.mark.parametrize("rule", check.RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("name", checks.names())
def test_check(name, rule) -> None:
    rule(checks.get(name))


def test_the_contexts_of_the_contract_make_every_check_pass_and_find() -> None:
    sound, unsound = (run(context) for context in check.contexts())
    assert set(sound["status"]) == {"passed"}, sound[sound["status"] != "passed"]
    assert set(unsound["status"]) == {"found"}, unsound[unsound["status"] != "found"]
