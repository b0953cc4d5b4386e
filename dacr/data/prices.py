"""Prices of models, and costs made from tokens.

One file of prices, ``configs/models.yaml`` unless ``--prices`` names another. Of a model, in USD:

.. code-block:: yaml

    models:
      openai/gpt-4o-mini*:              # a name may end in a wildcard
        price_per_million_input: 0.15
        price_per_million_output: 0.60
        price_per_million_cached_input: 0.075    # optional: input that the provider had cached
        price_per_request: 0.0                   # optional
        max_output_tokens: 16384                 # optional: no answer has more; bounds what a call can cost
        as_of: 2024-07-18                        # optional: when the price was looked up
        source: https://openai.com/api/pricing   # optional
        aliases: [gpt-4o-mini]                   # optional

``as_of`` and ``source`` beside ``models`` hold for every model that tells none.
"""

from __future__ import annotations

import datetime
import difflib
import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa

from dacr.core import files
from dacr.core.errors import UserError
from dacr.data.tokens import output_tokens
from dacr.types import Floats, Ints

DEFAULT = files.CONFIGS / "models.yaml"
_PER_MILLION = ("input", "output", "cached_input")


@dataclass(frozen=True)
class Price:
    """USD per million tokens, and per request; ``as_of`` (a date as text) and ``source`` are '' where none is told.

    ``max_output_tokens`` is the most that an answer can have; 0 where none is told.
    """

    input: float
    output: float
    cached_input: float
    per_request: float = 0.0
    as_of: str = ""
    max_output_tokens: int = 0
    source: str = ""

    def cost(self, tokens_in: Any, tokens_out: Any, cached: Any = 0.0) -> Any:
        """Return USD of a call, or of many in arrays; ``cached`` input tokens came from the provider's cache."""
        spent = (tokens_in - cached) * self.input + cached * self.cached_input + tokens_out * self.output
        return spent / 1e6 + self.per_request

    def of_mix(self, input_per_output: float) -> float:
        """Return USD of so many million tokens of input and one of output, without what a request costs."""
        return input_per_output * self.input + self.output


FREE = Price(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Prices:
    """Prices by name, alias or wildcard."""

    by_name: Mapping[str, Price]
    source: str

    @classmethod
    def read(cls, path: str | Path = DEFAULT) -> Self:
        """Read a file of prices.

        Raises
        ------
        UserError
            No such file, no ``models``, a price that is negative or no number, a date that is none.
        """
        content = files.read_yaml(path)
        if not isinstance(content, Mapping) or not isinstance(content.get("models"), Mapping):
            raise UserError(
                f"{path} has no 'models:' section; expected models: {{NAME: {{price_per_million_input: ...}}}}"
            )
        found = {"ollama/*": FREE}  # what runs on one's own machine costs nothing
        common = {name: content[name] for name in ("as_of", "source") if name in content}
        for name, told in content["models"].items():
            if told is not None and not isinstance(told, Mapping):
                raise UserError(f"{path}: model {name!r} should be a mapping such as {{price_per_million_input: 1}}")
            price = price_of(str(name), common | dict(told or {}), str(path))
            aliases = (told or {}).get("aliases") or ()
            for one in (name, *([aliases] if isinstance(aliases, str) else aliases)):
                if price is not None:
                    found.setdefault(str(one).casefold(), price)
        return cls(found, str(path))

    def get(self, model: str) -> Price | None:
        """Return a model's price: of its own name first, else of the longest wildcard that fits; None if unpriced."""
        name = model.casefold()
        if name in self.by_name:
            return self.by_name[name]
        fits = [pattern for pattern in self.by_name if "*" in pattern and fnmatch.fnmatchcase(name, pattern)]
        return self.by_name[max(fits, key=len)] if fits else None

    def unpriced(self, models: Iterable[str]) -> UserError:
        """Return the error that names models without a price, with the nearest name that has one."""
        names = list(models)
        near = difflib.get_close_matches(names[0].casefold(), self.by_name, n=1, cutoff=0.4)
        hint = f"; the nearest that has one is {near[0]!r}" if near else ""
        few = "a model has" if len(names) == 1 else f"{len(names)} models have"
        return UserError(
            f"{few} no price in {self.source}: {', '.join(map(repr, names[:8]))}{hint}; add them or "
            "name another file with --prices FILE; --unpriced drop leaves them out, --unpriced free counts them as free"
        )


def price_of(name: str, told: Mapping[str, Any], source: str) -> Price | None:
    """Return the price that a file tells of a model, None where it tells not both sides; refuse what is none."""
    values: dict[str, Any] = {kind: told.get(f"price_per_million_{kind}") for kind in _PER_MILLION}
    values["per_request"] = told.get("price_per_request", 0.0)
    for kind, value in values.items():
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < np.inf
        ):
            raise UserError(
                f"{source}: the {kind} price of model {name!r} should be a number of at least 0, got {value!r}"
            )
    most = told.get("max_output_tokens", 0)
    if "max_output_tokens" in told and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
        raise UserError(f"{source}: max_output_tokens of model {name!r} should be a whole number from 1, got {most!r}")
    as_of = told.get("as_of")
    try:
        date = "" if as_of is None else datetime.date.fromisoformat(str(as_of)).isoformat()
    except ValueError:
        raise UserError(
            f"{source}: as_of of model {name!r} should be a date such as 2024-07-18, got {as_of!r}"
        ) from None
    if values["input"] is None or values["output"] is None:
        return None
    cached = values["input"] if values["cached_input"] is None else values["cached_input"]
    told_by = str(told.get("source") or "")
    return Price(values["input"], values["output"], cached, values["per_request"], date, most, told_by)


