"""Prompts of the embedded benchmark, filled into the templates of ``benchmark.yaml``.

The words carry domain, kind of question and difficulty, so that a router can learn from them, in part. Each slot of a
template takes its own columns of a query's uniforms: a query has the same text in whatever chunk it is made.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dacr.core.rng import keyed_normal, keyed_uniform, keys_of, seed_for
from dacr.data.sample.facts import BY_KIND, DOMAINS, FORMS, WORDS, Texts, words
from dacr.types import Floats

N_DRAWS = 128
_LETTERS = "ABCD"
_MOST_STEPS = 5


@dataclass
class Slots:
    """Takes the uniforms of a group of queries one column at a time.

    Attributes
    ----------
    uniform : (n, N_DRAWS) float
    visible : (n,) float
        The difficulty that words show: a word is hard with a chance that grows with it.
    kind : (n,) int
    """

    uniform: Floats
    visible: Floats
    kind: NDArray[np.int64]
    used: int = 0

    def draw(self) -> Floats:
        """Return the next column."""
        self.used += 1
        return self.uniform[:, self.used - 1]

    def is_hard(self) -> NDArray[np.bool_]:
        """Say which queries get what is hard."""
        return self.draw() < 1.0 / (1.0 + np.exp(0.5 - 1.7 * self.visible))

    def pick(self, options: Texts) -> Texts:
        """Return one of ``options`` per query."""
        return options[(self.draw() * len(options)).astype(np.int64)]

    def mixed(self, name: str) -> Texts:
        """Return an easy or a hard word per query."""
        return np.where(self.is_hard(), self.pick(WORDS[f"hard_{name}"]), self.pick(WORDS[f"easy_{name}"]))

    def number(self, low: int, high: int) -> NDArray[np.int64]:
        """Return a whole number in [low, high] per query."""
        return low + (self.draw() * (high - low + 1)).astype(np.int64)

    def by_kind(self, name: str) -> Texts:
        """Return one of the words of each query's kind."""
        table = np.stack([np.resize(row, max(map(len, BY_KIND[name]))) for row in BY_KIND[name]])
        return table[self.kind, (self.draw() * table.shape[1]).astype(np.int64)]

    def clause(self, nouns: Texts) -> list[str]:
        """Write one clause about two nouns, without its first letter (a capital or a small t)."""
        adjective, noun, verb = self.mixed("adjective"), self.pick(nouns), self.mixed("verb")
        parts = zip(adjective, noun, verb, self.pick(nouns), self.mixed("tail"), strict=True)
        return [f"he {a} {n} {v} the {m} {t}" for a, n, v, m, t in parts]

    def context(self, nouns: Texts, least: float, most: int) -> list[str]:
        """Write up to ``most`` sentences; hard questions have more of them."""
        clauses = [self.clause(nouns) for _ in range(most)]
        count = np.clip(np.round(least + 0.7 * self.visible + 2.2 * (self.draw() - 0.5)), 0, most).astype(int)
        return ["".join(f"T{c}. " for c in row[:k]) for k, *row in zip(count.tolist(), *clauses, strict=True)]

    def fill(self, draw: Mapping[str, str], domain: Mapping[str, Any]) -> dict[str, Any]:
        """Fill the slots of a template in their order: name to one value per query."""
        filled: dict[str, Any] = {}
        for name, what in draw.items():
            how, *args = what.split()
            if how in ("pick", "clause", "context"):
                nouns = domain.get("nouns", "") if not args or args[0] == "nouns" else args[0]
                options = WORDS[nouns] if nouns in WORDS else words(nouns)
                more = domain["context"] if how == "context" else ()
                filled[name] = getattr(self, how)(options, *more)
            elif how == "number":
                filled[name] = self.number(int(args[0]), int(args[1]))
            else:
                filled[name] = self.mixed(args[0]) if how == "mixed" else self.by_kind(args[0])
        return filled


@dataclass(frozen=True)
class Prompts:
    """Questions of one domain and their right answers (a letter's index, a number, or -1)."""

    text: list[str]
    answer: NDArray[np.int64]


