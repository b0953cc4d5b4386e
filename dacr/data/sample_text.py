"""Prompts of the sample: generated text whose words carry domain, kind of question and difficulty.

Every choice takes its own column of the query's uniforms, so that a query has the same prompt in
whatever chunk it is made. A word is hard with a chance that grows with the visible difficulty.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dacr.data import sample_words as w
from dacr.data.sample_facts import DOMAINS
from dacr.types import Floats

Texts = NDArray[np.object_]
N_DRAWS = 128

GSM_PREFACE = (
    "TASK: Read the grade school math problem below and give the answer as one number.\n"
    "Here are examples of such problems with their answers:\n"
    "Question: A baker fills 6 trays with 8 rolls each. He sells 19 rolls before noon. How many are left?\nAnswer: 29\n\n"
    "Question: Mina is 4 years older than Paul, and Paul is 9. How old will Mina be in 7 years?\nAnswer: 20\n\n"
    "Question: A train has 5 cars with 24 seats each. If 77 people sit down, how many seats stay free?\nAnswer: 43\n\n"
    "Question: Tobias saves 3 dollars a week. How much more does he need for a 50 dollar kite after 12 weeks?\n"
    "Answer: 14\n\n"
    "Question: A garden has 7 rows of 6 tulips. A third of them are red. How many are not red?\nAnswer: 28\n\n"
    "Question: Two buses carry 38 and 45 children, and 13 get off. How many children stay on the buses?\n"
    "Answer: 70\n\n"
)
_SINGLE = 'Print only a single choice  from "A" or "B" or "C" or "D" without explanation.'
_EITHER = 'Print only a single choice  from "A" or "B" without explanation. Answer:'


@dataclass
class Slots:
    """Takes the uniforms of a group of queries one column at a time."""

    uniform: Floats
    visible: Floats
    kind: NDArray[np.int64]
    used: int = 0
    hard_chance: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.hard_chance = 1.0 / (1.0 + np.exp(0.5 - 1.7 * self.visible))

    def draw(self) -> Floats:
        """Return the next column."""
        self.used += 1
        column: Floats = self.uniform[:, self.used - 1]
        return column

    def pick(self, options: Texts) -> Texts:
        """Return one of ``options`` per query."""
        chosen: Texts = options[(self.draw() * len(options)).astype(np.int64)]
        return chosen

    def mixed(self, easy: Texts, hard: Texts) -> Texts:
        """Return an easy or a hard word per query."""
        mixed: Texts = np.where(self.draw() < self.hard_chance, self.pick(hard), self.pick(easy))
        return mixed

    def number(self, low: int, high: int) -> NDArray[np.int64]:
        """Return a whole number in [low, high] per query."""
        return low + (self.draw() * (high - low + 1)).astype(np.int64)

    def by_kind(self, options: tuple[Texts, ...]) -> Texts:
        """Return one of the options of each query's kind."""
        table = np.stack([np.resize(row, max(map(len, options))) for row in options])
        chosen: Texts = table[self.kind, (self.draw() * table.shape[1]).astype(np.int64)]
        return chosen


@dataclass(frozen=True)
class Prompts:
    """Questions of one domain and their right answers (a letter's index, a number, or -1)."""

    text: list[str]
    answer: NDArray[np.int64]


def preface_of(domain: str) -> str:
    """Return the few-shot preface that stands before each 0-shot question of a domain; mostly empty."""
    return GSM_PREFACE if domain == "grade-school-math" else ""


def prompts(domain: str, slots: Slots) -> Prompts:
    """Write the questions of a group of queries of one domain."""
    return _WRITERS.get(DOMAINS[domain][1], _other)(domain, slots)


def _clause(s: Slots, nouns: Texts) -> list[str]:
    parts = zip(
        s.mixed(w.EASY, w.HARD),
        s.pick(nouns),
        s.mixed(w.EASY_VERB, w.HARD_VERB),
        s.pick(nouns),
        s.mixed(w.EASY_TAIL, w.HARD_TAIL),
        strict=True,
    )
    return [f"he {a} {n} {v} the {m} {t}" for a, n, v, m, t in parts]


def _context(s: Slots, nouns: Texts, least: float, most: int) -> list[str]:
    """Write up to ``most`` sentences; hard questions have more of them."""
    clauses = [_clause(s, nouns) for _ in range(most)]
    count = np.clip(np.round(least + 0.7 * s.visible + 2.2 * (s.draw() - 0.5)), 0, most).astype(int)
    return ["".join(f"T{c}. " for c in row[:k]) for k, *row in zip(count.tolist(), *clauses, strict=True)]


