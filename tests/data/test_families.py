"""One family's name may begin another's: each is held out alone, wherever families are held out in turn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dacr.core.cli import StrList
from dacr.core.errors import UserError
from dacr.data.splits import by_size, held_out_domains, hold_out, large_families, sizes, split_queries
from dacr.data.table import RoutingTable, load
from dacr.experiment.groups import hold_outs
from dacr.experiment.settings import ExperimentSettings
from dacr.experiment.studies import choice

DOMAINS = ("gsm", "gsm-hard", "mbpp", "mbpp/plus", "arc")


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten queries of each domain; ``mbpp`` and ``mbpp/plus`` are one family, ``gsm`` and ``gsm-hard`` are two."""
    rng = np.random.default_rng(0)
    rows = [
        (f"{domain}-{i}", f"{domain}: what is {i}?", domain, model, "A", float(rng.random() < 0.5), cost)
        for domain in DOMAINS
        for i in range(10)
        for model, cost in (("cheap", 1e-5), ("strong", 1e-3))
    ]
    path = tmp_path_factory.mktemp("families") / "long.parquet"
    columns = ["qid", "prompt", "domain", "model", "response", "quality", "cost"]
    pd.DataFrame(rows, columns=columns).to_parquet(path)
    return path


@pytest.fixture(scope="module")
def table(long: Path) -> RoutingTable:
    return load(long)


def held_out(table: RoutingTable, prefixes: tuple[str, ...]) -> set[str]:
    split = split_queries(list(table.qid), list(table.domain), prefixes)
    assert not set(table.domain[split.train]) & set(table.domain[split.test])
    return set(table.domain[split.test])


def test_a_name_is_a_prefix_and_an_equals_sign_makes_it_exact(table: RoutingTable) -> None:
    assert held_out(table, ("gsm",)) == {"gsm", "gsm-hard"}
    assert held_out(table, ("=gsm",)) == {"gsm"}
    assert held_out(table, ("=gsm", "mbpp")) == {"gsm", "mbpp", "mbpp/plus"}
    with pytest.raises(UserError, match="'=gs' matches no domain; the nearest is 'gsm'"):
        held_out_domains(list(table.domain), ("=gs",))


def test_the_large_families(table: RoutingTable) -> None:
    size = sizes(table.family)
    assert size == {"arc": 10, "gsm": 10, "gsm-hard": 10, "mbpp": 20}
    assert by_size(size, 10) == ["mbpp", "arc", "gsm", "gsm-hard"] and by_size(size, 11) == ["mbpp"]
    with pytest.raises(UserError, match=r"needs 21 queries \(--min_n\), the largest, 'mbpp', has 20"):
        large_families(size, 21, "--min_n")
    with pytest.raises(UserError, match="none is left to train on"):
        large_families({"mbpp": 20}, 1, "--min_n")


def test_a_study_holds_out_each_family_alone(table: RoutingTable) -> None:
    made = hold_outs(table, (), 5)
    assert {name: held_out(table, prefixes) for name, prefixes in made.items()} == {
        "mbpp": {"mbpp", "mbpp/plus"},
        "arc": {"arc"},
        "gsm": {"gsm"},
        "gsm-hard": {"gsm-hard"},
    }
    together = hold_outs(table, ("gsm+arc", "mbpp/"), 5)
    assert held_out(table, together["gsm+arc"]) == {"gsm", "arc"}, "several at once"
    assert held_out(table, together["mbpp/"]) == {"mbpp/plus"}, "what is no family is a prefix"
    with pytest.raises(UserError, match="--hold_outs 'mbpq' matches no domain"):
        hold_outs(table, ("mbpq",), 5)
    with pytest.raises(UserError, match="--holdouts"):
        hold_outs(table, ("gsm+gsm-hard+arc+mbpp",), 5, ("--holdouts", "--min_queries"))


def test_an_inner_hold_out_is_one_family(long: Path, table: RoutingTable) -> None:
    settings = ExperimentSettings(data=long, predictor="base_rate", routers=StrList(("dacr",)))
    cells = choice.inner_cells(settings, table, table.family, ["arc"], 5)
    assert [own.ood_holdout for own, _ in cells.values()] == [("mbpp",), ("=gsm",), ("gsm-hard",)]
    assert {manner.without for _, manner in cells.values()} == {("arc",)}


def test_hold_out_names_all_domains_of_a_family_that_begins_another() -> None:
    family = {"bbh/a": "bbh", "bbh/b": "bbh", "bbh-x": "bbh-x"}
    assert hold_out("bbh", family) == ("=bbh/a", "=bbh/b") and hold_out("bbh-x", family) == ("bbh-x",)