@dataclass
class Pricing:
    """Gives the rows that pass a cost, and keeps account of it.

    Parameters
    ----------
    reprice : bool
        Replace recorded costs too.
    unpriced : {error, drop, free}
        What happens to a model without a price.
    """

    prices: Prices
    reprice: bool = False
    unpriced: str = "error"
    account: dict[str, dict[str, float]] = field(default_factory=dict)
    without: set[str] = field(default_factory=set)

    def apply(self, chunk: pd.DataFrame) -> pd.DataFrame:
        """Return the chunk with costs: recorded ones, else tokens times price.

        Tokens are those that are recorded, else estimated from the texts (characters / 4 or words, the larger). A row
        that lacks cost and tokens in a table that has costs lacks its outcome; it is no matter of prices.
        """
        has_cost = chunk["cost"].notna().to_numpy()
        counts = {name: _numbers(chunk, name) for name in ("input_tokens", "output_tokens", "cached_tokens")}
        counted = ~(np.isnan(counts["input_tokens"]) | np.isnan(counts["output_tokens"]))
        told = chunk["quality"].notna().to_numpy()
        wanted = told & (self.reprice | (~has_cost & (counted | (not has_cost.any()))))
        rows_of = _rows_of(chunk["model"])
        self._watch(rows_of, chunk, has_cost, counted, counts)
        if not wanted.any():
            return chunk
        tokens_in = _estimated(counts["input_tokens"], chunk["prompt"], wanted)
        tokens_out = _estimated(counts["output_tokens"], chunk["response"], wanted)
        cached = np.nan_to_num(counts["cached_tokens"])
        cost = chunk["cost"].to_numpy(dtype=np.float64).copy()
        kept = np.ones(len(chunk), dtype=bool)
        for model, mine in rows_of.items():
            rows = mine[wanted[mine]]
            if not len(rows):
                continue
            price = self.prices.get(model)
            if price is None:
                self.without.add(model)
                kept[mine] = self.unpriced != "drop"
                cost[rows] = 0.0
                continue
            made = price.cost(tokens_in[rows], tokens_out[rows], cached[rows])
            account = self._of(model)
            both = has_cost[rows]
            account["recorded_usd"] += float(cost[rows][both].sum())
            account["repriced_usd"] += float(made[both].sum())
            account["n_priced"] += len(rows)
            account["n_estimated"] += int((~counted[rows]).sum())
            cost[rows] = made
        if self.without and self.unpriced == "error":
            raise self.prices.unpriced(sorted(self.without))
        return chunk.assign(cost=cost)[kept]

    def afresh(self) -> Pricing:
        """Return the same with an empty account."""
        return Pricing(self.prices, self.reprice, self.unpriced)

    def _of(self, model: str) -> dict[str, float]:
        names = ("recorded_usd", "repriced_usd", "n_priced", "n_estimated", "n_zero_cost", "n", "n_counted")
        return self.account.setdefault(model, dict.fromkeys(names, 0))

    def _watch(
        self, rows_of: dict[str, Ints], chunk: pd.DataFrame, has_cost: Any, counted: Any, counts: Mapping[str, Floats]
    ) -> None:
        """Count what the checks of prices want to know of recorded costs and tokens."""
        cost = chunk["cost"].to_numpy(dtype=np.float64)
        for model, mine in rows_of.items():
            rows = mine[has_cost[mine]]
            told = self._of(model)
            told["n"] += len(rows)
            both = rows[counted[rows]]
            if not len(both):
                continue
            told["n_counted"] += len(both)
            told["n_zero_cost"] += int(((cost[both] == 0) & (counts["output_tokens"][both] > 0)).sum())
            for name, values in (("cost", cost), ("output_tokens", counts["output_tokens"])):
                low, high = told.get(f"least_{name}", np.inf), told.get(f"most_{name}", -np.inf)
                told[f"least_{name}"] = min(low, float(values[both].min()))
                told[f"most_{name}"] = max(high, float(values[both].max()))
            price = self.prices.get(model)
            if price is not None:
                made = price.cost(counts["input_tokens"][both], counts["output_tokens"][both])
                told["recorded_counted_usd"] = told.get("recorded_counted_usd", 0.0) + float(cost[both].sum())
                told["listed_counted_usd"] = told.get("listed_counted_usd", 0.0) + float(made.sum())

    def summary(self) -> dict[str, Any]:
        """Return what goes into the manifest of the table."""
        listed = {model: price for model in self.account if (price := self.prices.get(model))}
        return {
            "prices": self.prices.source,
            "source": {model: price.source for model, price in listed.items() if price.source},
            "repriced": self.reprice,
            "unpriced": {"treated": self.unpriced, "models": sorted(self.without)},
            "as_of": {model: price.as_of for model, price in listed.items() if price.as_of},
            "models": {model: dict(sorted(told.items())) for model, told in sorted(self.account.items())},
        }

    def lines(self) -> list[str]:
        """Return what a user wants told: what moved, what was estimated, what has no price."""
        out = []
        for model, told in sorted(self.account.items()):
            if self.reprice and told["recorded_usd"] > 0:
                factor = told["repriced_usd"] / told["recorded_usd"]
                out.append(
                    f"repriced {model}: {told['recorded_usd']:.6g} USD recorded, {told['repriced_usd']:.6g} USD now "
                    f"(x {factor:.3g})"
                )
            if told["n_estimated"]:
                out.append(f"note: tokens of {model} are estimated from texts in {told['n_estimated']:,} rows")
        if self.without:
            what = "left out" if self.unpriced == "drop" else "counted as free"
            out.append(f"note: no price of {', '.join(sorted(self.without))}: {what}")
        return out


def _rows_of(model: pd.Series) -> dict[str, Ints]:
    """Return the rows of each model, by name."""
    code, names = pd.factorize(model.astype(str), sort=True)
    begins = np.cumsum(np.bincount(code))[:-1]
    return dict(zip(names, np.split(np.argsort(code, kind="stable"), begins), strict=False))


def _numbers(chunk: pd.DataFrame, name: str) -> Floats:
    if name not in chunk.columns:
        return np.full(len(chunk), np.nan)
    values: Floats = chunk[name].to_numpy(dtype=np.float64, na_value=np.nan)
    return values


def _estimated(counted: Floats, text: pd.Series, wanted: Any) -> Floats:
    """Return token counts, estimated from the texts of the wanted rows where they are not recorded."""
    out = counted.copy()
    rows = np.flatnonzero(np.isnan(counted) & wanted)
    if len(rows):
        texts = text.iloc[rows].astype(object)
        out[rows] = output_tokens(pa.array(texts.where(texts.notna(), "").tolist(), type=pa.large_string()), 1)[:, 0]
    return out
