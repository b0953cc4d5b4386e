"""Prompts of the sample: which writer serves which domain, and the few-shot prefaces.

The words carry domain, kind of question and difficulty, so that a router can learn from them, in part.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from dacr.core.rng import keyed_normal, keyed_uniform, keys_of, seed_for
from dacr.data.sample import choice, tasks
from dacr.data.sample.facts import DOMAINS
from dacr.data.sample.slots import N_DRAWS, Prompts, Slots

GSM_PREFACE = (
    "TASK: Read the grade school math problem below and give the answer as one number.\n"
    "Here are examples of such problems with their answers:\n"
    "Question: A baker fills 6 trays with 8 rolls each. He sells 19 before noon. How many are left?\nAnswer: 29\n\n"
    "Question: Mina is 4 years older than Paul, and Paul is 9. How old will Mina be in 7 years?\nAnswer: 20\n\n"
    "Question: A train has 5 cars with 24 seats each. If 77 people sit down, how many seats stay free?\nAnswer: 43\n\n"
    "Question: Tobias saves 3 dollars a week. How much more does he need for a 50 dollar kite after 12 weeks?\n"
    "Answer: 14\n\n"
    "Question: A garden has 7 rows of 6 tulips. A third of them are red. How many are not red?\nAnswer: 28\n\n"
    "Question: Two buses carry 38 and 45 children, and 13 get off. How many children stay on the buses?\n"
    "Answer: 70\n\n"
)

_WRITERS: dict[str, Callable[[str, Slots], Prompts]] = {
    "mmlu": choice.single_choice,
    "arc": choice.single_choice,
    "hellaswag": choice.hellaswag,
    "winogrande": choice.winogrande,
    "gsm": tasks.gsm,
    "mbpp": tasks.mbpp,
    "mtbench": tasks.mtbench,
    "chinese": tasks.chinese,
    "other": tasks.other,
}
LETTERED = ("mmlu", "arc", "hellaswag", "winogrande")


def prompts(domain: str, slots: Slots) -> Prompts:
    """Write the questions of a group of queries of one domain."""
    return _WRITERS[DOMAINS[domain][1]](domain, slots)


def preface_of(domain: str) -> str:
    """Return the few-shot preface that each 0-shot question of a domain has, as a text of its own; mostly empty."""
    return GSM_PREFACE if DOMAINS[domain][1] == "gsm" else ""


def whole_prompt(domain: str, question: str) -> str:
    """Return preface and question as one text, as the long table has it."""
    preface = preface_of(domain)
    return f"{preface}\n{question}" if preface else question


@cache
def five_shots(domain: str) -> str:
    """Return the five answered examples before each 5-shot question of a single-choice domain; else nothing."""
    if DOMAINS[domain][1] not in LETTERED:
        return ""
    keys = keys_of([f"{domain}.shot.{k}" for k in range(5)])
    slots = Slots(
        keyed_uniform(keys, N_DRAWS, seed_for("sample shots")),
        keyed_normal(keys, 1, seed_for("sample shots", "difficulty"))[:, 0],
        np.arange(5) % 4,
    )
    made = prompts(domain, slots)
    return "".join(f"{text}\n{'ABCD'[k]}\n\n" for text, k in zip(made.text, made.answer.tolist(), strict=True))
