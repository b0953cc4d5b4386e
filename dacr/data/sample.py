"""The embedded benchmark: generated queries in the shape of RouterBench, with known truth.

Nothing of the real benchmark's text is in it; published facts (models, prices, sizes, means) are in
:mod:`dacr.data.sample_facts`. Every draw is keyed by the query's id and the seed: a query is the same in
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

from dacr.data import sample_facts as facts
from dacr.data import sample_responses as responses
from dacr.data import sample_text
from dacr.data.sample_costs import cost_factor, mean_output_tokens
from dacr.data.sample_truth import grades_of, truth
from dacr.errors import UserError
from dacr.rng import generator, keyed_uniform, keys_of, seed_for
from dacr.types import Floats

SMALLEST = 500
_MODELS = np.array(facts.MODELS, dtype=object)
_NAMES = np.array(list(facts.DOMAINS), dtype=object)
_LEAST = 4


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
    qid: NDArray[np.object_]
    domain: NDArray[np.object_]
    model: tuple[str, ...]


def domain_sizes(n_query: int) -> NDArray[np.int64]:
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

    Raises
    ------
    UserError
        Fewer than 500 queries.
    """
    parts = list(_parts(n_query, seed, 5_000))
    frames, truths, qids, domains = zip(*parts, strict=True)
    return Sample(
        pd.concat(frames, ignore_index=True),
        np.concatenate(truths),
        np.concatenate(qids),
        np.concatenate(domains),
        facts.MODELS,
    )


def iter_chunks(n_query: int, seed: int = 0, chunk: int = 5_000) -> Iterator[pd.DataFrame]:
    """Yield the rows of :func:`generate` in order, ``chunk`` queries at a time, in bounded memory."""
    for frame, _, _, _ in _parts(n_query, seed, chunk):
        yield frame


_Part = tuple[pd.DataFrame, Floats, NDArray[np.object_], NDArray[np.object_]]


def _parts(n_query: int, seed: int, chunk: int) -> Iterator[_Part]:
    size = domain_sizes(n_query)
    if chunk < 1:
        raise UserError(f"a chunk holds at least one query, got {chunk}; try 5000")
    code = generator("sample order", seed).permutation(np.repeat(np.arange(len(size), dtype=np.int16), size))
    order = np.argsort(code, kind="stable")
    number = np.empty(n_query, dtype=np.int64)
    number[order] = np.arange(n_query) - np.repeat(np.cumsum(size) - size, size)
    for start in range(0, n_query, chunk):
        yield _part(code[start : start + chunk].astype(np.int64), number[start : start + chunk], seed)


def _part(code: NDArray[np.int64], number: NDArray[np.int64], seed: int) -> _Part:
    domain = _NAMES[code]
    qid = np.array([f"{d}.gen.{k}" for d, k in zip(domain, number.tolist(), strict=True)], dtype=object)
    keys = keys_of(qid)
    n, n_model = len(code), len(facts.MODELS)
    latent = keyed_uniform(keys, 3, seed_for("sample latent", seed))
    visible, hidden = ndtri(latent[:, 0]), ndtri(latent[:, 1])
    kind = (latent[:, 2] * 4).astype(np.int64)
    words = keyed_uniform(keys, sample_text.N_DRAWS, seed_for("sample words", seed))
    luck = keyed_uniform(keys, 5 * n_model + 1, seed_for("sample luck", seed))

    known = truth()
    chance = known.solve_probability(code, kind, visible, hidden)
    right = luck[:, :n_model] < chance
    quality = right.astype(np.float64)
    tokens_in = np.empty(n)
    tokens_out = np.empty((n, n_model))
    prompt = np.empty(n, dtype=object)
    response = np.empty((n, n_model), dtype=object)
    for d in np.unique(code).tolist():
        name, family = _NAMES[d], facts.DOMAINS[_NAMES[d]][1]
        rows = np.flatnonzero(code == d)
        made = sample_text.prompts(name, sample_text.Slots(words[rows], visible[rows], kind[rows]))
        preface = sample_text.preface_of(name)
        prompt[rows] = [preface + text for text in made.text] if preface else made.text
        tokens_in[rows] = np.array([len(text) for text in made.text]) / 4.0 + len(preface) / 4.0
        quality[rows] = _graded(name, right[rows], luck[rows, n_model : 2 * n_model])
        mean = mean_output_tokens()[d]
        tokens = responses.output_tokens(name, mean, luck[rows, 2 * n_model : 4 * n_model])
        tokens_out[rows] = tokens
        if family in responses.CHOICE_FAMILIES:
            response[rows] = responses.choices(family, made.answer, right[rows], luck[rows, 3 * n_model :])
        else:
            response[rows] = responses.essays(family, made.answer, quality[rows], tokens, luck[rows, 4 * n_model :])
    price = cost_factor()[code]
    cost = price * (tokens_in[:, None] * facts.PRICE_IN + tokens_out * facts.PRICE_OUT)
    frame = pd.DataFrame(
        {
            "qid": np.repeat(qid, n_model),
            "prompt": np.repeat(prompt, n_model),
            "domain": np.repeat(domain, n_model),
            "model": np.tile(_MODELS, n),
            "response": response.ravel(),
            "quality": quality.ravel(),
            "cost": cost.ravel(),
        }
    )
    return frame, known.expected_quality(code, chance), qid, domain


def _graded(domain: str, right: NDArray[np.bool_], uniform: Floats) -> Floats:
    """Turn solved or not into grades: mostly 1 or 0, quarters in graded domains."""
    unsolved, solved = grades_of(domain)
    out = np.empty(right.shape)
    for grades, where in ((unsolved, ~right), (solved, right)):
        value, share = np.array(grades).T
        rank = np.searchsorted(np.cumsum(share), uniform[where])
        out[where] = value[np.minimum(rank, len(value) - 1)]
    return out
