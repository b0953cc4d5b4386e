"""What the command line says of a flag that is none and of a value of the wrong kind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from dacr.core import cli
from dacr.core.errors import UserError
from dacr.core.values import Above0, AtLeast1, made_of

SEEN: dict[str, Any] = {}


def stage(
    *,
    count: int | None = None,
    whole: int = 1,
    share: float | None = None,
    loud: bool = False,
    kind: Literal["baseline", "other"] | None = None,
    must: Literal["baseline", "other"] = "other",
    numbers: cli.FloatList | None = None,
    some_names: cli.StrList = cli.StrList(),  # noqa: B008
    prices: dict[str, float] | None = None,
    where: Path | None = None,
) -> None:
    """Do nothing."""
    SEEN.clear()
    SEEN.update(locals())


def run(*words: str) -> int:
    try:
        return cli.run(stage, list(words))
    except SystemExit as stop:
        assert isinstance(stop.code, int)
        return stop.code


@pytest.mark.parametrize(
    ("flag", "value", "kind"),
    [
        ("count", "x", "a whole number"),
        ("whole", "1.5", "a whole number"),
        ("share", "x", "a number"),
        ("loud", "perhaps", "true or false"),
        ("kind", "baselin", "baseline or other"),
        ("must", "baselin", "baseline or other"),
        ("numbers", "1,x", "numbers with commas between"),
        ("prices", "3", "a mapping such as {name: value}"),
    ],
)
def test_a_value_of_the_wrong_kind_is_one_short_line_in_plain_words(
    flag: str, value: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(f"--{flag}", value) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: --{flag}: expected {kind}, got '{value}'; see ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("words", [["--where", ""], ["--where="], ["--where", "", "--loud"]])
def test_an_empty_path_is_not_this_folder(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*words) == 2
    assert "--where: expected a path, got ''" in capsys.readouterr().err


def test_help_names_types_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "type: a path" in told and "type: numbers with commas between" in told and "type: true or false" in told
    assert "<class" not in told


@pytest.mark.parametrize("flag", ["--some-names", "--some_names"])
@pytest.mark.parametrize("values", [["a,b"], ["a", "b"]])
def test_a_hyphen_is_as_good_as_an_underscore(flag: str, values: list[str]) -> None:
    assert run(flag, *values, "--where=a-b") == 0
    assert SEEN["some_names"] == ("a", "b") and SEEN["where"] == Path("a-b")


@pytest.mark.parametrize(("flag", "nearest"), [("--coun", "--count"), ("--some-name", "--some_names"), ("--l", "")])
def test_an_abbreviation_is_refused_with_the_nearest_flag(
    flag: str, nearest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(flag, "1") == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: unknown flag {flag}") and nearest in said and said.count("\n") == 1


def test_a_switch_stands_alone_or_has_a_value() -> None:
    for words, loud in ((["--loud"], True), (["--loud", "--whole", "2"], True), (["--loud", "false"], False)):
        assert run(*words) == 0 and SEEN["loud"] is loud


def test_values_of_a_file_are_told_the_same_way() -> None:
    class Settings:
        def __init__(self, mode: Literal["a", "b"] | None = None) -> None:
            self.mode = mode

    with pytest.raises(UserError, match=r"^sweep\.yaml: --mode: expected a or b, got 'c'$"):
        cli.values_of(Settings, {"mode": "c"}, "sweep.yaml")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("count: x", "--count: expected a whole number, got 'x'"),
        ("cuont: 1", "unknown key 'cuont'; did you mean 'count'?"),
        ("- 1", "a file of flags should hold a mapping"),
        ("[1, 2", "the file of flags is not YAML"),
        ("must: odd", "--must: expected baseline or other, got 'odd'"),
    ],
)
def test_a_file_of_flags_that_can_be_mended(
    text: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "flags.yaml").write_text(text)
    assert run("--config", str(tmp_path / "flags.yaml")) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {says}") and said.count("\n") == 1


@dataclass
class Settings:
    depth: int = 1


@pytest.mark.parametrize("words", [["--list"], ["--list", "true"], ["--list", "--depth", "2"]])
def test_a_command_is_a_switch(words: list[str]) -> None:
    def other(settings: Settings) -> int:
        """Do something else."""
        return 40 + settings.depth

    def plain(settings: Settings) -> int:
        """Do it."""
        return 0

    assert cli.run(plain, words, settings_class=Settings, commands={"list": other}) == 40 + (2 if "2" in words else 1)


@dataclass(frozen=True)
class Part:
    name: str
    size: Above0 = 1.0


@dataclass(frozen=True)
class Whole:
    parts: tuple[Part, ...]
    count: AtLeast1 = 1


def test_dataclasses_are_made_of_plain_values() -> None:
    made = made_of(Whole, {"parts": [{"name": "a", "size": 2}, {"name": "b"}], "count": None}, "x.yaml")
    assert made == Whole((Part("a", 2.0), Part("b")))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([1], "x.yaml: expected a mapping with the keys parts, count, got [1]"),
        ({}, "x.yaml: lacks parts"),
        ({"part": []}, "x.yaml: unknown key 'part'; did you mean 'parts'? known: parts, count"),
        ({"parts": [], "count": 0}, "x.yaml: count: expected a whole number of at least 1, got '0'"),
        ({"parts": [{"name": "a", "size": "big"}]}, "x.yaml: parts.size: "),
        ({"parts": [{"size": 1}]}, "name"),
    ],
)
def test_what_no_dataclass_can_be_made_of(given: Any, says: str) -> None:
    with pytest.raises(UserError) as caught:
        made_of(Whole, given, "x.yaml")
    assert says in str(caught.value) and "\n" not in str(caught.value)
