"""Plans beside the models: which there are, what they do on the recorded answers, and what routers know of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from dacr.core import files
from dacr.core.errors import UserError
from dacr.core.rng import generator
from dacr.data.table import RoutingTable
from dacr.estimates.answers.loose import Loose
from dacr.estimates.answers.read import UNREAD, read_answers
from dacr.estimates.estimator import Estimator
from dacr.estimates.features.cues import response_cues
from dacr.replay.unrecorded import as_expected, whole_rows, with_means
from dacr.routers.plans.base import Plan, parse_plan
from dacr.routers.plans.choose import choose_plans
from dacr.routers.plans.costs import PlanCosts
from dacr.routers.plans.paths import Paths, folds_of, paths_of
from dacr.types import Bools, Estimates, Floats, Ints, Outcomes, Training

AUTO, NONE = "auto", "none"
NO_PLANS = "not asked for"


@dataclass(frozen=True)
class Arms:
    """The models of an experiment, and plans behind them: what routers that take plans choose from.

    Attributes
    ----------
    plans : tuple of Plan
    estimator : Estimator
        Of the models.
    tau_s : float
        An answer that takes longer is late.
    outcomes_train, outcomes_test : Outcomes
        Of the models.
    train, test : Paths
        What the plans do there.
    cold : (n_model,) bool or None
        Models that training has no outcomes of.
    """

    plans: tuple[Plan, ...]
    estimator: Estimator
    tau_s: float
    outcomes_train: Outcomes
    outcomes_test: Outcomes
    train: Paths
    test: Paths
    cold: Bools | None = None

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of all arms, those of the models first."""
        return (*self.estimator.table.model, *(plan.spec for plan in self.plans))

    @cached_property
    def truth(self) -> Outcomes:
        """What every arm gives on the test part."""
        return self.test.beside(self.outcomes_test, self.tau_s)

    @cached_property
    def trained_on(self) -> Outcomes:
        """What every arm gave on the training part."""
        return self.train.beside(self.outcomes_train, self.tau_s)

    @cached_property
    def cost_share(self) -> Floats:
        """Share of each model in a plan's mean training cost: (n_plan, n_model)."""
        cost = self.outcomes_train.cost_usd
        share = np.zeros((len(self.plans), cost.shape[1]))
        for k, own in enumerate(self.train.member):
            paid = self.train.of(k, cost).mean(axis=0)
            np.add.at(share[k], own[own >= 0], (paid / max(paid.sum(), 1e-300))[own >= 0])
        return share

    @cached_property
    def costs(self) -> PlanCosts:
        """What plans are expected to cost, from what their models are."""
        share = np.zeros((len(self.plans), self.outcomes_train.cost_usd.shape[1]))
        plan, place = np.nonzero(self.train.member >= 0)
        share[plan, self.train.member[plan, place]] = (self.train.round > 0).mean(axis=0)[plan, place]
        return PlanCosts(self.train.member, share)

    @cached_property
    def of_plans(self) -> Estimator:
        """Estimates of the plans' own columns; features and folds are those of the models."""
        models = self.estimator
        shape = (models.table.n_query, len(self.plans))
        quality, cost, latency = (np.full(shape, np.nan) for _ in range(3))
        recorded = None if models.table.recorded is None else np.zeros(shape, dtype=bool)
        for rows, had in ((models.train, self.trained_on), (models.test, self.truth)):
            for into, values in ((quality, had.quality), (cost, had.cost_usd), (latency, had.latency_s)):
                into[rows] = values[:, -len(self.plans) :]
            if recorded is not None and had.recorded is not None:
                recorded[rows] = had.recorded[:, -len(self.plans) :]
        table: RoutingTable = replace(
            models.table,
            model=tuple(plan.spec for plan in self.plans),
            quality=quality,
            cost_usd=cost,
            latency_s=latency,
            response=None,
            output_tokens=None,
            recorded=recorded,
        )
        return models.of_columns(table)

    def permuted(self) -> Arms:
        """Return plans that take the paths of other requests of the domain: a control without what agreement tells.

        The same share agrees for the same money; of all plans together a request has the paths of one other.
        """
        domain = self.estimator.table.domain[self.estimator.test].astype(str)
        draw = generator("permuted paths").random(len(domain))
        source = np.empty(len(domain), dtype=np.int64)
        source[np.argsort(domain, kind="stable")] = np.lexsort((draw, domain))
        return replace(self, test=self.test.take(source))

    def testing(self, predictor: str, calibrator: str) -> Estimates:
        """Return estimates of every arm on the test rows."""
        both = (one.testing(predictor, calibrator) for one in (self.estimator, self.of_plans))
        return self._beside(*both)

    def training(self, predictor: str, calibrator: str) -> Training:
        """What a router is fitted on: out-of-fold estimates of every arm, and what happened."""
        both = (one.training(predictor, calibrator) for one in (self.estimator, self.of_plans))
        cold = None if self.cold is None else np.concatenate([self.cold, np.zeros(len(self.plans), dtype=bool)])
        fitted = (one.calibrators[predictor, calibrator] for one in (self.estimator, self.of_plans))
        made = Training(self._beside(*both), self.trained_on, self.tau_s, tuple(chain(*fitted)), cold)
        return as_expected(made)

    def _beside(self, models: Estimates, plans: Estimates) -> Estimates:
        """Return the estimates of all arms."""
        changed = {
            name: np.column_stack([getattr(models, name), getattr(plans, name)]) for name in ("p_raw", "p", "p_late")
        }
        cost_hat, cost_upper = self.costs.beside(models.cost_hat, models.cost_upper)
        return models.with_(**changed, cost_hat=cost_hat, cost_upper=cost_upper, models=self.names)


