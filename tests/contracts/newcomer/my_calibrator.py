"""Moves every prediction half of the way to the training mean."""

from dacr.core.registry import calibrators
from dacr.estimates.calibrators.base import Calibrator, smoothed_rate


@calibrators.register("newcomer_calibrator")
class HalfWay(Calibrator):
    """(p + mean quality of training) / 2."""

    fitted_on = "oof"
    monotone = True

    def _fit(self, p, y, domain, x):
        self.rate_ = smoothed_rate(y)

    def _transform(self, p, domain, x):
        return (p + self.rate_) / 2
