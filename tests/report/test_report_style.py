from __future__ import annotations

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from dacr.core.registry import routers
from dacr.report import style

KNOWN = list(style._KNOWN)


def test_no_two_routers_share_colour_and_marker() -> None:
    for one, two in combinations(KNOWN, 2):
        a, b = style.look(one), style.look(two)
        assert (a.colour, a.marker) != (b.colour, b.marker), f"{one} and {two} look alike"


def test_every_registered_router_has_a_look_of_its_own() -> None:
    assert len(routers.names()) > 3
    names = [name for name in routers.names() if not name.endswith("_full")]
    looks = {(style.look(name).colour, style.look(name).marker) for name in names}
    assert len(looks) == len(names)


def test_dacr_stands_out() -> None:
    assert all(style.look("dacr").width > style.look(other).width for other in KNOWN if other != "dacr")
    assert style.in_order([*KNOWN, "a_plugin"])[0] == "dacr"


def test_the_full_information_twin_has_the_same_colour_hollow_and_dashed() -> None:
    own, twin = style.look("dacr"), style.look("dacr_full")
    assert (twin.colour, twin.marker) == (own.colour, own.marker)
    assert not twin.filled
    assert twin.line != own.line
    assert style.in_order(["dacr_eq9", "dacr_full", "dacr"]) == ["dacr", "dacr_full", "dacr_eq9"]


@settings(deadline=None, max_examples=50)
@given(st.text(min_size=1, max_size=12))
def test_a_plugin_looks_the_same_beside_any_others(name: str) -> None:
    assert style.look(name) == style.look(name)
    pair = (style.look(name).colour, style.look(name).marker)
    if name not in KNOWN and not name.endswith("_full"):
        assert pair not in {(style.look(k).colour, style.look(k).marker) for k in KNOWN}
