"""What one experiment is asked to do: the flags of ``scripts/run_experiment.py``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dacr.cli import FloatList, IntList, StrList
from dacr.errors import UserError
from dacr.routers.base import Sweep


@dataclass(frozen=True)
class ExperimentSettings:
    """Every flag of an experiment.

    Parameters
    ----------
    data
        Long table from scripts/prepare_routerbench.py, or any table with its columns.
    stream
        Test queries and their arrivals, from scripts/build_stream.py; without it they come from the latency log,
        and without that the whole test split is replayed.
    latency_log
        Measured or simulated latency, one line per (qid, model); without it latency is simulated.
    results_dir
        Folder for the results; earlier ones in it are replaced, all or nothing.
    ood_holdout
        Test every domain that begins with one of these and train on the rest: "grade-school-math,mbpp".
    test_size
        Share of each domain that is tested where no domain is held out.
    split_seed
        Names the split in distribution.
    tau_seconds
        A call that takes longer is late.
    lambdas
        Prices of a dollar in quality per USD; one point of every frontier each.
    lambda_lat
        Price of a late answer in quality, for routers other than dacr.
    dacr_lambda_lat
        The same for dacr and dacr_eq9.
    dacr_budget_cost
        Mean cost in USD per request that dacr and dacr_eq9 must keep; off by default.
    dacr_budget_viol
        Share of late answers that they must keep; off by default.
    dacr_mu_lr
        Step size of the budgets' dual variables.
    dacr_cal_lr
        Step size of the additive bias of dacr_eq9.
    dacr_delay
        Feedback on the quality of decision t is due just before decision t + 1 + delay.
    dacr_p_miss
        Probability that a rating never comes.
    seeds
        Runs with these seeds; results are means over them.
    routers
        Registered routers to run; all of them by default.
    predictor
        Registered quality predictor of the routers that do not bring their own.
    calibrator
        Registered calibrator of the routers that do not bring their own.
    decision_info
        predicted (routers decide on estimates) or oracle (the clairvoyant setting of earlier work, marked as such).
    domain_info
        known (routers see the domain label of a request) or none.
    missing_latency
        What to do with a latency log that lacks models of a query: error, drop (the query) or impute (by the model).
    config_latency
        Latency model for what the log does not have.
    token_method
        How output tokens are counted: chars, words, or the larger of both (max).
    chars_per_token
        Characters per token.
    noise_cv
        Coefficient of variation of simulated latency.
    rate_qps
        Arrivals per second where neither a stream nor a log gives arrival times.
    features
        A .npy file (n_query, n_feature) with features of one's own, in the table's query order.
    plugin
        Python file with registered parts of one's own.
    no_cache
        Compute everything afresh.
    n_jobs
        Worker processes for text features.
    list
        Print every registered part and stop.
    """

    data: Path = Path("data/routerbench_raw_long.parquet")
    stream: Path | None = None
    latency_log: Path | None = None
    results_dir: Path = Path("results_dacr")
    ood_holdout: StrList = StrList()  # noqa: RUF009 (a tuple: immutable)
    test_size: float = 0.2
    split_seed: int = 0
    tau_seconds: float = 10.0
    lambdas: FloatList = FloatList((0.0, 5.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0))  # noqa: RUF009
    lambda_lat: float = 1.0
    dacr_lambda_lat: float = 1.0
    dacr_budget_cost: float | None = None
    dacr_budget_viol: float | None = None
    dacr_mu_lr: float = 0.05
    dacr_cal_lr: float = 0.05
    dacr_delay: int = 10
    dacr_p_miss: float = 0.3
    seeds: IntList = IntList((1, 2, 3))  # noqa: RUF009
    routers: StrList = StrList()  # noqa: RUF009
    predictor: str = "logistic"
    calibrator: str = "base_slope"
    decision_info: str = "predicted"
    domain_info: str = "known"
    missing_latency: str = "error"
    config_latency: Path = Path(__file__).resolve().parent.parent / "configs" / "latency.yaml"
    token_method: str = "max"
    chars_per_token: float = 4.0
    noise_cv: float = 0.10
    rate_qps: float = 3.0
    features: Path | None = None
    plugin: Path | None = None
    no_cache: bool = False
    n_jobs: int = 2
    list: bool = False

    def __post_init__(self) -> None:
        _require(self.tau_seconds > 0, "tau_seconds", self.tau_seconds, "a number of seconds above 0")
        _require(len(self.lambdas) > 0, "lambdas", "nothing", "at least one number, such as 1,5,10,20")
        _require(min(self.lambdas) >= 0, "lambdas", min(self.lambdas), "prices of at least 0")
        _require(len(set(self.lambdas)) == len(self.lambdas), "lambdas", "a price twice", "each price once")
        _require(self.lambda_lat >= 0, "lambda_lat", self.lambda_lat, "at least 0")
        _require(self.dacr_lambda_lat >= 0, "dacr_lambda_lat", self.dacr_lambda_lat, "at least 0")
        _require(self.dacr_delay >= 0, "dacr_delay", self.dacr_delay, "at least 0 decisions")
        _require(0 <= self.dacr_p_miss <= 1, "dacr_p_miss", self.dacr_p_miss, "a probability from 0 to 1")
        _require(
            self.dacr_budget_cost is None or self.dacr_budget_cost > 0,
            "dacr_budget_cost",
            self.dacr_budget_cost,
            "above 0 USD",
        )
        _require(
            self.dacr_budget_viol is None or 0 < self.dacr_budget_viol <= 1,
            "dacr_budget_viol",
            self.dacr_budget_viol,
            "a share above 0, at most 1",
        )
        _require(len(self.seeds) > 0, "seeds", "nothing", "at least one, such as 1,2,3")
        _require(len(set(self.seeds)) == len(self.seeds), "seeds", "a seed twice", "each seed once")
        _require(self.rate_qps > 0, "rate_qps", self.rate_qps, "above 0")
        _choice("decision_info", self.decision_info, ("predicted", "oracle"))
        _choice("domain_info", self.domain_info, ("known", "none"))
        _choice("missing_latency", self.missing_latency, ("error", "drop", "impute"))

    @property
    def sweep(self) -> Sweep:
        """The grid that every router is asked for."""
        return Sweep(
            lambdas=tuple(self.lambdas),
            lambda_late=self.lambda_lat,
            dacr_lambda_late=self.dacr_lambda_lat,
            budget_cost=self.dacr_budget_cost,
            budget_late=self.dacr_budget_viol,
            mu_lr=self.dacr_mu_lr,
            cal_lr=self.dacr_cal_lr,
        )

    def as_dict(self) -> dict[str, Any]:
        """Every setting by name, for the manifest."""
        return asdict(self)


def _require(good: bool, name: str, got: object, expected: str) -> None:
    if not good:
        raise UserError(f"--{name}: got {got}, expected {expected}")


def _choice(name: str, got: str, known: tuple[str, ...]) -> None:
    _require(got in known, name, repr(got), " or ".join(known))
