"""Checks of what goes in: data, recordings and what they cost, split, features and calibration."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from dacr.data.schema import family_of
from dacr.estimates.features.near_duplicates import nearest_in_training
from dacr.estimates.features.question import questions_of
from dacr.experiment.checks.registered import Context, Found, check, some
from dacr.types import Floats


@check("DACR001", "latency is known for every outcome", "latency_coverage")
def _missing_latency(c: Context) -> Found:
    assert c.latency_coverage is not None
    if c.latency_coverage < 1:
        said = f"; as asked: {c.latency_treatment}" if c.latency_treatment else "; nothing was said about the rest"
        yield (
            "info" if c.latency_treatment else "error",
            f"latency is known for {c.latency_coverage:.1%} of the outcomes{said}",
            "record or simulate the missing latencies, or say how to treat them; they are never taken as 0 s",
        )


@check("DACR004", "calibrators are fitted on out-of-fold predictions", "calibrators")
def _insample(c: Context) -> Found:
    for use in c.calibrators or ():
        if use.fitted_on == "insample":
            yield (
                "warning",
                f"calibrator {use.name} was fitted on predictions for the rows that the predictor was trained on",
                "use one that is fitted on out-of-fold or leave-one-domain-out predictions",
            )


@check("DACR005", "held-out domains are unseen in training", "ood", "train_domain", "test_domain")
def _seen_domain(c: Context) -> Found:
    assert c.train_domain is not None and c.test_domain is not None
    if not c.ood:
        return
    train, test = set(c.train_domain), set(c.test_domain)
    both = sorted(train & test)
    if both:
        yield (
            "error",
            f"{len(both)} held-out domains are in the training part too: {some(both)}",
            "split again with dacr.data.splits; the stream and the experiment need the same --ood_holdout",
        )
    kin = sorted({family_of(d) for d in test - train} & {family_of(d) for d in train})
    if kin:
        yield (
            "warning",
            f"training has sister domains of the held-out ones, in the families {some(kin)}",
            "hold out the whole family by its prefix, or say in the text that the shift is within a family",
        )


@check("DACR007", "every test domain has enough queries", "test_domain")
def _small_domain(c: Context) -> Found:
    names, counts = np.unique(np.asarray(c.test_domain, dtype=str), return_counts=True)
    small = [f"{name} ({n})" for name, n in zip(names, counts, strict=True) if n < c.min_queries]
    if small:
        yield (
            "warning" if len(small) == len(names) else "info",
            f"{len(small)} of {len(names)} test domains have fewer than {c.min_queries} queries: {some(small)}",
            "read their numbers with their intervals, or by family",
        )


@check("DACR009", "calibration keeps the ranking", "calibrators")
def _slopes(c: Context) -> Found:
    for use in c.calibrators or ():
        negative = sorted(model for model, slope in use.slopes.items() if slope < 0)
        if negative:
            yield (
                "warning",
                f"calibrator {use.name} has negative slopes for {len(negative)} of {len(use.slopes)} models "
                f"({some(negative)}): it flees to the base rate and turns the predictor's ranking round",
                "constrain the slope to be at least 0, or compare with the base rate",
            )


@check("DACR010", "no test prompt is in training", "train_prompt", "test_prompt")
def _duplicates(c: Context) -> Found:
    assert c.train_prompt is not None and c.test_prompt is not None
    if c.train_qid is not None and c.test_qid is not None:
        both = sorted(set(c.train_qid) & set(c.test_qid))
        if both:
            yield "error", f"{len(both)} queries are in both parts: {some(both)}", "split again with dacr.data.splits"
    similarity, index = c.nearest or nearest_in_training(questions_of(c.train_prompt), questions_of(c.test_prompt))
    close = np.flatnonzero(similarity >= 0.9)
    if len(close):
        known, row = c.test_qid is not None and c.train_qid is not None, close[0]
        name = f", such as {c.test_qid[row]} and {c.train_qid[index[row]]}" if known else ""  # type: ignore[index]
        yield (
            "warning" if len(close) > 0.01 * len(similarity) else "info",
            f"{len(close)} of {len(similarity)} test prompts ({len(close) / len(similarity):.1%}) have a "
            f"near-duplicate in training (shingle similarity at least .9){name}",
            "group near-duplicates before splitting, or report the numbers without them too",
        )


@check("DACR012", "features tell prompts apart", "feature_distinct")
def _collapsed(c: Context) -> Found:
    assert c.feature_distinct is not None
    rows = c.feature_distinct
    bad = rows[rows["distinct"] < rows["n"] / 2]
    for row in bad.itertuples():
        yield (
            "error",
            f"domain {row.domain}: {row.n} prompts have only {row.distinct} distinct feature rows",
            "embed the last question, not the few-shot preface that all prompts share",
        )


FEW = 10
"""Queries of each kind below which nothing is said of a model."""

APART, SIGMA = 0.02, 3.0
"""Queries are unlike where others' quality differs by so much, and by so many standard errors."""


