"""Checks of what calls cost: recorded costs against tokens and prices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dacr.experiment.checks.registered import Context, Found, check, some

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
