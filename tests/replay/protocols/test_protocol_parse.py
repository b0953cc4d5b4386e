"""Protocols as they are written on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from dacr.core import registry
from dacr.core.errors import UserError
from dacr.replay.protocols.base import Protocol
from dacr.replay.protocols.combined import Combined, parse
from dacr.replay.protocols.models import Degrade
from dacr.replay.protocols.orders import Drift

MODELS = ("a", "b")


def test_all_are_registered() -> None:
    names = {"sorted", "blocky", "adversarial", "drift", "degrade", "price_change", "late_joiner", "sparse"}
    names |= {"delayed", "poisoned"}
    assert names <= set(registry.protocols.names())
    assert registry.ALL["protocols"] is registry.protocols
    assert all(part.__doc__ for _, part in registry.protocols.items())


def test_several_with_arguments() -> None:
    made = parse("drift, degrade:model=gpt-4-1106-preview,at=0.25,factor=0.6,sparse:share=0.1")
    assert [part.name for part in made.parts] == ["drift", "degrade", "sparse"]
    drift, degrade, _ = made.parts
    assert isinstance(drift, Drift) and isinstance(degrade, Degrade)
    assert (degrade.model, degrade.at, degrade.factor) == ("gpt-4-1106-preview", 0.25, 0.6)
    assert str(parse(str(made))) == str(made)


def test_types_follow_defaults_and_colons_in_names_stay() -> None:
    made = parse("price_change:at=0,model=llama3:8b,announced=true,blocky:size=9")
    files = {"prices": "", "was": ""}
    assert made.parts[0].params == {"model": "llama3:8b", "at": 0.0, "factor": 2.0, "announced": True, **files}
    assert made.parts[1].params == {"size": 9}


def test_nothing_is_the_ordinary_stream() -> None:
    made = parse("")
    assert made == Combined() and str(made) == ""
    assert made.order(["x"], 0) is None and not made.effects(3, MODELS, 0).any


def test_order_and_effects_come_together() -> None:
    made = parse("sorted,degrade:model=b,at=0,factor=0.5")
    assert sorted(made.order(["x", "y", "x"], 1).tolist()) == [0, 1, 2]
    assert made.effects(3, MODELS, 1).quality_factor[:, 1].tolist() == [0.5] * 3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("drfit", "did you mean 'drift'"),
        ("drift,sorted", "each want an order"),
        ("degrade", "lacks model"),
        ("degrade:modle=b", "unknown key 'modle'; did you mean 'model'"),
        ("degrade:model", "write name=value"),
        ("degrade:", "nothing follows"),
        ("at=0.5", "begins with an argument"),
        ("sparse:share=many", "share: expected a share from 0 to 1"),
        ("sparse:share=nan", "share: expected a share from 0 to 1"),
        ("blocky:size=1.5", "expected a whole number"),
        ("price_change:model=b,announced=perhaps", "expected true or false"),
    ],
)
def test_what_is_wrong_is_said(text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        parse(text)


def test_no_model_left_is_refused() -> None:
    both = parse("late_joiner:model=a,late_joiner:model=b")
    with pytest.raises(UserError, match="position 0"):
        both.effects(4, MODELS, 0)


def test_the_example_of_the_documentation_works() -> None:
    page = Path(__file__).resolve().parents[3] / "docs" / "methods" / "protocols.md"
    code = page.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    filed: registry.Registry[Protocol] = registry.Registry("protocol", package=None)
    own = "from dacr.core.registry import protocols\n"
    assert own in code
    exec(code.replace(own, ""), {"protocols": filed, "__name__": __name__})
    effects = filed.get("outage")(model="b").effects(10, MODELS, 0)
    assert effects.available[:, 1].tolist() == [True] * 4 + [False] * 2 + [True] * 4
