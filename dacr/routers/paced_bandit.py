"""A budget-paced contextual bandit: discounted LinUCB under the arena's primal-dual pacer."""

from dacr.core.registry import routers
from dacr.routers.linucb import LinUcbRouter


@routers.register("paced_bandit")
class PacedBanditRouter(LinUcbRouter):
    """argmax_m theta_m' x + alpha sqrt(x' A_m^-1 x / g_m) - (lambda_cost + mu / B) c^_m - lambda_late v^_m.

    LinUCB whose evidence fades by ``discount`` with each decision, so that it follows a model that changes;
    an arm that has been idle for Delta decisions has g_m = discount^Delta (at least 1/50) and so looks ever
    more worth a try. Under a budget B the price mu rises with every dollar above the pace and falls with
    every dollar below it: the arena's pacer (:class:`dacr.replay.budgets.pacer.Pacer`), which paces all routers alike.

    Built after the ideas of ParetoBandit (arXiv 2604.00136): forgetting, warm start from offline data, online
    pacing. It is not a copy of its code: the cost is in dollars instead of a normalised log, and ratings
    may be late or missing. Discounted LinUCB: Russac, Vernade and Cappe 2019, arXiv 1909.09146.

    Parameters
    ----------
    discount : float in (0, 1]
        Weight of evidence that is one decision older; .997 remembers the last 333 decisions.
    """

    def __init__(
        self,
        *,
        lambda_cost: float = 0.0,
        lambda_late: float = 0.0,
        alpha: float = 0.03,
        discount: float = 0.997,
        ridge: float = 1.0,
        n_dim: int = 12,
        n_prior: float = 200.0,
    ) -> None:
        super().__init__(
            lambda_cost=lambda_cost, lambda_late=lambda_late, alpha=alpha, ridge=ridge, n_dim=n_dim, n_prior=n_prior
        )
        self.discount = discount
