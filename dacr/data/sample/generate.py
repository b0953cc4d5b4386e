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

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from dacr.core.errors import UserError
from dacr.core.rng import generator, keyed_uniform, keys_of, seed_for
from dacr.data.sample import facts as facts
from dacr.data.sample import responses as responses
from dacr.data.sample.costs import cost_of, mean_output_tokens
from dacr.data.sample.slots import N_DRAWS, Slots, Texts
from dacr.data.sample.text import prompts, whole_prompt
from dacr.data.sample.truth import KINDS, grades_of, truth
from dacr.types import Floats, Ints

SMALLEST = 500
_MODELS = np.array(facts.MODELS, dtype=object)
_NAMES = np.array(list(facts.DOMAINS), dtype=object)
_LEAST = 4
_CHUNK = 5_000


@dataclass(frozen=True)
class Sample:
    """Queries with the outcomes of every model.

    Attributes
    ----------
    long : DataFrame
        The columns of :mod:`dacr.data.schema`, query-major, models sorted by name.
    truth : (n_query, n_model) float
        Expected quality of each model on each query.
    qid, domain : (n_query,) object
    model : tuple of str
        Sorted by name.
    """

    long: pd.DataFrame
    truth: Floats
    qid: Texts
    domain: Texts
    model: tuple[str, ...]


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
    share = np.array([size for size, _ in facts.DOMAINS.values()]) / facts.N_PUBLISHED
    size = np.maximum(np.floor(share * n_query).astype(np.int64), _LEAST)
    rest = n_query - int(size.sum())
    if rest >= 0:
        size[np.argsort(size - share * n_query, kind="stable")[:rest]] += 1
    else:
        size[np.argmax(size)] += rest
    return size


def generate(n_query: int = 2000, seed: int = 0) -> Sample:
    """Generate the benchmark whole; 36,497 queries are the published size.

    Texts that repeat (qid, prompt, domain, model) are categories.

    Raises
    ------
    UserError
        Fewer than 500 queries.
    """
    parts = list(_parts(n_query, seed, _CHUNK))
    qid = np.concatenate([part.qid for part in parts])
    domain = np.concatenate([part.domain for part in parts])
    prompt = np.concatenate([part.prompt for part in parts])
    n_model = len(facts.MODELS)
    query = np.repeat(np.arange(n_query), n_model)
    prompt_code, prompts = pd.factorize(prompt)
    domain_code, domains = pd.factorize(domain, sort=True)
    frame = pd.DataFrame(
        {
            "qid": pd.Categorical.from_codes(query, qid),
            "prompt": pd.Categorical.from_codes(prompt_code[query], prompts),
            "domain": pd.Categorical.from_codes(domain_code[query], domains),
            "model": pd.Categorical.from_codes(np.tile(np.arange(n_model), n_query), _MODELS),
            "response": np.concatenate([part.response.ravel() for part in parts]),
            "quality": np.concatenate([part.quality.ravel() for part in parts]),
            "cost": np.concatenate([part.cost.ravel() for part in parts]),
        }
    )
    return Sample(frame, np.concatenate([part.truth for part in parts]), qid, domain, facts.MODELS)


def iter_chunks(n_query: int, seed: int = 0, chunk: int = _CHUNK) -> Iterator[pd.DataFrame]:
    """Yield the rows of :func:`generate` in order, ``chunk`` queries at a time, as plain texts and numbers."""
    for part in _parts(n_query, seed, chunk):
        n, n_model = part.truth.shape
        yield pd.DataFrame(
            {
                "qid": np.repeat(part.qid, n_model),
                "prompt": np.repeat(part.prompt, n_model),
                "domain": np.repeat(part.domain, n_model),
                "model": np.tile(_MODELS, n),
                "response": part.response.ravel(),
                "quality": part.quality.ravel(),
                "cost": part.cost.ravel(),
            }
        )


@dataclass(frozen=True)
class _Part:
    qid: Texts
    domain: Texts
    prompt: Texts
    response: Texts
    quality: Floats
    cost: Floats
    truth: Floats


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
    visible, hidden, kind = ndtri(latent[:, 0]), ndtri(latent[:, 1]), (latent[:, 2] * len(KINDS)).astype(np.int64)
    words = keyed_uniform(keys, N_DRAWS, seed_for("sample words", seed))
    prompt, answer = np.empty(len(code), dtype=object), {}
    for d in np.unique(code).tolist():
        rows = np.flatnonzero(code == d)
        made = prompts(str(_NAMES[d]), Slots(words[rows], visible[rows], kind[rows]))
        prompt[rows] = [whole_prompt(str(_NAMES[d]), text) for text in made.text]
        answer[d] = made.answer
    return Queries(code, kind, qid, domain, prompt, visible, hidden, answer)


def _parts(n_query: int, seed: int, chunk: int) -> Iterator[_Part]:
    for asked in queries(n_query, seed, chunk):
        yield _answered(asked, seed)


def _answered(asked: Queries, seed: int) -> _Part:
    n, n_model = len(asked.code), len(facts.MODELS)
    code = asked.code
    luck = keyed_uniform(keys_of(asked.qid), 5 * n_model + 1, seed_for("sample luck", seed))
    known = truth()
    chance = known.solve_probability(code, asked.kind, asked.visible, asked.hidden)
    right = luck[:, :n_model] < chance
    quality, cost = np.empty((n, n_model)), np.empty((n, n_model))
    response = np.empty((n, n_model), dtype=object)
    for d in np.unique(code).tolist():
        name = str(_NAMES[d])
        rows = np.flatnonzero(code == d)
        quality[rows] = graded(name, right[rows], luck[rows, n_model : 2 * n_model])
        tokens = responses.output_tokens(mean_output_tokens()[d], luck[rows, 2 * n_model : 4 * n_model])
        length = np.array([len(text) for text in asked.prompt[rows]])
        cost[rows] = cost_of(d, length, tokens)
        answer = asked.answer[d]
        if responses.labels_of(name):
            response[rows] = responses.choices(name, answer, right[rows], luck[rows, 3 * n_model :])
        else:
            response[rows] = responses.essays(name, answer, quality[rows], tokens, luck[rows, 4 * n_model :])
    expected = known.expected_quality(code, chance)
    return _Part(asked.qid, asked.domain, asked.prompt, response, quality, cost, expected)


def graded(domain: str, right: NDArray[np.bool_], uniform: Floats) -> Floats:
    """Turn solved or not into grades: mostly 1 or 0, quarters in graded domains."""
    unsolved, solved = grades_of(domain)
    out = np.empty(right.shape)
    for grades, where in ((unsolved, ~right), (solved, right)):
        value, share = np.array(grades).T
        rank = np.searchsorted(np.cumsum(share), uniform[where])
        out[where] = value[np.minimum(rank, len(value) - 1)]
    return out