def _single_choice(domain: str, s: Slots) -> Prompts:
    nouns = w.NOUNS[domain]
    law = domain == "mmlu-professional-law"
    context = _context(s, nouns, 4.4 if law else 1.2 if domain.startswith("mmlu") else 0.3, 6 if law else 3)
    i, j = s.number(3, 40), s.number(41, 400)
    stem = [
        text.format(a=a, b=b, v=v, i=p, j=q)
        for text, a, b, v, p, q in zip(
            s.by_kind(w.STEMS), s.pick(nouns), s.pick(nouns), s.mixed(w.EASY_VERB, w.HARD_VERB), i, j, strict=True
        )
    ]
    right = s.number(0, 3)
    options = []
    for _ in range(4):
        phrase = zip(s.mixed(w.EASY, w.HARD), s.pick(nouns), s.mixed(w.EASY_TAIL, w.HARD_TAIL), strict=True)
        texts = np.array([f"The {a} {n} {t}" for a, n, t in phrase], dtype=object)
        options.append(np.where(s.kind == 2, s.number(2, 900).astype(str).astype(object), texts))
    mmlu = domain.startswith("mmlu")
    head = "Please answer with the letter of the correct answer.\n\n" if mmlu else ""
    tail = f"{_SINGLE} Answer:" if mmlu else f"{_SINGLE}\nAnswer:"
    text = [
        f"{head}{c}{q}\nA) {a}\nB) {b}\nC) {d}\nD) {e}\n{tail}"
        for c, q, a, b, d, e in zip(context, stem, *options, strict=True)
    ]
    return Prompts(text, right)


def _hellaswag(domain: str, s: Slots) -> Prompts:
    things = w.NOUNS[domain]
    scene = [
        f"{n} is {p} with a {t}. T{c}. T{e}. After that {n} {a} the {u}. Then {n}"
        for n, p, t, c, e, a, u in zip(
            s.pick(w.NAMES),
            s.pick(w.SCENES),
            s.pick(things),
            _clause(s, things),
            _clause(s, things),
            s.pick(w.ACTS),
            s.pick(things),
            strict=True,
        )
    ]
    right = s.number(0, 3)
    options = []
    for _ in range(4):
        parts = zip(
            s.pick(w.ACTS), s.pick(things), s.pick(w.SCENES), _clause(s, things), s.by_kind(_HELLA_ENDS), strict=True
        )
        options.append([f"{a} the {t} {p} because t{c}{e}" for a, t, p, c, e in parts])
    text = [
        f"{q}\nA) {a}.\nB) {b}.\nC) {c}.\nD) {d}.\n{_SINGLE}\nAnswer:"
        for q, a, b, c, d in zip(scene, *options, strict=True)
    ]
    return Prompts(text, right)


_HELLA_ENDS = (
    w.words(" | , while others watch | , and smiles"),
    w.words(", so the crowd claps | , which makes it fall"),
    w.words(", twice in a row | , for ten seconds | , three more times"),
    w.words(", but does not stop | , and never looks back"),
)
_WINO_LINKS = (
    w.words("because | since"),
    w.words("so that in the end | as a consequence"),
    w.words("although twice before | and for two days"),
    w.words("but not unless | even though it was never true that"),
)


def _winogrande(domain: str, s: Slots) -> Prompts:
    names = w.NAMES
    half = len(names) // 2
    one, two = s.pick(names[:half]), s.pick(names[half:])
    trait, deed = s.pick(w.TRAITS), s.pick(w.DEEDS)
    parts = zip(
        one, deed, two, s.pick(w.PLACES), s.by_kind(_WINO_LINKS), s.mixed(w.EASY_TAIL, w.HARD_TAIL), trait, strict=True
    )
    text = [
        f"{a} {d} {b} near the {p}, {c} _ was more {t} than the other {e}.\nA) {a}\nB) {b}\n{_EITHER}"
        for a, d, b, p, c, e, t in parts
    ]
    return Prompts(text, s.number(0, 1))


_GSM_ASKS = (
    w.words("How many {t} are left? | What number of {t} does {n} have now?"),
    w.words("If this goes on, how many {t} does {n} have in the end? | So how many {t} can {n} count on?"),
    w.words("What is the total number of {t}? | Calculate how many {t} {n} has in total."),
    w.words(
        "How many {t} has {n} got, not counting what was lost? | Except for those given away, how many {t} remain?"
    ),
)


def _gsm(domain: str, s: Slots) -> Prompts:
    name, thing, place = s.pick(w.NAMES), s.pick(w.THINGS), s.pick(w.PLACES)
    easy_number, hard_number = s.number(5, 60), s.number(120, 990)
    total = np.where(s.draw() < s.hard_chance, hard_number, easy_number)
    start = [f"{n} brings {x} {t} to the {p}." for n, x, t, p in zip(name, total, thing, place, strict=True)]
    n_step = np.clip(np.round(2.4 + 0.9 * s.visible + 1.2 * (s.draw() - 0.5)), 1, 5).astype(int)
    steps = []
    for step in range(5):
        op, x = s.number(0, 4), s.number(2, 9)
        many = x * s.number(3, 9)
        half, active = total // 2, n_step > step
        after = np.select([op == 0, op == 1, op == 2, op == 3], [total + many, total * x, total - half, total + half])
        after = np.where(op == 4, np.maximum(total - many, 0), after)
        lost = np.where(op == 4, total - after, many)
        who = s.pick(w.NAMES)
        texts = [
            _GSM_STEPS[o].format(n=n, w=v, x=y, m=m, t=t)
            for o, n, v, y, m, t in zip(op, name, who, x, lost, thing, strict=True)
        ]
        steps.append([f" {text}" if on else "" for text, on in zip(texts, active, strict=True)])
        total = np.where(active, after, total)
    ask = [text.format(t=t, n=n) for text, t, n in zip(s.by_kind(_GSM_ASKS), thing, name, strict=True)]
    text = [f"{a}{''.join(row)} {q}" for a, q, *row in zip(start, ask, *steps, strict=True)]
    return Prompts(text, total)


