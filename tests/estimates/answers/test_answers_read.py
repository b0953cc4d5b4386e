"""Answers are read off a response by its own shape; what can't be read agrees with nothing."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dacr.core.errors import UserError
from dacr.estimates.answers.program import program_of
from dacr.estimates.answers.read import UNREAD, read_answers


def codes(*texts: str | None) -> list[int]:
    return read_answers(pa.array(texts, pa.string()), len(texts))[0].tolist()


@pytest.mark.parametrize(
    "texts",
    [
        (
            "B",
            " B\n",
            "(B)",
            "B)",
            "**B**",
            "B. Paris",
            "The answer is B.",
            "Some thought.\nAnswer: (B)",
            "B\n\nQuestion: next",
        ),
        (
            "The total is 42.",
            "6 x 7 = 42",
            "So she paid $42.00 in all.",
            "42",
            "42.0",
            "1. add\n2. multiply\n\nIt is 42 apples.",
        ),
        ("1,200", "It costs $1,200.00", "1200"),
        ('{"reasoning": "r", "answer": "[1, 2]"}', '```json\n{\n "answer": [1,2]}\n```'.replace("[1,2]", '"[1,2]"')),
        ('{"answer": "8"}', '{"reasoning": "two answers: 7", "answer": 8}', r"Therefore it is $\boxed{8}$"),
        ("The  Cat", "the cat.", "cat"),
        (
            "```python\ndef f(x):\n    return x + 1\n```",
            "def f(number: int) -> int:\n    '''Add one.'''\n    return number + 1  # done",
        ),
    ],
)
def test_the_same_answer_in_other_words(texts: tuple[str, ...]) -> None:
    found = codes(*texts)
    assert found[0] != UNREAD and len(set(found)) == 1, found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("A", "B"),
        ("It is 41.", "It is 42."),
        ("-3", "3"),
        ("cat", "dog"),
        ('{"answer": "\'aB\'"}', '{"answer": "\'ab\'"}'),
    ],
)
def test_other_answers(one: str, other: str) -> None:
    first, second = codes(one, other)
    assert UNREAD not in (first, second) and first != second


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "   \n",
        "I'm sorry, but I can't help with that.",
        "Error: 429 Too Many Requests",
        "timeout",
        "Answer",
        "The plot follows a family over three summers. It moves slowly, and ends well for nobody in it.",
        "```python\ndef f(:\n```",
    ],
)
def test_what_has_no_answer(text: str | None) -> None:
    assert codes(text, text) == [UNREAD, UNREAD]


def test_a_response_is_read_alone() -> None:
    texts = ["B", "It is 42.", "cat", "prose without end " * 20]
    together = read_answers(pa.array(texts * 2), 2)
    shuffled = read_answers(pa.array([*texts[::-1], *texts]), 1).ravel()
    for k in range(4):
        assert (together.ravel()[k] == UNREAD) == (shuffled[3 - k] == UNREAD)


def test_a_declared_kind_is_the_only_one_that_is_read() -> None:
    response = pa.array(["B", "B and 7", "B", "It is 7"])
    read = read_answers(response, 2, kind=["number", ""])
    assert read[0, 0] == UNREAD and read[0, 1] == read[1, 1] and read[1, 0] != UNREAD
    with pytest.raises(UserError, match="no kind of answer"):
        read_answers(response, 2, kind=["digit", ""])


def test_programs_differ_where_they_do_something_else() -> None:
    assert program_of("def f(x):\n    return x + 1") != program_of("def f(x):\n    return x - 1")
    assert program_of("def f(x):\n    return x") != program_of("def g(x):\n    return x")
    assert program_of("x = 1") is None


def test_codes_have_the_shape_of_the_table() -> None:
    read = read_answers(pa.array(["A", "B", "A", "A", "B", "B"]), 3)
    assert read.shape == (2, 3) and read.dtype == np.int64
    assert read[0, 0] == read[0, 2] == read[1, 0] != read[0, 1] == read[1, 1] == read[1, 2]
