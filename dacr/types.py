"""The nouns of the field: Estimates, Outcomes, Training, Attempts, Feedback; Runs and Played. Read this first.

Everything is a batch: arrays whose first axis is one request (or one event) each. A router that scores a whole stream
at once and one that learns request by request see the same types.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Keys = NDArray[np.uint64]

Batch = TypeVar("Batch", bound="Rows")

SHED = UNKNOWN = -1
"""The model index that means "no call is made", and the domain code that means "no label"."""


class Rows:
    """Base of dataclasses whose arrays have one row per request."""

    def take(self: Batch, rows: Any) -> Batch:
        """Return the given rows, in the given order (indices, a slice or a mask)."""
        # Copies the instance without its constructor: the arena takes rows several times per decision.
        taken, numbers = object.__new__(type(self)), isinstance(rows, np.ndarray) and rows.dtype == np.int64
        for name, value in self.__dict__.items():
            if isinstance(value, np.ndarray):
                value = value.take(rows, axis=0) if numbers else value[rows]  # the former takes half the time
            elif name == "paths" and value is not None:
                value = value.take(rows)
            taken.__dict__[name] = value
        return taken


@dataclass(frozen=True)
class Estimates(Rows):
    """What a router knows about ``n`` requests before it chooses. It has no field for the truth.

    Attributes
    ----------
    key : (n,) uint64
        One key per query id, for draws that belong to the request (see :mod:`dacr.core.rng`).
    features : (n, n_feature) float32
        Of the question, not of the few-shot preface.
    domain : (n,) int, index into ``domains``; ``UNKNOWN`` where no label is given
    p_raw, p : (n, n_model) float in [0, 1]
        Predicted quality before and after calibration.
    cost_hat : (n, n_model) float, USD per call
        Predicted *mean* cost.
    cost_upper : (n, n_model) float, USD per call
        Upper quantile of the predicted cost: what a ledger reserves.
    p_late : (n, n_model) float in [0, 1]
        P(latency > tau).
    arrival_s : (n,) float, stream seconds
    models, domains : tuple of str
        Names of the columns, and of the codes in ``domain``.
    """

    key: Keys
    features: NDArray[np.float32]
    domain: Ints
    p_raw: Floats
    p: Floats
    cost_hat: Floats
    cost_upper: Floats
    p_late: Floats
    arrival_s: Floats
    models: tuple[str, ...]
    domains: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.arrival_s)

    def with_(self, **changes: Any) -> Estimates:
        """Return a copy with some fields replaced."""
        fields = Estimates.__dataclass_fields__.keys()
        if not changes.keys() <= fields:
            raise TypeError(f"Estimates have no field {sorted(changes.keys() - fields)}")
        other = object.__new__(Estimates)
        other.__dict__.update(self.__dict__, **changes)
        other.__dict__.pop("_place", None)
        return other

    def at(self, rows: Ints, arrival_s: Floats) -> Estimates:
        """Return rows as they arrive: one step of this stream. A field is looked up when it is first read."""
        other = object.__new__(Estimates)
        own = {"_whole": self, "_rows": rows, "_place": rows}
        other.__dict__.update(own, models=self.models, domains=self.domains, arrival_s=arrival_s)
        return other

    def place(self) -> tuple[Estimates, Ints]:
        """Return the whole stream and which of its requests these are, (n,): much is worked out once for all of it.

        Requests that belong to no stream, or of which a field was replaced, are a stream of their own.
        """
        known = self.__dict__
        return (known["_whole"], known["_place"]) if "_place" in known else (self, np.arange(len(self)))

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            known = self.__dict__
            if name not in Estimates.__dataclass_fields__ or "_whole" not in known:
                raise AttributeError(f"Estimates have no attribute {name!r}")
            return known.setdefault(name, getattr(known["_whole"], name).take(known["_rows"], axis=0))


@dataclass(frozen=True)
class Outcomes(Rows):
    """What every model really gave on ``n`` requests. Only the arena and ``fit`` (training part) see it.

    Attributes
    ----------
    quality : (n, n_model) float in [0, 1]
    cost_usd : (n, n_model) float, USD per call
    latency_s : (n, n_model) float, seconds
    late : (n, n_model) bool, latency_s > tau; float where some of it is not told (see :class:`Feedback`)
    cues : (n, n_model, n_cue) float32 or None, read off the response (:mod:`dacr.estimates.features.cues`)
    paths : dacr.routers.plans.paths.Paths or None, of plans, whose outcomes are then the last columns
    recorded : (n, n_model) bool or None
        Where there is an outcome; None where there is one everywhere. Elsewhere the model can't be called, and means of
        the model stand in, so that a mean over requests is that of what was recorded.
    answer : (n, n_model) int or None, codes that :func:`dacr.estimates.answers.read.read_answers` gives
    """

    quality: Floats
    cost_usd: Floats
    latency_s: Floats
    late: Bools | Floats
    cues: NDArray[np.float32] | None = None
    paths: Any = None
    recorded: Bools | None = None
    answer: Ints | None = None

    def __len__(self) -> int:
        return len(self.quality)

    def known(self, values: Floats, otherwise: float = np.nan) -> Floats:
        """Return ``values``, (n, n_model), and something else where no outcome was recorded."""
        return values if self.recorded is None else np.where(self.recorded, values, otherwise)


@dataclass(frozen=True)
class Training:
    """What ``Router.fit`` gets: out-of-fold estimates on the training part, and what happened there.

    Attributes
    ----------
    calibrators : tuple
        The fitted calibrator of each model that made ``requests.p`` out of ``requests.p_raw``.
    cold : (n_model,) bool or None
        Models that training has no outcomes of: what stands in their place is made of the others', and says
        nothing of how sure one may be.
    """

    requests: Estimates
    outcomes: Outcomes
    tau_s: float
    calibrators: tuple[Any, ...] = ()
    cold: Bools | None = None

    def __len__(self) -> int:
        return len(self.requests)


@dataclass(frozen=True)
class Attempts(Rows):
    """One call for each of ``n`` requests, as its caller sees it: never its quality.

    Attributes
    ----------
    model : (n,) int
    cost_usd : (n,) float, USD
    latency_s : (n,) float, seconds
    cues, answer : (n, n_cue) float32 or None, (n,) int or None
        Read off the response text. Attempts at a request whose answers have one code say the same.
    """

    model: Ints
    cost_usd: Floats
    latency_s: Floats
    cues: NDArray[np.float32] | None = None
    answer: Ints | None = None

    def __len__(self) -> int:
        return len(self.model)


@dataclass(frozen=True)
class Feedback:
    """News about ``n`` finished calls, in the order in which they were decided.

    Cost and lateness are known when a call ends. Quality comes later, or never.

    Attributes
    ----------
    run, t : (n,) int
        Which of a learner's parallel runs this belongs to (0 where there is one), and the decision's place in it.
    requests : Estimates
        The rows that were decided on, as they were then.
    model, propensity : (n,) int, (n,) float
        The arm that was chosen, and with which probability.
    cost_usd, late, quality : (n,) float
        In USD, 0 or 1, and in [0, 1]; NaN where this event does not tell it.
    all_outcomes : Outcomes or None
        Every model's outcome, for full-information twins alone; NaN, ``late`` too, of a model that was not there.
    agreed, same : (n,), (n, 2) float or None, whether a plan's first round settled it, its probes gave what was shipped
    """

    run: Ints
    t: Ints
    requests: Estimates
    model: Ints
    propensity: Floats
    cost_usd: Floats
    late: Floats
    quality: Floats
    all_outcomes: Outcomes | None = None
    agreed: Floats | None = None
    same: Floats | None = None

    def __len__(self) -> int:
        return len(self.run)

    @classmethod
    def about(
        cls,
        requests: Estimates,
        model: Ints,
        *,
        run: Ints | int = 0,
        t: Ints | int = 0,
        propensity: Floats | float = 1.0,
        cost_usd: Floats | float = np.nan,
        late: Floats | float = np.nan,
        quality: Floats | float = np.nan,
        all_outcomes: Outcomes | None = None,
        agreed: Floats | None = None,
    ) -> Feedback:
        """Return news of calls, each (n,) or one number for all of them; what is not given is not told."""

        def every(value: Any) -> Any:
            return value if isinstance(value, np.ndarray) else np.full(len(model), value)

        told = every(propensity), every(cost_usd), every(late), every(quality)
        return cls(every(run), every(t), requests, model, *told, all_outcomes, agreed)


@dataclass(frozen=True)
class Runs:
    """Independent runs over the same requests.

    Attributes
    ----------
    order : (n_run, n) int
        Row of the request at each position of a run's stream.
    arrival_s : (n,) float
        Arrival of each position, ascending: the slots are the same in every run, who fills them differs.
    seed : tuple of int
        Name of each run's randomness.
    """

    order: Ints
    arrival_s: Floats
    seed: tuple[int, ...]


@dataclass(frozen=True)
class Played:
    """What happened: every array is (n_run, n), by position in the stream.

    ``model`` is the model whose answer was kept, ``SHED`` where none was; cost and latency are sums over all attempts;
    quality is that of the kept answer, 0 if none. ``p_hat``, ``cost_hat`` and ``p_late`` are what the router believed
    about the kept model when it decided. ``price_cost`` (quality per USD) and ``price_late`` (quality) are the arena's
    shadow prices, where a budget is enforced. ``p_before`` and ``p_after``, where they were recorded, are what the
    router believed of every model before the decision about each request, and after the last one: (n_run, n, n_model),
    by row of the table.
    """

    row: Ints
    model: Ints
    quality: Floats
    cost_usd: Floats
    latency_s: Floats
    attempts: Ints
    propensity: Floats
    p_hat: Floats
    cost_hat: Floats
    p_late: Floats
    price_cost: Floats | None = None
    price_late: Floats | None = None
    p_before: NDArray[np.float32] | None = None
    p_after: NDArray[np.float32] | None = None