_GSM_STEPS = (
    "Then {w} adds {m} {t} on the next morning.",
    "After a good week {n} has {x} times as many {t} as before.",
    "{w} takes half of the {t}, rounded down, and {n} keeps the rest.",
    "The number of {t} then grows by 50 percent, rounded down.",
    "On the way home {n} gives {m} {t} to {w}.",
)


def _mbpp(domain: str, s: Slots) -> Prompts:
    groups = tuple(w.CODE_VERBS[k::4] for k in range(4))
    parts = zip(
        s.by_kind(groups),
        s.mixed(w.CODE_EASY, w.CODE_HARD),
        s.pick(w.CODE_TAILS),
        s.by_kind(groups),
        s.pick(w.CODE_TAILS),
        strict=True,
    )
    text = [f"Write a function to {v} {o} {t} and then {v2} them {t2}." for v, o, t, v2, t2 in parts]
    return Prompts(text, np.full(len(text), -1))


def _mtbench(domain: str, s: Slots) -> Prompts:
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
    text = [
        f"{a} {b}, and connect it with the {c} side of {d}. {e} {f} It should hold {g}."
        for a, b, c, d, e, f, g in parts
    ]
    return Prompts(text, np.full(len(text), -1))


def _chinese(domain: str, s: Slots) -> Prompts:
    if domain == "chinese_zodiac":
        parts = zip(
            s.number(1960, 2029), s.pick(w.ANIMALS), s.number(1, 9), s.number(2, 60), s.pick(w.NAMES), strict=True
        )
        text = [
            "Guess the year in which a person was born from the sign of the Chinese zodiac and the rough age. Print "
            f"the four digits of the year and nothing else.\n{n}: it is {y}, the sign is the {a}, {d}0s, give or "
            f"take {k} months"
            for y, a, d, k, n in parts
        ]
        return Prompts(text, np.full(len(text), -1))
    ask = {
        "Chinese_character_riddles": "猜字谜，请根据字形、读音和意思推出一个汉字，并把答案写在方括号里。",
        "chinese_ancient_poetry": "下面的字句出自哪一首古诗？请写出诗名和作者。",
        "chinese_homonym": "下面两组字的读音是否相同？只回答是或否。",
    }[domain]
    signs = [s.mixed(w.HANZI[:12], w.HANZI[12:]) for _ in range(7)]
    text = [f"{ask}\n{a}{b}{c}{d}，{e}{f}{g}" for a, b, c, d, e, f, g in zip(*signs, strict=True)]
    return Prompts(text, np.full(len(text), -1))


def _other(domain: str, s: Slots) -> Prompts:
    if domain == "sports_statements":
        parts = zip(
            s.pick(w.NAMES),
            s.pick(w.TEAMS),
            s.pick(w.PLAYS),
            s.mixed(w.EASY_TAIL, w.HARD_TAIL),
            s.number(1, 89),
            s.by_kind(_REMARKS),
            strict=True,
        )
        body = [
            f"Is this statement plausible? Answer yes or no. {n}, the {t}, {p} in minute {m} {e}. {r}"
            for n, t, p, e, m, r in parts
        ]
    elif domain == "bias_detection":
        body = _dressed("Does the text favour one group? Answer with the group or with none.", s, w.GROUPS, 5)
    elif domain == "abstract2title":
        body = _dressed("Write a title for this abstract.", s, w.RESEARCH, 5)
    else:
        body = _dressed("Summarise on what all reviewers agree.", s, w.PLACES, 5)
    return Prompts(body, np.full(len(body), -1))


def _dressed(ask: str, s: Slots, nouns: Texts, most: int) -> list[str]:
    context = _context(s, nouns, 4.0, most)
    parts = zip(s.pick(nouns), s.pick(w.METHODS), s.number(12, 990), s.by_kind(_REMARKS), context, strict=True)
    return [f"{ask}\nWe study {n} with {m} ({k} cases). {c}{r}" for n, m, k, r, c in parts]


_REMARKS = (
    w.words("The names are listed first. | A name is given for each."),
    w.words("We explain why this is so. | The causes are discussed."),
    w.words("The ratio is 3 to 7. | About 40 percent differ."),
    w.words("None of this is certain. | All but one do not agree."),
)

_WRITERS: dict[str, Callable[[str, Slots], Prompts]] = {
    "mmlu": _single_choice,
    "arc": _single_choice,
    "hellaswag": _hellaswag,
    "winogrande": _winogrande,
    "gsm": _gsm,
    "mbpp": _mbpp,
    "mtbench": _mtbench,
    "chinese": _chinese,
}