@check("DACR018", "single models are recorded on like queries", "quality", "models")
def _unlike(c: Context) -> Found:
    assert c.quality is not None
    off = [f"{model} ({gap:+.3f})" for model, gap in zip(c.models, gaps(c.quality), strict=True) if gap]
    if off:
        yield (
            "warning",
            "the queries that a model was recorded on are easier (+) or harder (-) than those that it lacks, by what "
            f"the other models make of them: {some(off)}",
            "single models, their hull and areas rest on these means: compare routers with each other, or prepare with "
            "--missing_outcomes drop",
        )


def gaps(quality: Floats) -> Floats:
    """Return by how much the queries that a model was recorded on are easier than the others; 0 for no more than luck.

    How easy a query is: the mean of what the other models have there, each less its own mean.

    Parameters
    ----------
    quality : (n, n_model) float; NaN where not recorded
    """
    known = np.isfinite(quality)
    centred = np.where(known, quality, 0.0)
    centred = np.where(known, centred - centred.sum(axis=0) / np.maximum(known.sum(axis=0), 1), 0.0)
    out = np.zeros(quality.shape[1])
    for m in range(len(out)):
        others = np.delete(known, m, axis=1).sum(axis=1)
        told = others > 0
        easy = (centred.sum(axis=1) - centred[:, m])[told] / others[told]
        had, lacks = easy[known[told, m]], easy[~known[told, m]]
        if min(len(had), len(lacks)) < FEW:
            continue
        gap = float(had.mean() - lacks.mean())
        error = float(np.sqrt(had.var(ddof=1) / len(had) + lacks.var(ddof=1) / len(lacks)))
        out[m] = gap if abs(gap) > max(APART, SIGMA * error) else 0.0
    return out


MANY = 30
"""Rows from which on one constant value is no chance."""
TOLERANCE = 0.1
"""Share by which a recorded cost may differ from tokens times price."""


def _models(c: Context) -> Iterator[tuple[str, Mapping[str, Any]]]:
    assert c.pricing is not None
    yield from c.pricing["models"].items()


@check("DACR014", "no call with tokens is recorded as free", "pricing")
def _free(c: Context) -> Found:
    free = [f"{model} ({told['n_zero_cost']:,} of {told['n']:,})" for model, told in _models(c) if told["n_zero_cost"]]
    if free:
        yield (
            "warning",
            f"calls with output tokens are recorded with a cost of 0: {some(free)}",
            "a cost that is missing is not 0: prepare again with --reprice and a file of prices",
        )


@check("DACR015", "tokens and costs differ from call to call", "pricing")
def _constant(c: Context) -> Found:
    for name in ("output_tokens", "cost"):
        same = [
            model
            for model, told in _models(c)
            if told["n_counted"] >= MANY and told[f"least_{name}"] == told[f"most_{name}"] > 0
        ]
        if same:
            yield (
                "warning",
                f"one constant {name} over all calls of {some(same)}",
                "a default of the recorder is no measurement: drop the column, so that tokens are estimated",
            )


@check("DACR016", "recorded costs agree with tokens times price", "pricing")
def _differs(c: Context) -> Found:
    off = []
    for model, told in _models(c):
        listed, recorded = told.get("listed_counted_usd", 0.0), told.get("recorded_counted_usd", 0.0)
        if listed > 0 and recorded > 0 and abs(recorded / listed - 1) > TOLERANCE:
            off.append(f"{model} (x {recorded / listed:.3g})")
    if off:
        yield (
            "warning",
            f"recorded costs differ from tokens x price by more than {TOLERANCE:.0%}: {some(off)}",
            "name the prices of the time of recording with --prices, or take those with --reprice",
        )


@check("DACR017", "prices are not older than the recording", "pricing")
def _old(c: Context) -> Found:
    assert c.pricing is not None
    recorded = str(c.pricing.get("recorded") or "")
    used = [model for model, told in _models(c) if told["n_priced"]]
    as_of = c.pricing["as_of"]
    old = [f"{model} ({as_of[model]})" for model in used if recorded and as_of.get(model, recorded) < recorded]
    if old:
        yield (
            "info",
            f"calls of {recorded} are priced with older prices: {some(old)}",
            "name prices of that time with --prices FILE; as_of says when they held",
        )
