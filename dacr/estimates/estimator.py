"""From a table and a split to what routers may know: features, predictions, calibration, cost, lateness.

:class:`Estimator` does the work that all routers of an experiment share, once, and hands out
:class:`~dacr.types.Estimates` for any pair of predictor and calibrator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from dacr.core import memory
from dacr.core.background import one_thread
from dacr.core.cache import Cache, content_hash, identity
from dacr.core.registry import calibrators, predictors
from dacr.core.rng import keys_of
from dacr.data.table import RoutingTable
from dacr.estimates.calibrated import calibrated
from dacr.estimates.charges import charges
from dacr.estimates.features.prompts import Prompts
from dacr.estimates.fitted import Fitted
from dacr.estimates.predictors.base import Predictor
from dacr.estimates.predictors.cost import cost_features
from dacr.estimates.predictors.folds import family_folds, out_of_fold, random_folds, recorded_together
from dacr.types import Bools, Estimates, Floats, Ints, Keys, Outcomes


@dataclass
class Estimator:
    """Estimates for the training and the test part of one split.

    Parameters
    ----------
    table : RoutingTable
        With latencies recorded for all of ``train`` and ``test``.
    train, test : (n,) int
        Row indices into ``table``.
    arrival_s : (n_test,) float
        Arrival of each test row in stream seconds.
    tau_s : float
        A call that takes longer is late.
    label : (n_query,) object, optional
        The domain label of each query that calibrators and routers see, '' where it is not known; by
        default the table's domain.
    features : (n_query, n_feature) float32, optional
        Given features replace the project's own.
    """

    table: RoutingTable
    train: Ints
    test: Ints
    arrival_s: Floats
    tau_s: float
    cache: Cache = field(default_factory=lambda: Cache(None))
    label: NDArray[np.object_] | None = None
    n_jobs: int = 2
    features: NDArray[np.float32] | None = None
    progress: Callable[[str], None] = lambda _: None

    @cached_property
    def prompts(self) -> Prompts:
        """What is read off the prompts of the table."""
        return Prompts(self.table.prompt, self.train, self.test, self.features, self.cache, self.progress)

    @property
    def x(self) -> NDArray[np.float32]:
        """Features of every query of the table, fitted on the training part: (n_query, n_feature)."""
        return self.prompts.x

    @cached_property
    def _keys(self) -> Keys:
        return keys_of(self.table.qid)

    @cached_property
    def _codes(self) -> Ints:
        return Fitted(self.table.model, self.domains).codes(self.labels)

    @cached_property
    def fold(self) -> Ints:
        """Random fold of each training row."""
        return random_folds(list(self.table.qid[self.train]))

    @cached_property
    def domains(self) -> tuple[str, ...]:
        """Names of the domain codes."""
        return tuple(sorted(set(self.labels) - {""}))

    def of_columns(self, table: RoutingTable) -> Estimator:
        """Return estimates of other columns on the same queries: what is known of the queries is shared."""
        other = replace(self, table=table)
        for name in ("prompts", "_x_hash", "_keys", "_codes", "fold", "domains"):
            vars(other)[name] = getattr(self, name)
        return other

    @property
    def labels(self) -> NDArray[np.object_]:
        """The domain label of each query that calibrators and routers see: (n_query,)."""
        return self.table.domain if self.label is None else self.label

    def outcomes(self, rows: Ints, cues: NDArray[np.float32] | None = None, answer: Ints | None = None) -> Outcomes:
        """Return the truth of some table rows."""
        table, recorded = self.table, self.table.recorded
        late, known = table.latency_s[rows] > self.tau_s, None if recorded is None else recorded[rows]
        had = table.quality[rows], table.cost_usd[rows], table.latency_s[rows]
        return Outcomes(*had, late, cues, recorded=known, answer=answer)

    @cached_property
    def _recorded(self) -> Bools | None:
        return None if self.table.recorded is None else self.table.recorded[self.train]

    def predictions(self, predictor: str, kind: str) -> Floats:
        """Return raw predictions of a registered predictor.

        Parameters
        ----------
        kind : {"oof", "lodo", "insample", "test"}
            On the training rows: out-of-fold, leaving out whole families, or (as a cautionary tale)
            fitted on the very rows; or on the test rows.
        """
        return self._predictions[predictor, kind]

    @cached_property
    def _predictions(self) -> _Lazy:
        return _Lazy(self._predict)

    def _predict(self, predictor: str, kind: str) -> Floats:
        make = predictors.get(predictor)
        rows = self.test if kind == "test" else self.train
        y = self.table.quality[self.train]

        def compute() -> dict[str, np.ndarray]:
            self.progress(f"{predictor} ({kind})")
            p = np.empty((len(rows), y.shape[1]))
            fold = family_folds(self.table.family[self.train]) if kind == "lodo" else self.fold
            with one_thread():
                if kind in ("insample", "test"):
                    each = self._on_all_training[(predictor,)]
                    x = self.x[rows]
                    for own, fitted in each:
                        p[:, own] = fitted.predict(x)
                else:
                    x = self.x[rows]
                    for own, known in recorded_together(self._recorded):
                        p[:, own] = out_of_fold(make, x, y[:, own], fold, self.n_jobs, known)
            return {"p": p}

        parts = {"x": self._x_hash, "y": y, "train": self.train, "kind": kind, "made_by": identity(make)}
        parts |= {"test": {"test": self.test}, "oof": {"fold": self.fold}}.get(kind, {})
        if kind == "lodo":
            parts["family"] = list(self.table.family[self.train])
        if self._recorded is not None:
            parts["recorded"] = self._recorded
        return self.cache.get(predictor, parts, compute, made_by=(make,))["p"]

    @cached_property
    def _on_all_training(self) -> _Lazy:
        return _Lazy(self._fit_on_all_training)

    def _fit_on_all_training(self, predictor: str) -> list[tuple[Any, Predictor]]:
        """Return the columns of models that are fitted together, each with their predictor."""
        x, y, make = self.x[self.train], self.table.quality[self.train], predictors.get(predictor)
        return [(own, make().fit(x[known], y[:, own][known])) for own, known in recorded_together(self._recorded)]

    @cached_property
    def _x_hash(self) -> str:
        return content_hash({"x": self.x})

    @cached_property
    def calibrators(self) -> _Lazy:
        """Fitted calibrators, one per model: ``calibrators[predictor, calibrator]``."""
        return _Lazy(self._fit_calibrators)

    def _fit_calibrators(self, predictor: str, calibrator: str) -> tuple[Any, ...]:
        make = calibrators.get(calibrator)
        self.progress(f"{calibrator} on {predictor}")
        p, unseen = self._fitted_on(predictor, calibrator)
        y, domain, x = self.table.quality[self.train], self.labels[self.train], self.x[self.train]

        recorded = self._recorded

        def fit(m: int) -> Any:
            rows = slice(None) if recorded is None else recorded[:, m]
            lodo = None if unseen is None else unseen[rows, m]
            return make().fit(p[rows, m], y[rows, m], domain[rows], x=x[rows], p_unseen=lodo)

        # Threads: numpy lets go of the interpreter while it works on arrays of this size.
        with one_thread():
            return tuple(Parallel(self.n_jobs, prefer="threads")(delayed(fit)(m) for m in range(p.shape[1])))

    def _fitted_on(self, predictor: str, calibrator: str) -> tuple[Floats, Floats | None]:
        """Return the predictions that calibrators are fitted on: for all, and for unseen domains where wanted."""
        make = calibrators.get(calibrator)
        # Only tested domains that training has none of make these predictions worth their time.
        shifted = make.uses_unseen and not set(self.labels[self.test]) <= set(self.labels[self.train])
        return self.predictions(predictor, make.fitted_on), self.predictions(predictor, "lodo") if shifted else None

    @cached_property
    def _training_hash(self) -> str:
        """Everything else that calibrators are fitted on."""
        t = self.train
        parts = {"x": self.x[t], "y": self.table.quality[t], "domain": list(self.labels[t])}
        return content_hash(parts if self._recorded is None else {**parts, "recorded": self._recorded})

    @cached_property
    def slopes(self) -> dict[tuple[str, str], Floats]:
        """The slope of each model, NaN for none, of every (predictor, calibrator) that was asked for."""
        return {}

    @cached_property
    def calibrated(self) -> _Lazy:
        """Calibrated predictions: ``calibrated[predictor, calibrator, "train" or "test"]``, (n, n_model)."""
        return _Lazy(self._calibrate)

    def _calibrate(self, predictor: str, calibrator: str, part: str) -> Floats:
        raw = self.predictions(predictor, "oof" if part == "train" else "test")
        if calibrator == "identity":
            return raw  # Asking for a fit would ask for out-of-fold predictions that nobody needs.
        rows = self.train if part == "train" else self.test
        p, unseen = self._fitted_on(predictor, calibrator)
        fitted_on = {"p": p, "unseen": unseen, "rest": self._training_hash}
        make, fitted = calibrators.get(calibrator), lambda: self.calibrators[predictor, calibrator]
        out, slopes = calibrated(make, fitted, raw, self.labels[rows], self.x[rows], self.cache, fitted_on)
        self.slopes[predictor, calibrator] = slopes
        return out

    @cached_property
    def _cost_and_lateness(self) -> dict[str, np.ndarray]:
        length = np.array([len(prompt) for prompt in self.table.prompt])
        train, test = self.train, self.test
        chars = self.prompts.question_chars
        seen, asked = (cost_features(length[rows], chars[rows], self.x[rows]) for rows in (train, test))
        cost_usd, latency = self.table.cost_usd[train], self.table.latency_s[train]

        def compute() -> dict[str, np.ndarray]:
            self.progress("cost and lateness")
            with one_thread():
                return charges(seen, asked, cost_usd, latency, self.tau_s, self.fold, self._recorded)

        parts: dict[str, Any] = {"seen": seen, "asked": asked, "cost": cost_usd, "latency": latency}
        parts |= {"tau": self.tau_s, "fold": self.fold}
        parts |= {} if self._recorded is None else {"recorded": self._recorded}
        found = self.cache.get("cost-lateness", parts, compute)
        memory.release()
        return found

    def training(self, predictor: str, calibrator: str) -> Estimates:
        """Return out-of-fold estimates on the training rows (arrival times are 0: they have none)."""
        return self._estimates("train", predictor, calibrator)

    def testing(self, predictor: str, calibrator: str) -> Estimates:
        """Return estimates on the test rows."""
        return self._estimates("test", predictor, calibrator)

    def _estimates(self, part: str, predictor: str, calibrator: str) -> Estimates:
        rows, kind, arrival = (self.train, "oof", None) if part == "train" else (self.test, "test", self.arrival_s)
        money = self._cost_and_lateness
        return Fitted(self.table.model, self.domains).estimates(
            self._keys[rows],
            self.x[rows],
            self.labels[rows],
            self.predictions(predictor, kind),
            money[f"cost_{part}"],
            money[f"late_{part}"],
            cost_upper=money[f"upper_{part}"],
            p=self.calibrated[predictor, calibrator, part],
            domain=self._codes[rows],
            arrival_s=arrival,
        )


class _Lazy(dict[Any, Any]):
    """Compute a value when its key is first asked for."""

    def __init__(self, compute: Callable[..., Any]) -> None:
        super().__init__()
        self._compute = compute

    def __missing__(self, key: tuple[str, ...]) -> Any:
        self[key] = self._compute(*key)
        return self[key]
