r"""The embedded benchmark with any number of models: a wide table whose logits have a known low rank.

Model m is a mixture of the eleven published ones, with weights :math:`w_m` that are mostly on one to three of them,
and a strength of its own:

.. math:: \operatorname{logit} r_{im} = \sum_k w_{mk} \operatorname{logit} r_{ik} + s_m,
          \qquad w_m \sim \mathrm{Dirichlet}(.3), \quad s_m \sim N(0, .4^2),

so that the logits of a query are an affine function of eleven numbers: the matrix of centred logits has rank at
most 11, whatever the number of models. Costs and output tokens are mixed likewise on their logarithms. Queries,
prompts and domains are those of :mod:`dacr.data.sample.generate`. There are no responses: tokens are declared.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy.special import expit, logit

from dacr.core.errors import UserError
from dacr.core.rng import generator, keyed_uniform, keys_of, seed_for
from dacr.data.sample import answers, facts
from dacr.data.sample.generate import Part, Queries, graded, queries
from dacr.data.sample.truth import truth
from dacr.data.write import write_tables
from dacr.types import Floats

_STRENGTH_SD = 0.4
_CONCENTRATION = 0.3
_PRICE_SD = 0.3
_CLIP = 1e-6
_CHUNK_CELLS = 1_000_000


def model_names(n_model: int) -> tuple[str, ...]:
    """Return ``mix-000``, ``mix-001``, ...: sorted by name."""
    width = max(3, len(str(n_model - 1)))
    return tuple(f"mix-{m:0{width}d}" for m in range(n_model))


def mixtures(n_model: int, seed: int = 0) -> tuple[Floats, Floats, Floats]:
    """Return weights (n_model, 11), strengths (n_model,) in logits, and factors on the price (n_model,).

    A model is the same whatever the number of models.
    """
    if n_model < 2:
        raise UserError(f"--models {n_model}: routing needs at least 2 models; try --models 500")
    draws = [generator("sample mixture", seed, name) for name in model_names(n_model)]
    weights = np.array([draw.dirichlet(np.full(len(facts.MODELS), _CONCENTRATION)) for draw in draws])
    noise = np.array([draw.standard_normal(2) for draw in draws])
    return weights, _STRENGTH_SD * noise[:, 0], np.exp(_PRICE_SD * noise[:, 1])


def iter_many(n_query: int, n_model: int, seed: int = 0, chunk: int = 0) -> Iterator[Part]:
    """Yield the benchmark in order, ``chunk`` queries at a time (0: about a million outcomes)."""
    weights, strength, price = mixtures(n_model, seed)
    for part in queries(n_query, seed, chunk or max(1, _CHUNK_CELLS // n_model)):
        yield _outcomes(part, weights, strength, price, seed)


def _outcomes(part: Queries, weights: Floats, strength: Floats, price: Floats, seed: int) -> Part:
    n, n_model = len(part.code), len(weights)
    keys = keys_of(part.qid)
    known = truth()
    base = known.solve_probability(part.code, part.kind, part.visible, part.hidden)
    chance = expit(_mixed(logit(np.clip(base, _CLIP, 1 - _CLIP)), weights) + strength)
    luck = keyed_uniform(keys, 2 * n_model, seed_for("sample many luck", seed))
    right = luck[:, :n_model] < chance
    spread = keyed_uniform(keys, 2 * len(facts.MODELS), seed_for("sample many tokens", seed))
    quality, cost, tokens = np.empty((3, n, n_model))
    for d, name, rows in part.by_domain():
        quality[rows] = graded(name, right[rows], luck[rows, n_model:])
        own = answers.output_tokens(d, spread[rows])
        tokens[rows] = np.ceil(np.exp(_mixed(np.log(own), weights)))
        cost[rows] = np.exp(_mixed(np.log(answers.cost_of(d, part.lengths(rows), own)), weights)) * price
    expected = known.expected_quality(part.code, chance)
    return Part(part.qid, part.domain, part.prompt, quality, cost, expected, output_tokens=tokens)


def _mixed(values: Floats, weights: Floats) -> Floats:
    """Return ``values @ weights.T``, summed in one order on any processor."""
    out = np.zeros((len(values), len(weights)))
    for k in range(values.shape[1]):
        out += values[:, k, None] * weights[:, k]
    return out


def write_wide(target: str | Path, n_query: int, n_model: int, seed: int = 0) -> int:
    """Write the benchmark as a wide Parquet file, whole or not at all; return the number of rows.

    Columns are RouterBench's: ``sample_id``, ``prompt``, ``eval_name``, and for each model its quality under the
    bare name, ``<model>|total_cost`` and ``<model>|output_tokens``.
    """
    names = model_names(n_model)
    tables = (
        pa.Table.from_pandas(_wide_frame(part, names), preserve_index=False)
        for part in iter_many(n_query, n_model, seed)
    )
    # Numbers hardly repeat: a dictionary for each of a thousand columns only costs time.
    return write_tables(target, tables, use_dictionary=["eval_name"], write_statistics=False)


def _wide_frame(part: Part, names: tuple[str, ...]) -> pd.DataFrame:
    columns: dict[str, object] = {"sample_id": part.qid, "prompt": part.prompt, "eval_name": part.domain}
    for suffix, values in (("", part.quality), ("|total_cost", part.cost_usd), ("|output_tokens", part.output_tokens)):
        assert values is not None
        columns |= {f"{name}{suffix}": values[:, m] for m, name in enumerate(names)}
    return pd.DataFrame(columns)
