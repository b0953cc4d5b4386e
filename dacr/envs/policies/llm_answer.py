"""Which action an LLM's answer names."""

from __future__ import annotations

import re

from dacr.envs.scenarios import Brief

_THOUGHT = re.compile(r"<think>.*?(</think>|$)", re.S | re.I)


def parse(brief: Brief, text: str, legacy: bool = False) -> int | None:
    """Return the action that ``text`` names, or None where it names none or several.

    An exact action first, else the only action that is named. ``legacy`` takes the first of the list of
    actions that occurs anywhere, so that "not route_to_a, route_to_b" means A.

    Examples
    --------
    >>> from dacr.envs.scenarios import scenario
    >>> brief = scenario("easy").brief()
    >>> parse(brief, " Route_to_B. "), parse(brief, "I take route_to_c"), parse(brief, "route_to_a or route_to_b")
    (1, 2, None)
    """
    answer = _THOUGHT.sub(" ", text).strip().lower()
    if legacy:
        return next((i for i, action in enumerate(brief.actions) if action in answer), None)
    exact = answer.strip(" \t\r\n.,;:!\"'`*")
    if exact in brief.actions:
        return brief.actions.index(exact)
    named = [i for i, action in enumerate(brief.actions) if re.search(rf"(?<!\w){action}(?!\w)", answer)]
    return named[0] if len(named) == 1 else None
