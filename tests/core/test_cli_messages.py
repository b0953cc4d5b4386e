"""What the command line says of a value of the wrong kind."""

from __future__ import annotations

import pytest

from dacr.core import cli


def stage(*, count: int | None = None, share: float | None = None) -> None:
    """Do nothing.

    Parameters
    ----------
    count : int, optional
        A number.
    share : float, optional
        A number.
    """


@pytest.mark.parametrize(("flag", "kind"), [("count", "int"), ("share", "float")])
def test_an_optional_number_of_the_wrong_kind_is_one_short_line(
    flag: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        raise SystemExit(cli.run(stage, [f"--{flag}", "x"]))
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: --{flag}: expected {kind}, got 'x'; see ")
    assert said.count("\n") == 1
