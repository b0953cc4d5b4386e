"""Prompts of the sample that ask for more than a letter: sums, code, chat, riddles, summaries."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dacr.data.sample import words as w
from dacr.data.sample.slots import Prompts, Slots, Texts, context

_GSM_ASKS = (
    w.words("How many {t} are left? | What number of {t} does {n} have now?"),
    w.words("If this goes on, how many {t} does {n} have in the end? | So how many {t} can {n} count on?"),
    w.words("What is the total number of {t}? | Calculate how many {t} {n} has in total."),
    w.words(
        "How many {t} has {n} got, not counting what was lost? | Except for those given away, how many {t} remain?"
    ),
)
_GSM_STEPS = (
    "Then {w} adds {m} {t} on the next morning.",
    "After a good week {n} has {x} times as many {t} as before.",
    "{w} takes half of the {t}, rounded down, and {n} keeps the rest.",
    "The number of {t} then grows by 50 percent, rounded down.",
    "On the way home {n} gives up to {m} {t} to {w}.",
)
_REMARKS = (
    w.words("The names are listed first. | A name is given for each."),
    w.words("We explain why this is so. | The causes are discussed."),
    w.words("The ratio is 3 to 7. | About 40 percent differ."),
    w.words("None of this is certain. | All but one do not agree."),
)


def gsm(domain: str, s: Slots) -> Prompts:
    """Write sums of one to five steps; the answer is worked out along the way."""
    name, thing, place = s.pick(w.NAMES), s.pick(w.THINGS), s.pick(w.PLACES)
    low, high = s.number(5, 60), s.number(120, 990)
    total = np.where(s.draw() < s.hard_chance, high, low)
    manner = s.mixed(w.EASY_TAIL, w.HARD_TAIL)
    start = [
        f"{n} brings {x} {a} {t} to the {p} {e}."
        for n, x, a, t, p, e in zip(name, total, s.mixed(w.EASY, w.HARD), thing, place, manner, strict=True)
    ]
    n_step = np.clip(np.round(2.4 + 0.9 * s.visible + 1.2 * (s.draw() - 0.5)), 1, 5).astype(int)
    steps = []
    for step in range(5):
        total, texts = _gsm_step(s, total, n_step > step, name, thing)
        steps.append(texts)
    ask = [text.format(t=t, n=n) for text, t, n in zip(s.by_kind(_GSM_ASKS), thing, name, strict=True)]
    return Prompts([f"{a}{''.join(row)} {q}" for a, q, *row in zip(start, ask, *steps, strict=True)], total)


def _gsm_step(
    s: Slots, total: NDArray[np.int64], active: NDArray[np.bool_], name: Texts, thing: Texts
) -> tuple[NDArray[np.int64], list[str]]:
    op, times, helper = s.number(0, 4), s.number(2, 9), s.pick(w.NAMES)
    many = times * s.number(3, 9)
    after = np.choose(op, [total + many, total * times, total - total // 2, total + total // 2, total - many])
    after = np.where(active, np.maximum(after, 0), total)
    texts = [
        f" {_GSM_STEPS[o].format(n=n, w=v, x=x, m=m, t=t)}" if on else ""
        for on, o, n, v, x, m, t in zip(active, op, name, helper, times, many, thing, strict=True)
    ]
    return after, texts


def mbpp(domain: str, s: Slots) -> Prompts:
    """Write one-line programming tasks."""
    verbs = tuple(w.CODE_VERBS[k::4] for k in range(4))
    parts = zip(
        s.by_kind(verbs),
        s.mixed(w.EASY, w.HARD),
        s.mixed(w.CODE_EASY, w.CODE_HARD),
        s.pick(w.CODE_TAILS),
        s.pick(w.CODE_TAILS),
        strict=True,
    )
    return _open_ended([f"Write a function to {v} the {a} cases of {o} {t}, {u}." for v, a, o, t, u in parts])


def mtbench(domain: str, s: Slots) -> Prompts:
    """Write requests of a chat."""
    asks = tuple(w.CHAT_ASKS[k::4] for k in range(4))
    parts = zip(
        s.pick(w.CHAT_TASKS),
        s.pick(w.CHAT_TOPICS),
        s.mixed(w.EASY, w.HARD),
        s.pick(w.CHAT_TOPICS),
        s.by_kind(asks),
        s.by_kind(asks),
        s.mixed(w.EASY_TAIL, w.HARD_TAIL),
        strict=True,
    )
    return _open_ended(
        [
            f"{a} {b}, and connect it with the {c} side of {d}. {e} {f} It should hold {g}."
            for a, b, c, d, e, f, g in parts
        ]
    )


def chinese(domain: str, s: Slots) -> Prompts:
    """Write riddles on characters, poems and sounds, or ages by the zodiac (the answer is a year)."""
    if domain == "chinese_zodiac":
        return _zodiac(s)
    ask = {
        "Chinese_character_riddles": "猜字谜，请根据字形、读音和意思推出一个汉字，并把答案写在方括号里。",
        "chinese_ancient_poetry": "下面的字句出自哪一首古诗？请写出诗名和作者。",
        "chinese_homonym": "下面两组字的读音是否相同？只回答是或否。",
    }[domain]
    signs = [s.mixed(w.HANZI[:12], w.HANZI[12:]) for _ in range(7)]
    text = [f"{ask}\n{a}{b}{c}{d}，{e}{f}{g}" for a, b, c, d, e, f, g in zip(*signs, strict=True)]
    return Prompts(text, s.number(0, 1))


def _zodiac(s: Slots) -> Prompts:
    year, sign, age = s.number(1960, 2029), s.number(0, 11), s.number(1, 9)
    rough = year - 10 * age - 5
    born = rough - 5 + (sign + 4 - (rough - 5)) % 12  # 4 CE was a year of the rat
    parts = zip(s.pick(w.NAMES), year, w.ANIMALS[sign], age, s.number(2, 60), strict=True)
    text = [
        "Guess the year in which a person was born from the sign of the Chinese zodiac and the rough age. Print "
        f"the four digits of the year and nothing else.\n{n}: it is {y}, the sign is the {a}, {d}0s, give or "
        f"take {k} months"
        for n, y, a, d, k in parts
    ]
    return Prompts(text, born)


def other(domain: str, s: Slots) -> Prompts:
    """Write statements to judge, abstracts to name, texts to weigh and reviews to sum up."""
    if domain == "sports_statements":
        parts = zip(
            s.pick(w.NAMES),
            s.pick(w.TEAMS),
            s.pick(w.PLAYS),
            s.number(1, 89),
            s.mixed(w.EASY_TAIL, w.HARD_TAIL),
            s.by_kind(_REMARKS),
            strict=True,
        )
        text = [
            f"Is this statement plausible? Answer yes or no. {n}, the {t}, {p} in minute {m} {e}. {r}"
            for n, t, p, m, e, r in parts
        ]
        return Prompts(text, s.number(0, 1))
    if domain == "bias_detection":
        return _report("Does the text favour one group? Answer with the group or with none.", s, w.GROUPS)
    if domain == "abstract2title":
        return _report("Write a title for this abstract.", s, w.RESEARCH)
    return _report("Summarise on what all reviewers agree.", s, w.PLACES)


def _report(ask: str, s: Slots, nouns: Texts) -> Prompts:
    story = context(s, nouns, 4.0, 5)
    parts = zip(s.pick(nouns), s.pick(w.METHODS), s.number(12, 990), s.by_kind(_REMARKS), story, strict=True)
    return _open_ended([f"{ask}\nWe study the {n} with {m} ({k} cases). {c}{r}" for n, m, k, r, c in parts])


def _open_ended(text: list[str]) -> Prompts:
    return Prompts(text, np.full(len(text), -1))
