"""What one experiment is asked to do: every flag of ``scripts/run_experiment.py``."""

import math
from dataclasses import dataclass
from pathlib import Path

from dacr.core.cli import FloatList, StrList
from dacr.core.values import Above0, AtLeast0, ShareAbove0, ShareBelow1, require
from dacr.replay.settings import WorldSettings
from dacr.routers.base import Sweep


@dataclass(frozen=True)
class ExperimentSettings(WorldSettings):
    """Every flag of an experiment: those of its world, and these.

    Parameters
    ----------
    results_dir
        Folder for the results; earlier ones in it are replaced, all or nothing.
    lambdas
        Prices of a dollar in quality per USD; one point of every frontier each.
    lambda_lat
        Price of a late answer in quality, for routers other than dacr.
    dacr_lambda_lat
        The same for dacr, dacr_full and dacr_eq9.
    dacr_budget_cost
        Mean cost in USD per request that dacr, dacr_full and dacr_eq9 must keep all along their frontiers, which stay
        frontiers and are marked; the frontiers of other routers are free. Off by default.
    dacr_budget_viol
        Share of late answers that the same three must keep, likewise; off by default.
    dacr_floor
        Share of dacr's choices made uniformly, so that every model's propensity is positive.
    dacr_cal_lr
        Step size of the additive bias of dacr_eq9.
    routers
        Registered routers to run; all of them by default.
    calibrators
        Calibrators that the calibration table compares, or all; a handful by default.
    save_router
        Write the fitted router (the only one of --routers, else dacr) to this file, for scripts/route_live.py, at the
        one price of money that --lambdas names.
    draw
        Draw all figures and write tables and report.html, as scripts/make_figures.py does.
    draw_routers
        Routers that figures and tables show, "dacr,static,linucb"; all by default.
    track
        Log parameters, metrics, files and the manifest to a tracker too: mlflow:URI, such as
        mlflow:http://127.0.0.1:5000. A server that fails is a warning.
    plugin
        Python file with registered parts of one's own.
    no_cache
        Compute everything afresh.
    """

    results_dir: Path = Path("results_dacr")
    lambdas: FloatList = FloatList((0.0, 5.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0))  # noqa: RUF009
    lambda_lat: AtLeast0 = 1.0
    dacr_lambda_lat: AtLeast0 = 1.0
    dacr_budget_cost: Above0 | None = None
    dacr_budget_viol: ShareAbove0 | None = None
    dacr_floor: ShareBelow1 = 0.0
    dacr_cal_lr: AtLeast0 = 0.05
    routers: StrList = StrList()  # noqa: RUF009
    calibrators: StrList = StrList()  # noqa: RUF009
    save_router: Path | None = None
    draw: bool = True
    draw_routers: StrList = StrList()  # noqa: RUF009
    track: str = ""
    plugin: Path | None = None
    no_cache: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require(len(self.lambdas) > 0, "lambdas", "nothing", "at least one number, such as 1,5,10,20")
        require(min(self.lambdas) >= 0, "lambdas", min(self.lambdas), "prices of at least 0")
        require(len(set(self.lambdas)) == len(self.lambdas), "lambdas", "a price twice", "each price once")
        exact = "nothing with --save_router: a router that is served compares answers exactly"
        require(self.loose_answers is None or self.save_router is None, "loose_answers", self.loose_answers, exact)

    @property
    def sweep(self) -> Sweep:
        """The grid that every router is asked for."""
        own = {
            "lambda_late": self.dacr_lambda_lat,
            "budget_cost": math.inf if self.dacr_budget_cost is None else self.dacr_budget_cost,
            "budget_late": math.inf if self.dacr_budget_viol is None else self.dacr_budget_viol,
        }
        floor, steps = {"floor": self.dacr_floor}, {"mu_lr": self.dacr_mu_lr, "cal_lr": self.dacr_cal_lr}
        return Sweep(
            lambdas=tuple(self.lambdas),
            lambda_late=self.lambda_lat,
            arguments={"dacr": own | floor, "dacr_full": own | floor, "dacr_eq9": own | steps},
        )
