"""What every registered figure must keep, whatever it shows (its pictures are tested with the report)."""

from __future__ import annotations

import inspect

import pytest

from dacr.core.registry import ALL, figures
from dacr.report.figure import Figure

NAMES = figures.names()


def test_every_kind_of_part_is_found() -> None:
    assert len(NAMES) >= 5
    for kind, parts in ALL.items():
        assert len(parts.names()) >= 4, kind


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_says_what_it_shows_and_keeps_numbers_apart_from_drawing(name: str) -> None:
    figure = figures.get(name)
    assert issubclass(figure, Figure) and figure.name == name and (figure.__doc__ or "").strip()
    assert not inspect.isabstract(figure)
    assert list(inspect.signature(figure.draw).parameters) == ["self", "frame", "fig"]  # no results: the frame alone
    assert figure.size_in[0] > 0 and figure.size_in[1] > 0
