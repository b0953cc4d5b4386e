"""The embedded benchmark: generated queries in the shape of RouterBench, with known truth.

Nothing of the real benchmark's text is in it; published facts (models, prices, sizes, means) are in
:mod:`dacr.data.sample.facts`. Every draw is keyed by the query's id and the seed: a query is the same in
whatever chunk, order or size of benchmark it is made.

Examples
--------
>>> sample = generate(500, seed=1)
>>> sample.long.shape, sample.truth.shape
((5500, 7), (500, 11))
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from dacr.core.errors import UserError
from dacr.core.rng import generator, keyed_uniform, keys_of, seed_for
from dacr.data.loaders.texts import repeated
from dacr.data.sample import answers, facts
from dacr.data.sample.facts import Texts
from dacr.data.sample.prompts import N_DRAWS, Slots, prompts, whole_prompt
from dacr.data.sample.truth import grades_of, truth
from dacr.types import Floats, Ints

SMALLEST = 500
_NAMES = np.array(list(facts.DOMAINS), dtype=object)
_LEAST = 4
_CHUNK = 5_000


@dataclass(frozen=True)
class Part:
    """Some queries with the outcomes of every model.

    Attributes
    ----------
    qid, domain, prompt : (n_query,) object
    quality, cost_usd : (n_query, n_model) float
    truth : (n_query, n_model) float
        Expected quality of each model on each query.
    response : (n_query, n_model) object, or None
    output_tokens : (n_query, n_model) float, or None
    """

    qid: Texts
    domain: Texts
    prompt: Texts
    quality: Floats
    cost_usd: Floats
    truth: Floats
    response: Texts | None = None
    output_tokens: Floats | None = None


class Sample(Part):
    """Queries of the eleven published models, the whole benchmark as a rule.

    Attributes
    ----------
    model : tuple of str
        Sorted by name.
    """

    model: ClassVar[tuple[str, ...]] = facts.MODELS

    @cached_property
    def long(self) -> pd.DataFrame:
        """The columns of :mod:`dacr.data.schema`, query-major; texts that repeat are categories."""
        n_model = len(self.model)
        codes = np.tile(np.arange(n_model), len(self.qid))
        assert self.response is not None
        return pd.DataFrame(
            {
                **{name: repeated(getattr(self, name), n_model) for name in ("qid", "prompt", "domain")},
                "model": pd.Categorical.from_codes(codes, np.array(self.model, dtype=object)),
                "response": self.response.ravel(),
                "quality": self.quality.ravel(),
                "cost": self.cost_usd.ravel(),
            }
        )


def domain_sizes(n_query: int) -> Ints:
    """Return how many queries each domain gets: the published proportions, at least four each.

    Raises
    ------
    UserError
        Fewer than 500 queries.
    """
    if n_query < SMALLEST:
        raise UserError(
            f"--sample {n_query}: the embedded benchmark has at least {SMALLEST} queries; try --sample 2000"
        )
    share = facts.SIZES / facts.N_PUBLISHED
    size = np.maximum(np.floor(share * n_query).astype(np.int64), _LEAST)
    rest = n_query - int(size.sum())
    if rest >= 0:
        size[np.argsort(size - share * n_query, kind="stable")[:rest]] += 1
    else:
        size[np.argmax(size)] += rest
    return size


def generate(n_query: int = 2000, seed: int = 0) -> Sample:
    """Generate the benchmark whole; 36,497 queries are the published size.

    Raises
    ------
    UserError
        Fewer than 500 queries.
    """
    parts = [_answered(asked, seed) for asked in queries(n_query, seed)]
    names = [field.name for field in fields(Part) if field.name != "output_tokens"]
    return Sample(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def iter_chunks(n_query: int, seed: int = 0, chunk: int = _CHUNK) -> Iterator[pd.DataFrame]:
    """Yield the rows of :func:`generate` in order, ``chunk`` queries at a time."""
    for asked in queries(n_query, seed, chunk):
        yield _answered(asked, seed).long


@dataclass(frozen=True)
class Queries:
    """Generated queries, before any model answers.

    Attributes
    ----------
    code, kind : (n,) int
        Of the domain, and of the kind of question.
    qid, domain, prompt : (n,) object
    visible, hidden : (n,) float
        Difficulties, standard normal.
    answer : dict of domain code to (n_rows,) int
        What ``made.answer`` gives for the rows of each domain.
    """

    code: Ints
    kind: Ints
    qid: Texts
    domain: Texts
    prompt: Texts
    visible: Floats
    hidden: Floats
    answer: dict[int, Ints]

    def by_domain(self) -> Iterator[tuple[int, str, Ints]]:
        """Yield the code, the name and the rows of each domain."""
        for d in np.unique(self.code).tolist():
            yield d, str(_NAMES[d]), np.flatnonzero(self.code == d)

    def lengths(self, rows: Ints) -> Ints:
        """Return the number of characters of the prompts of some rows."""
        return np.array([len(text) for text in self.prompt[rows]], dtype=np.int64)


def queries(n_query: int, seed: int = 0, chunk: int = _CHUNK) -> Iterator[Queries]:
    """Yield the benchmark's queries in order, ``chunk`` at a time."""
    size = domain_sizes(n_query)
    if chunk < 1:
        raise UserError(f"a chunk holds at least one query, got {chunk}; try {_CHUNK}")
    code = generator("sample order", seed).permutation(np.repeat(np.arange(len(size), dtype=np.int16), size))
    order = np.argsort(code, kind="stable")
    number = np.empty(n_query, dtype=np.int64)
    number[order] = np.arange(n_query) - np.repeat(np.cumsum(size) - size, size)
    for start in range(0, n_query, chunk):
        yield _queries(code[start : start + chunk].astype(np.int64), number[start : start + chunk], seed)


