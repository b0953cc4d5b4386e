"""model x calibrator x domain, before any feedback: measures, intervals, and who beats whom."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from dacr.experiment.studies.calibration_bench import Holdout
from dacr.metrics.calibration.bootstrap import Draws, bootstrap, ece_interval, percentiles
from dacr.metrics.calibration.groups import ALL, Groups
from dacr.metrics.calibration.measures import COLUMNS, measures
from dacr.metrics.resample import Resamples
from dacr.types import Floats, Ints

POOLED = ALL
AVERAGE = "mean"
REFERENCES = ("identity", "base_rate")


class PairGroups:
    """Groups of pairs (query, model): (all, families, domains) x (models, all models pooled).

    The finest groups, domain x model, come first; the others are unions of them.
    """

    def __init__(self, groups: Groups, models: tuple[str, ...]) -> None:
        n_model, n_domain = len(models), groups.members.shape[1]
        names, code = groups.names[1 : 1 + n_domain], groups.domain
        self.models, self.n_fine = models, n_domain * n_model
        self.fine: Ints = code[:, None] * n_model + np.arange(n_model)
        self.labels = [(str(name), model) for name in names for model in models]
        links: list[tuple[int, int]] = []
        # Domains, then families, then all; one domain is all there is.
        order = [*range(1, len(groups.names)), *([0] if n_domain > 1 else [])]
        unions = [(groups.names[g], np.flatnonzero(groups.members[g]).tolist()) for g in order]
        for name, members in unions:
            for m in range(n_model + 1):
                if m < n_model and len(members) == 1:
                    continue
                own = range(n_model) if m == n_model else (m,)
                links += [(len(self.labels) - self.n_fine, d * n_model + k) for d in members for k in own]
                self.labels.append((name, POOLED if m == n_model else models[m]))
        if n_domain == 1:  # the one domain is all there is
            self.labels = [(POOLED, model) for _, model in self.labels]
        self.links = np.array(links, dtype=np.int64)

    def rows(self) -> tuple[Ints, Ints]:
        """Return (index of the pair, group): every pair stands once for each group that it is in."""
        fine = self.fine.ravel()
        pairs = [np.arange(len(fine))]
        groups = [fine]
        order = np.argsort(fine, kind="stable")
        start = np.searchsorted(fine[order], np.arange(self.n_fine + 1))
        for coarse, k in self.links:
            own = order[start[k] : start[k + 1]]
            pairs.append(own)
            groups.append(np.full(len(own), self.n_fine + coarse))
        return np.concatenate(pairs), np.concatenate(groups)

    def averages(self) -> list[tuple[str, list[int]]]:
        """Return (domain, groups of its single models): over these a mean is taken."""
        domains = dict.fromkeys(domain for domain, _ in self.labels)
        return [(d, [self.labels.index((d, model)) for model in self.models]) for d in domains]


def offline_table(
    holdout: Holdout, p: Mapping[str, Floats], resamples: Resamples
) -> tuple[pd.DataFrame, dict[str, Draws]]:
    """Return the table of measures with 95 % intervals, and the replicates of each calibrator.

    Rows whose model is ``all`` pool the pairs of all models; those of ``mean`` average over models.
    """
    groups = PairGroups(Groups.of(holdout.domain), holdout.models)
    pair, group = groups.rows()
    q = holdout.quality.ravel()
    n_group = len(groups.labels)
    query = np.repeat(np.arange(len(holdout.quality)), len(holdout.models))
    frames, draws = [], {}
    for name, values in p.items():
        flat = values.ravel()
        table = measures(flat[pair], q[pair], group, n_group)
        drawn = bootstrap(flat, q, groups.fine.ravel(), groups.n_fine, query, resamples.counts, groups.links)
        labels, table, drawn = _with_averages(groups, table, drawn)
        frame = pd.DataFrame({"domain": [d for d, _ in labels], "model": [m for _, m in labels], **table})
        frame.insert(0, "stage", "raw" if name == "identity" else "offline")
        frame.insert(0, "calibrator", name)
        add_intervals(frame, drawn)
        frames.append(frame)
        draws[name] = drawn
    return pd.concat(frames, ignore_index=True), draws


def add_intervals(frame: pd.DataFrame, draws: Draws) -> None:
    """Add columns ``*_low`` and ``*_high`` of 95 % intervals."""
    frame["ece_low"], frame["ece_high"] = ece_interval(frame["ece_debiased"].to_numpy(), draws.ece)
    for name in ("brier", "log_loss"):
        frame[f"{name}_low"], frame[f"{name}_high"] = percentiles(getattr(draws, name))


def brier_differences(frame: pd.DataFrame, draws: Mapping[str, Draws]) -> pd.DataFrame:
    """Compare every calibrator's Brier score with the raw prediction's and with the base rate's, paired.

    Returns
    -------
    DataFrame
        domain, model, calibrator, reference, difference (calibrator - reference), low, high, verdict:
        ``better`` or ``worse`` where the 95 % interval leaves out 0, else ``tie``.
    """
    out = []
    block = {name: part.reset_index(drop=True) for name, part in frame.groupby("calibrator", sort=False)}
    for reference in REFERENCES:
        for name in draws:
            if name == reference or reference not in draws:
                continue
            low, high = percentiles(draws[name].brier - draws[reference].brier)
            keys = block[name][["domain", "model"]]
            difference = block[name]["brier"] - block[reference]["brier"]
            verdict = np.where(high < 0, "better", np.where(low > 0, "worse", "tie"))
            out.append(
                keys.assign(
                    calibrator=name, reference=reference, difference=difference, low=low, high=high, verdict=verdict
                )
            )
    return pd.concat(out, ignore_index=True)


def _with_averages(
    groups: PairGroups, table: dict[str, Floats], draws: Draws
) -> tuple[list[tuple[str, str]], dict[str, Floats], Draws]:
    labels = list(groups.labels)
    averages = groups.averages()
    labels += [(domain, AVERAGE) for domain, _ in averages]
    wide = {name: np.append(table[name], [table[name][own].mean() for _, own in averages]) for name in COLUMNS}

    def more(values: Floats) -> Floats:
        return np.concatenate([values, [values[own].mean(axis=0) for _, own in averages]])

    return labels, wide, Draws(more(draws.ece), more(draws.brier), more(draws.log_loss))