def prompts(domain: str, slots: Slots) -> Prompts:
    """Write the questions of a group of queries of one domain."""
    told = DOMAINS[domain]
    form = FORMS[told["form"]]
    filled = slots.fill(form["draw"], told)
    if "option" in form:
        by_kind = np.resize(np.array(form["option_text"], dtype=object), 4)[slots.kind]
        for letter in _LETTERS:
            filled[letter] = _written(by_kind, slots.fill(form["option"], told), told)
    if told["form"] in _WORKED:
        filled |= _WORKED[told["form"]](slots, filled, form)
    text = _written([form["text"]] * len(slots.kind), filled, told)
    return Prompts(text, filled.get("answer", np.full(len(text), -1)))


def _written(forms: Any, filled: Mapping[str, Any], told: Mapping[str, Any]) -> list[str]:
    """Put what was drawn into one template per query; words may have slots themselves."""
    fixed = {name: told[name] for name in ("head", "tail", "ask") if name in told}
    columns = {name: values.tolist() if isinstance(values, np.ndarray) else values for name, values in filled.items()}
    texts = []
    for form, *row in zip(forms, *columns.values(), strict=True):
        values = {**fixed, **dict(zip(columns, row, strict=True))}
        text = str(form).format(**values)
        texts.append(text.format(**values) if "{" in text else text)
    return texts


def _sums(s: Slots, filled: Mapping[str, Any], form: Mapping[str, Any]) -> dict[str, Any]:
    """Write sums of one to five steps; the answer is worked out along the way."""
    name, thing = filled["n"], filled["t"]
    total = start = np.where(s.is_hard(), filled["high"], filled["low"])
    manner, adjective = s.mixed("tail"), s.mixed("adjective")
    n_step = np.clip(np.round(2.4 + 0.9 * s.visible + 1.2 * (s.draw() - 0.5)), 1, _MOST_STEPS).astype(int)
    steps = []
    for step in range(_MOST_STEPS):
        op, times, helper = s.number(0, 4), s.number(2, 9), s.pick(WORDS["names"])
        many = times * s.number(3, 9)
        after = np.choose(op, [total + many, total * times, total - total // 2, total + total // 2, total - many])
        total = np.where(n_step > step, np.maximum(after, 0), total)
        rows = zip(n_step > step, op, name, helper, times, many, thing, strict=True)
        steps.append([form["steps"][o].format(n=n, w=w, x=x, m=m, t=t) if on else "" for on, o, n, w, x, m, t in rows])
    joined = ["".join(row) for row in zip(*steps, strict=True)]
    ask = s.by_kind("sum_asks")
    return {"total": start, "a": adjective, "e": manner, "steps": joined, "ask": ask, "answer": total}


def _zodiac(s: Slots, filled: Mapping[str, Any], form: Mapping[str, Any]) -> dict[str, Any]:
    """Work out the year of birth: the one of the sign nearest to the rough age; 4 CE was a year of the rat."""
    rough = filled["y"] - 10 * filled["d"] - 5
    born = rough - 5 + (filled["sign"] + 4 - (rough - 5)) % 12
    return {"a": WORDS["animals"][filled["sign"]], "answer": born}


_WORKED: dict[str, Callable[[Slots, Mapping[str, Any], Mapping[str, Any]], dict[str, Any]]] = {
    "sums": _sums,
    "zodiac": _zodiac,
}


def preface_of(domain: str) -> str:
    """Return the few-shot preface that each 0-shot question of a domain has, as a text of its own; mostly empty."""
    return str(DOMAINS[domain].get("preface", ""))


def whole_prompt(domain: str, question: str) -> str:
    """Return preface and question as one text, as the long table has it."""
    preface = preface_of(domain)
    return f"{preface}\n{question}" if preface else question


@cache
def five_shots(domain: str) -> str:
    """Return the five answered examples before each 5-shot question of a single-choice domain; else nothing."""
    if not str(DOMAINS[domain].get("labels", "")).startswith("A"):
        return ""
    keys = keys_of([f"{domain}.shot.{k}" for k in range(5)])
    slots = Slots(
        keyed_uniform(keys, N_DRAWS, seed_for("sample shots")),
        keyed_normal(keys, 1, seed_for("sample shots", "difficulty"))[:, 0],
        np.arange(5) % 4,
    )
    made = prompts(domain, slots)
    return "".join(f"{text}\n{_LETTERS[k]}\n\n" for text, k in zip(made.text, made.answer.tolist(), strict=True))
