"""Single-choice prompts of the sample: exam questions, story endings, pronouns."""

from __future__ import annotations

import numpy as np

from dacr.data.sample import words as w
from dacr.data.sample.slots import Prompts, Slots, clause, context

_SINGLE = 'Print only a single choice  from "A" or "B" or "C" or "D" without explanation.'
_EITHER = 'Print only a single choice  from "A" or "B" without explanation. Answer:'


def single_choice(domain: str, s: Slots) -> Prompts:
    """Write exam questions with four options, after some context."""
    nouns = w.NOUNS[domain]
    law = domain == "mmlu-professional-law"
    story = context(s, nouns, 4.4 if law else 1.8 if domain.startswith("mmlu") else 0.3, 6 if law else 4)
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
        for c, q, a, b, d, e in zip(story, stem, *options, strict=True)
    ]
    return Prompts(text, right)


def hellaswag(domain: str, s: Slots) -> Prompts:
    """Write scenes with four possible endings."""
    things = w.NOUNS[domain]
    scene = [
        f"{n} is {p} with a {t}. T{c}. T{e}. After that {n} {a} the {u}. Then {n}"
        for n, p, t, c, e, a, u in zip(
            s.pick(w.NAMES),
            s.pick(w.SCENES),
            s.pick(things),
            clause(s, things),
            clause(s, things),
            s.pick(w.ACTS),
            s.pick(things),
            strict=True,
        )
    ]
    right = s.number(0, 3)
    options = []
    for _ in range(4):
        parts = zip(
            s.pick(w.ACTS), s.pick(things), s.pick(w.SCENES), clause(s, things), s.by_kind(_HELLA_ENDS), strict=True
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


def winogrande(domain: str, s: Slots) -> Prompts:
    """Write sentences with a gap for one of two persons."""
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
