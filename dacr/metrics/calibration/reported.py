"""All that is reported of the calibration of some predictions, as arrays by name: what a cache keeps of them."""

from collections.abc import Mapping, Sequence

import numpy as np

from dacr.metrics.calibration.bins import Groups
from dacr.metrics.calibration.grouped import grouped_calibration
from dacr.metrics.calibration.reliability import pooled_bins
from dacr.metrics.calibration.smooth import smooth_ece_by_group
from dacr.types import Floats

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


def of_learner(pairs: Sequence[tuple[Floats, Floats]], binned: Sequence[bool], groups: Groups) -> dict[str, np.ndarray]:
    """Report beliefs of a learner's runs, (n_run, n, n_model) each, and what came of them, several times over.

    Returns
    -------
    dict of arrays
        Under ``0 measures`` and so on those of :func:`grouped_calibration`; under ``0 bins`` and so on, where they are
        wanted, those of all models, for all queries and by family.
    """
    out: dict[str, np.ndarray] = {}
    for k, (p, q) in enumerate(pairs):
        out |= _under(f"{k} {MEASURES}", grouped_calibration(p, q, groups, learner=True))
        if binned[k]:
            out |= _under(f"{k} {BINS}", pooled_bins(p, q, groups, _whole_and_families(groups)))
    return out


def part_of(reported: Mapping[str, np.ndarray], part: str) -> dict[str, np.ndarray]:
    """Return the arrays of one part by their own names."""
    return {name.removeprefix(f"{part}/"): values for name, values in reported.items() if name.startswith(f"{part}/")}


def _under(part: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {f"{part}/{name}": values for name, values in arrays.items()}


def _whole_and_families(groups: Groups) -> list[int]:
    return [0, *groups.families]