def _queries(code: Ints, number: Ints, seed: int) -> Queries:
    domain = _NAMES[code]
    qid = np.array([f"{d}.gen.{k}" for d, k in zip(domain, number.tolist(), strict=True)], dtype=object)
    keys = keys_of(qid)
    latent = keyed_uniform(keys, 3, seed_for("sample latent", seed))
    visible, hidden, kind = ndtri(latent[:, 0]), ndtri(latent[:, 1]), (latent[:, 2] * len(facts.KINDS)).astype(np.int64)
    words = keyed_uniform(keys, N_DRAWS, seed_for("sample words", seed))
    prompt, answer = np.empty(len(code), dtype=object), {}
    for d in np.unique(code).tolist():
        rows = np.flatnonzero(code == d)
        made = prompts(str(_NAMES[d]), Slots(words[rows], visible[rows], kind[rows]))
        prompt[rows] = [whole_prompt(str(_NAMES[d]), text) for text in made.text]
        answer[d] = made.answer
    return Queries(code, kind, qid, domain, prompt, visible, hidden, answer)


def _answered(asked: Queries, seed: int) -> Sample:
    n_model = len(facts.MODELS)
    shape = (len(asked.code), n_model)
    luck = keyed_uniform(keys_of(asked.qid), 5 * n_model + 1, seed_for("sample luck", seed))
    known = truth()
    chance = known.solve_probability(asked.code, asked.kind, asked.visible, asked.hidden)
    right = luck[:, :n_model] < chance
    quality, cost, response = np.empty(shape), np.empty(shape), np.empty(shape, dtype=object)
    for d, name, rows in asked.by_domain():
        quality[rows] = graded(name, right[rows], luck[rows, n_model : 2 * n_model])
        tokens = answers.output_tokens(d, luck[rows, 2 * n_model : 4 * n_model])
        cost[rows] = answers.cost_of(d, asked.lengths(rows), tokens)
        if answers.labels_of(name):
            response[rows] = answers.choices(name, asked.answer[d], right[rows], luck[rows, 3 * n_model :])
        else:
            response[rows] = answers.essays(name, asked.answer[d], quality[rows], tokens, luck[rows, 4 * n_model :])
    expected = known.expected_quality(asked.code, chance)
    return Sample(asked.qid, asked.domain, asked.prompt, quality, cost, expected, response)


def graded(domain: str, right: NDArray[np.bool_], uniform: Floats) -> Floats:
    """Turn solved or not into grades: mostly 1 or 0, quarters in graded domains."""
    unsolved, solved = grades_of(domain)
    out = np.empty(right.shape)
    for grades, where in ((unsolved, ~right), (solved, right)):
        value, share = np.array(grades).T
        rank = np.searchsorted(np.cumsum(share), uniform[where])
        out[where] = value[np.minimum(rank, len(value) - 1)]
    return out
