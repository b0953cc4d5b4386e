from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dacr.estimates.features.refusals import is_refusal, refusals
from dacr.live.answers import Schema, judge_text, parse_json, without_thoughts

PASS = [
    "Tesla has an AI team.",
    "It was an AI winter.",
    "I cannot stress enough how important tests are.",
    '```python\nprint("I can\'t")\n```',
    'def answer():\n    return "I can\'t"',
    '{"status": "I cannot reach redis"}',
    "Paris. I don't know its population.",
    "As an AI researcher, Turing asked whether machines think.",
    "I won't lie: it is 4.",
    "The answer is B.",
    "I cannot find a mistake in this proof: it is correct.",
    "I can't see any difference between the two: both are 4.",
    "I cannot think of any reason against it.",
    "I cannot simplify further: the result is x = 2.",
    "I can’t reduce the fraction any further, so 3/7.",
    "I don't know of any prime between 24 and 28, because there is none.",
    "I do not know of a faster way: sort it.",
    "As an AI language model, I find this one easy: 4.",
    "As an assistant, I would sort the list first.",
    "I'm just a model of brevity: 4.",
    "I'm afraid the answer is 4.",
    "I feel comfortable with 4.",
    "Beyond my window I see 4 trees.",
    "No, it is not prime.",
    "I don't know about you, but I would take B.",
]
CAUGHT = [
    "I can’t help with that.",
    "I won't do that.",
    "I must decline.",
    "I'm afraid I can't help with that.",
    "I am afraid that I cannot say.",
    "I'm just an AI, so I can't do this.",
    "I am only a language model and do not know.",
    "As a responsible assistant, I cannot write that.",
    "As an AI model, my guidelines do not allow it.",
    "I do not feel comfortable answering this.",
    "I don’t feel right about this.",
    "I'd rather not say.",
    "I cannot see the image.",
    "I can't find that page.",
    "Beyond my capabilities, sorry.",
    "I am not going to answer.",
    "I'm not going to do that",
    "",
    "   \n",
    "I cannot help.",
    "I can't.",
    "As an AI, I have no opinion.",
    "As an AI language model, I cannot say.",
    "I don't know.",
    "I'm not able to.",
    "I am not able to.",
    "I'm unable to.",
    "I am unable to.",
    "That is beyond my capabilities.",
    "Nie wiem.",
    "I'm sorry, but I can't assist with that request.",
    "Sorry, I cannot do this.",
    "I apologize, but I’m unable to share it.",
    "Unfortunately, I am not able to browse.",
    "**I can't** do that",
    "<think>hm, no</think>I won’t.",
]
PASS += ["It was an AI winter.", "Tesla has an AI team.", "Paris. I don't know its population."]


@pytest.mark.parametrize("text", PASS)
def test_good_answers_pass(text: str) -> None:
    assert judge_text(text)[0] == "success"


@pytest.mark.parametrize("text", CAUGHT)
def test_refusals_are_caught(text: str) -> None:
    assert judge_text(text)[0] == "rejected"


ODD = [
    " \n\n\n" * 10 + "I can't do that.",
    "\u00a0\u3000I won't.",
    "As  an\nAI, I have no view.",
    "My  apologies, I cannot.",
    "> _I´m not able to_",
    "“I can't” is a refusal.",
    "It's beyond my capabilities.",
    "Your  request is beyond my capabilities",
    "Nie mogę tego zrobić.",
    "Przykro mi, ale nie wiem",
    "Hmm, I don't know",
    "```\nI can't\n```",
    "i can\nnot",
    "I ’m not able",
    "As an\u00a0AI my view",
    "That's  quite beyond my capabilities",
]


def test_many_answers_at_once_are_judged_as_one_by_one() -> None:
    texts = [*PASS, *CAUGHT, *ODD]
    responses = pa.array([*texts, None], pa.large_string())
    assert refusals(responses).tolist() == [is_refusal(text) for text in (*texts, "")]
    some = np.arange(len(responses)) % 2 == 0
    assert (refusals(responses, some) == refusals(responses) & some).all()


@given(
    st.text(alphabet=" \n\t\u00a0\x1c\"'’*_#>-(", max_size=40),
    st.sampled_from(["", "Sorry, ", "I'm so sorry, but ", "I  apologise for that. ", "My apologies; ", "Well, no. "]),
    st.sampled_from([*CAUGHT, *PASS, *ODD]),
)
def test_no_refusal_is_overlooked_in_the_first_look(before: str, opening: str, text: str) -> None:
    assert refusals(pa.array([before + opening + text]))[0] == is_refusal(before + opening + text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ('```json\n{"a": 1}\n```', {"a": 1}),
        ('```JSON\n{"a": 1}\n```', {"a": 1}),
        ('```\n{"a": 1}```', {"a": 1}),
        ("```json\n42\n```", 42),
        ('Sure! {"a": {"b": [1]}} There you are {x}.', {"a": {"b": [1]}}),
        ('<think>{"a": 0}</think>{"a": 1}', {"a": 1}),
        ('so {"a": 0}...</think>\n{"a": 1}', {"a": 1}),
        ("The list: [1, 2]", [1, 2]),
        ("true", True),
    ],
)
def test_json_is_found(text: str, value: object) -> None:
    assert parse_json(without_thoughts(text)).value == value


def test_the_candidate_that_fits_wins_and_nonsense_ends_quickly() -> None:
    schema = Schema({"type": "object", "required": ["b"]})
    assert parse_json('Not {"a": 1} but {"b": 2}', schema).value == {"b": 2}
    assert parse_json('only {"a": 1}', schema).problem == "the answer: 'b' is a required property"
    assert parse_json("[" * 100_000).problem and parse_json("{" * 100_000).problem
    assert parse_json("NaN").problem


def test_valid_json_that_quotes_a_refusal_passes_and_a_refusal_is_no_invalid_answer() -> None:
    schema = Schema({"type": "object"})
    assert judge_text('{"error": "I cannot reach redis"}', schema)[0] == "success"
    assert judge_text("I cannot do this.", schema)[:2] == ("rejected", "refusal")
    assert judge_text("four", schema)[0] == "invalid"


@settings(deadline=None, max_examples=100)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=8,
    ),
    st.sampled_from(["{}", "```json\n{}\n```", "```\n{}\n```", "<think>no [1]</think>{}", "\n {} \n"]),
)
def test_any_json_survives_any_wrapping(value: object, wrapping: str) -> None:
    text = wrapping.replace("{}", json.dumps(value))
    assert parse_json(without_thoughts(text)).value == value


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=300))
def test_no_text_breaks_the_judge(text: str) -> None:
    assert judge_text(text, Schema({"type": "object"}))[0] in ("success", "rejected", "invalid")
    assert judge_text(text)[0] in ("success", "rejected")
