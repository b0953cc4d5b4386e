"""The question of a few-shot prompt, in the formats of real benchmarks; all texts are made up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dacr.estimates.features.question import question_of, questions_of
from dacr.estimates.features.text import TextFeatures, hashed_counts

CHOICE = 'Print only a single choice  from "A" or "B" or "C" or "D" without explanation.'

GSM_PREFACE = (
    "TASK: Solve the following grade school math problem and provide a numerical answer.\n"
    "The following are examples of grade school math problems and answers:\n"
    "Question: Nia had 4 pears and bought 3 more. How many pears are there? \nAnswer: 7\n\n"
    "Question: Omar gave 5 of his 9 coins away. How many coins are left?\nAnswer: 4\n\n"
)
GSM = "A tram has 12 seats and 5 more are added. Then 3 break. How many seats can be used?"

ARC_EXAMPLES = "".join(
    f"Which of these is number {i}?\nA) one\nB) two\nC) three\nD) four\n{CHOICE}\nAnswer:\n{letter}\n\n"
    for i, letter in enumerate("ABCDA")
)
ARC = f"Which metal is liquid at room temperature?\nA) iron\nB) gold\nC) mercury\nD) zinc\n{CHOICE}\nAnswer:"

WINOGRANDE_HEAD = "Please answer with the letter of the correct answer.\n\n"
WINOGRANDE_TAIL = '\nPrint only a single choice  from "A" or "B" without explanation. Answer:'
WINOGRANDE_EXAMPLES = "".join(
    f"{WINOGRANDE_HEAD}The cup was left on the table because the _ was number {i}.\nA) cup\nB) table"
    f"{WINOGRANDE_TAIL}\n{letter}\n\n"
    for i, letter in enumerate("BABBA")
)
WINOGRANDE = f"{WINOGRANDE_HEAD}Tove lent Ruth the map because _ knew the way.\nA) Tove\nB) Ruth{WINOGRANDE_TAIL}"


@pytest.mark.parametrize(
    ("prompt", "question"),
    [
        pytest.param(GSM_PREFACE + GSM, GSM, id="grade school maths"),
        pytest.param(ARC_EXAMPLES + ARC, ARC, id="arc, 5-shot"),
        pytest.param(WINOGRANDE_EXAMPLES + WINOGRANDE, WINOGRANDE, id="winogrande, 5-shot"),
        pytest.param(ARC, ARC, id="arc, 0-shot: the open 'Answer:' is no example"),
        pytest.param(WINOGRANDE, WINOGRANDE, id="winogrande, 0-shot"),
        pytest.param("Write a function to add two lists.", "Write a function to add two lists.", id="mbpp"),
        pytest.param("Q: Is 7 a prime?\nA: yes\n\nQ: Is 9 a prime?\nA:", "Q: Is 9 a prime?\nA:", id="Q and A"),
        pytest.param("  spaces around  ", "spaces around", id="stripped"),
    ],
)
def test_question_of_real_formats(prompt: str, question: str) -> None:
    assert question_of(prompt) == question


def test_a_rest_too_short_to_be_a_question_is_not_one() -> None:
    prompt = "Question: What is 2 + 2?\nAnswer: 4\n\nOK?"
    assert question_of(prompt) == prompt


@given(st.text(max_size=200))
@settings(deadline=None, max_examples=200)
def test_a_question_is_the_end_of_its_prompt_and_never_lost(prompt: str) -> None:
    question = question_of(prompt)
    assert prompt.strip().endswith(question)
    assert bool(question) == bool(prompt.strip())
    assert questions_of([prompt]) == [question]


def test_questions_of_one_preface_have_features_of_their_own() -> None:
    """An embedder that sees the preface gives all of these one vector."""
    words = ["copper", "river", "planet", "bridge", "garden", "winter", "music", "engine"]
    prompts = [ARC_EXAMPLES + ARC.replace("metal", a).replace("gold", b) for a in words for b in words]
    counts = hashed_counts(questions_of(prompts))
    features = TextFeatures(min_df=1).fit(counts).transform(counts)
    assert len(np.unique(features.round(6), axis=0)) == len(prompts)
