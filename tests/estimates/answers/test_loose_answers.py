"""Loose answers: free texts and programs agree where they are alike, and nothing else changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dacr.core import cli
from dacr.estimates.answers.loose import N_SIGN, Loose, alike, codes_of
from dacr.estimates.answers.read import UNREAD, read_answers
from dacr.experiment.run import run_experiment
from dacr.experiment.settings import ExperimentSettings
from dacr.routers.plans.base import same_answer

LONG = "The treaty was signed in the spring of that year, and both sides kept to it for a decade or so.\nSo it was."
NEAR = "The treaty was signed in the spring of that year, and both sides kept to it for one decade or so.\nSo it was."
OTHER = "Photosynthesis turns light into sugar: leaves take up carbon dioxide, and roots bring the water.\nSo it is."
ADD, SUM = "def add(a, b):\n    return a + b", "def add(a, b):\n    return b + a"
EVERY = np.arange(3)


def codes(rows: list[list[str]], cosine: float | None = 0.8, train: np.ndarray = EVERY) -> np.ndarray:
    flat = pa.array([text for row in rows for text in row])
    return read_answers(flat, len(rows[0]), loose=None if cosine is None else Loose(cosine, train))


ROWS = [[LONG, NEAR, OTHER], [ADD, SUM, "I cannot help with that."], ["B", "(B)", ""]]


def test_texts_and_programs_that_are_alike_agree() -> None:
    code = codes(ROWS)
    agree = np.stack([same_answer(code[:, i], code[:, j]) for i, j in ((0, 1), (0, 2), (1, 2))])
    np.testing.assert_array_equal(agree, [[True, True, True], [False] * 3, [False] * 3])
    assert code[1, 2] == code[2, 2] == UNREAD, "a refusal and an empty response have no answer"


def test_what_has_an_answer_is_read_as_ever() -> None:
    loose, exact = codes(ROWS), codes(ROWS, None)
    read = loose >= 0
    assert read[2, :2].all() and not read[0].any()
    assert same_answer(exact[:, 0], exact[:, 1]).tolist() == [False, False, True]


@pytest.mark.parametrize("row", range(2))
def test_a_code_depends_on_its_own_text(row: int) -> None:
    """With another answer of one model, whether the two others agree stays, outside of training rows."""
    changed = [list(own) for own in ROWS]
    changed[row][2] = "Something else altogether, which nobody else has said so far.\nOr has one?"
    before, after = codes(ROWS, train=np.array([2])), codes(changed, train=np.array([2]))
    np.testing.assert_array_equal(before[row, :2], after[row, :2])


def test_the_share_of_signs_tells_the_angle() -> None:
    rng = np.random.default_rng(0)
    words = np.array([f"w{k}" for k in range(400)])
    texts, cosine = [], []
    for _ in range(200):
        one = rng.choice(words, 60, replace=False)
        kept = int(rng.integers(20, 61))
        texts += [" ".join(one), " ".join([*one[:kept], *rng.choice(words, 60 - kept)])]
        cosine.append(kept / 60)
    code = codes_of(texts, np.zeros(len(texts), dtype=bool), 0.8)
    found = alike(code[::2], code[1::2])
    assert found[np.array(cosine) > 0.95].mean() > 0.9
    assert found[np.array(cosine) < 0.5].mean() < 0.1
    assert alike(code, code).all() and N_SIGN == 56


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (("--plans", "auto", "--loose_answers", "1.2"), "expected a share above 0, at most 1"),
        (("--loose_answers", "0.8"), "got 0.8, expected nothing without --plans"),
        (("--plans", "auto", "--loose_answers", "0.8", "--save_router", "one"), "got 0.8, expected nothing with"),
    ],
)
def test_bad_input(
    flags: tuple[str, ...], why: str, sample_long: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", str(sample_long), "--results_dir", str(tmp_path / "r"), *flags]
    assert cli.run(run_experiment, words, settings_class=ExperimentSettings) == 2
    assert f"--loose_answers: {why}" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()
