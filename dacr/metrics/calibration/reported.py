"""All that is reported of the calibration of some predictions, as arrays by name: what a cache keeps of them."""

from collections.abc import Mapping, Sequence

import numpy as np

from dacr.metrics.calibration.bins import Groups
from dacr.metrics.calibration.grouped import grouped_calibration
from dacr.metrics.calibration.reliability import pooled_bins
from dacr.metrics.calibration.smooth import smooth_ece_by_group
from dacr.types import Floats, Ints

_CELLS = 2**21
"""Beliefs that are looked at in one go."""

MEASURES, BINS = "measures", "bins"
"""Parts of what is reported, which :func:`part_of` takes out."""


def of_predictions(p: Floats, q: Floats, groups: Groups) -> dict[str, np.ndarray]:
    """Report predictions that nothing taught, (n, n_model), in every group.

    Returns
    -------
    dict of arrays
        Under ``measures`` those of :func:`grouped_calibration` and ``smooth_ece``; under ``bins 0`` and so on those of
        each model for all queries, under ``bins`` those of all models, for all queries and by family.
    """
    found = grouped_calibration(p[None], q, groups, learner=False)
    out = _under(MEASURES, found | {"smooth_ece": smooth_ece_by_group(p, q, groups)})
    for m in range(p.shape[1]):
        out |= _under(f"{BINS} {m}", pooled_bins(p[None, :, [m]], q[:, [m]], groups, [0]))
    return out | _under(BINS, pooled_bins(p[None], q, groups, _whole_and_families(groups)))


def of_calls(calls: Sequence[tuple[Ints, Floats, Floats]], groups: Groups) -> dict[str, np.ndarray]:
    """Report beliefs about the models that a learner called, at several points of its frontier.

    Parameters
    ----------
    calls : sequence of (row, p, q)
        Of each point, in the order of its stream, (n_run, n): row of the table, belief, and what came of it.

    Returns
    -------
    dict of (n_group, n_point) arrays
        Those of :func:`grouped_calibration`.
    """
    n_point, step = len(calls), max(1, _CELLS // calls[0][0].size)
    parts = []
    for first in range(0, n_point, step):
        some = calls[first : first + step]
        p, q = (np.concatenate([by_row(row, (p, q)[k]) for row, p, q in some], axis=2) for k in (0, 1))
        # The last column pools what are points here, not models.
        parts.append({name: x[:, :-1] for name, x in grouped_calibration(p, q, groups, learner=True).items()})
    return {name: np.concatenate([one[name] for one in parts], axis=1) for name in parts[0]}


def of_learner(pairs: Sequence[tuple[Floats, Floats]], groups: Groups) -> dict[str, np.ndarray]:
    """Report beliefs of a learner's runs, (n_run, n, n_model) each, and what came of them, several times over.

    Returns
    -------
    dict of arrays
        Under ``0 measures`` and so on those of :func:`grouped_calibration`; under ``0 bins`` and so on those of all
        models, for all queries and by family.
    """
    out: dict[str, np.ndarray] = {}
    for k, (p, q) in enumerate(pairs):
        out |= _under(f"{k} {MEASURES}", grouped_calibration(p, q, groups, learner=True))
        out |= _under(f"{k} {BINS}", pooled_bins(p, q, groups, _whole_and_families(groups)))
    return out


def by_row(row: Ints, values: Floats) -> Floats:
    """Turn values by position of the stream into values by row of the table: (n_run, n, 1)."""
    out = np.empty_like(values)
    # Predictions of routers that add a bias may leave [0, 1] by rounding.
    np.put_along_axis(out, row, np.clip(values, 0.0, 1.0), axis=1)
    return out[:, :, None]


def part_of(reported: Mapping[str, np.ndarray], part: str) -> dict[str, np.ndarray]:
    """Return the arrays of one part by their own names."""
    return {name.removeprefix(f"{part}/"): values for name, values in reported.items() if name.startswith(f"{part}/")}


def _under(part: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {f"{part}/{name}": values for name, values in arrays.items()}


def _whole_and_families(groups: Groups) -> list[int]:
    return [0, *groups.families]