def arms_of(
    wanted: str,
    n_plans: int,
    outcomes: Outcomes,
    truth: Outcomes,
    estimator: Estimator,
    tau_s: float,
    cold: Bools | None = None,
) -> tuple[Arms | None, str]:
    """Return the arms with the plans asked for, or None; and in words what there is, or why there is none.

    Parameters
    ----------
    wanted : str
        ``auto``, ``none`` or a file with one plan a line.
    outcomes, truth : Outcomes
        Of the models on the training part and on the test part.
    cold : (n_model,) bool, optional
        Models that training has no outcomes of: they are in no plan that is chosen.
    """
    if wanted == NONE:
        return None, NO_PLANS
    table, train = estimator.table, estimator.train
    named = None if wanted == AUTO else read_plans(Path(wanted), table.model)
    if outcomes.answer is None or truth.answer is None:
        return None, _refuse(named, wanted, "the table has no responses")
    if not (outcomes.answer != UNREAD).any():
        return None, _refuse(named, wanted, "none of the answers in training can be read")
    whole = whole_rows(table, train)
    if not len(whole):
        return None, _refuse(named, wanted, "no training query has the answers of all models")
    heard = outcomes if len(whole) == len(train) else outcomes.take(np.isin(train, whole))
    if named is None:
        family = np.unique(table.family[whole].astype(str), return_inverse=True)[1]
        known = None if cold is None else ~cold
        chosen = choose_plans(table.model, heard, family, n_plans, known)
    else:
        chosen = [plan.fit(heard, np.array([table.model.index(m) for m in plan.members])) for plan in named]
    if not chosen:
        return None, "no plan is worth its money on the training domains"
    fold = folds_of(np.unique(table.family[train].astype(str), return_inverse=True)[1])
    on_train, on_test = paths_of(chosen, table.model, outcomes, fold), paths_of(chosen, table.model, truth)
    made = Arms(tuple(chosen), estimator, tau_s, outcomes, truth, on_train, on_test, cold)
    read = (outcomes.answer != UNREAD).mean(axis=0)
    least = f"least of {table.model[read.argmin()]} ({read.min():.0%})"
    return made, f"{len(chosen)} beside the models; {read.mean():.0%} of answers in training could be read, {least}"


def with_plans(table: RoutingTable, specs: Sequence[str], train: Ints, cosine: float | None = None) -> RoutingTable:
    """Return a table with columns of plans behind those of the models, for what was decided among both.

    Parameters
    ----------
    specs : sequence of str
        Plans in words, as decisions name them.
    train : (n,) int
        Rows that the experiment trained on.
    cosine : float, optional
        Its ``--loose_answers``.

    Raises
    ------
    UserError
        The table has no responses, from which alone it can be told what plans do.
    """
    if table.response is None:
        raise UserError(
            f"plans such as {specs[0]!r} were decided on, and the table has no responses to follow them with"
        )
    filled = with_means(table, np.arange(table.n_query))
    late = np.zeros(table.quality.shape, dtype=bool)
    loose = None if cosine is None else Loose(cosine, train)
    answer = read_answers(table.response, table.n_model, loose=loose)
    cues = response_cues(table.response, table.n_model)
    had = filled.quality, filled.cost_usd, filled.latency_s
    every = Outcomes(*had, late, cues, recorded=table.recorded, answer=answer)
    whole = whole_rows(table, train)
    trained = every.take(whole if len(whole) else train)
    plans = [parse_plan(spec) for spec in specs]
    plans = [plan.fit(trained, np.array([table.model.index(m) for m in plan.members])) for plan in plans]
    arms = paths_of(plans, table.model, every).beside(every, np.inf)
    return replace(
        table,
        model=(*table.model, *specs),
        quality=arms.quality,
        cost_usd=arms.cost_usd,
        latency_s=arms.latency_s,
        response=None,
        output_tokens=None,
        recorded=arms.recorded,
    )


def without_plans(table: RoutingTable, n_model: int) -> RoutingTable:
    """Return the table of :func:`with_plans` without the columns of plans."""
    first: dict[str, Any] = {"model": table.model[:n_model]}
    for name in ("quality", "cost_usd", "latency_s", "output_tokens", "recorded"):
        values = getattr(table, name)
        first[name] = None if values is None else values[:, :n_model]
    return replace(table, **first)


def _refuse(named: Sequence[Plan] | None, wanted: str, why: str) -> str:
    """Return why there are no plans, or raise where plans were asked for by name."""
    if named is not None:
        raise UserError(f"--plans {wanted}: {why}; type --plans none")
    return why


def read_plans(path: Path, models: Sequence[str]) -> list[Plan]:
    """Read a file of plans, one a line: ``gate(a, b > c)``; ``#`` begins a comment.

    Raises
    ------
    UserError
        No such file, no plan in it, a line that is none, or a model that the table does not have.
    """
    found: list[Plan] = []
    for number, line in enumerate(files.existing_file(path).read_text(encoding="utf-8").splitlines(), 1):
        text = line.split("#", 1)[0].strip()
        if not text:
            continue
        try:
            plan = parse_plan(text)
        except UserError as error:
            raise UserError(f"--plans {path}, line {number}: {error}") from None
        unknown = [name for name in plan.members if name not in models]
        if unknown:
            raise UserError(f"--plans {path}, line {number}: unknown model {unknown[0]!r}; known: {', '.join(models)}")
        if plan.spec not in {one.spec for one in found}:
            found.append(plan)
    if not found:
        raise UserError(f"--plans {path} names no plan; expected lines such as gate(cheap, other > dear)")
    return found
