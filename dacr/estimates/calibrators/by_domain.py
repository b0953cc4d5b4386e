"""Platt scaling with an offset per domain, shrunken towards its family and that towards 0."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from dacr.core.registry import calibrators
from dacr.data.schema import family_of
from dacr.estimates.calibrators.base import Calibrator, Features, Names, codes_of, logits
from dacr.estimates.calibrators.newton import slope_and_offsets
from dacr.estimates.calibrators.platt import Platt
from dacr.types import Floats


@calibrators.register("by_domain")
class ByDomain(Calibrator):
    """z = a logit p + b + f_family + o_domain; an unknown domain falls back to its family, then to neither.

    a and b are Platt's, fitted on all rows. Given them the family offsets f ~ N(0, family_sd^2) and, given
    those, the domain offsets o ~ N(0, domain_sd^2) are posterior modes: that is the shrinkage, and its
    strength has a name. A domain of one query moves hardly at all, one of a thousand hardly shrinks.

    Parameters
    ----------
    family_sd, domain_sd : float
        Prior sd of the offsets, on the logit scale. Towards 0: complete shrinkage; large: none.
    """

    def __init__(self, *, family_sd: float = 1.0, domain_sd: float = 0.5) -> None:
        self.family_sd = family_sd
        self.domain_sd = domain_sd

    def _fit(self, p: Floats, y: Floats, domain: Names, x: Features | None) -> None:
        platt = Platt().fit(p, y, domain)
        assert isinstance(platt, Platt)
        self.a_, self.b_ = platt.a_, platt.b_
        names, code = codes_of(domain)
        families, family_code = np.unique([family_of(name) for name in names], return_inverse=True)
        family = family_code[code]
        z = self.a_ * logits(p) + self.b_
        # No slope here: it is Platt's already.
        none = np.zeros(len(z))
        f = slope_and_offsets(none, y, family, len(families), z, 1.0, self.family_sd)
        o = slope_and_offsets(none, y, code, len(names), z + f.offset[family], 1.0, self.domain_sd)
        self.family_ = {name: float(v) for name, v in zip(families, f.offset, strict=True) if name}
        self.domain_ = {name: float(v) for name, v in zip(names, o.offset, strict=True) if name}

    def _transform(self, p: Floats, domain: Names, x: Features | None) -> Floats:
        names, code = codes_of(domain)
        offset = np.array([self.family_.get(family_of(n), 0.0) + self.domain_.get(n, 0.0) for n in names])
        return expit(self.a_ * logits(p) + self.b_ + offset[code])
