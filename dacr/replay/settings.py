"""What one experiment is asked to do: the flags of ``scripts/run_experiment.py``."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dacr.core.cli import FloatList, IntList, StrList
from dacr.core.errors import UserError
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
        Test every domain that begins with one of these and train on the rest: "grade-school-math,mbpp"; "=mbpp" is
        that domain alone.
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
        The same for dacr, dacr_full and dacr_eq9.
    dacr_budget_cost
        Mean cost in USD per request that dacr, dacr_full and dacr_eq9 must keep all along their frontiers, which stay
        frontiers and are marked; the frontiers of other routers are free. Off by default.
    dacr_budget_viol
        Share of late answers that the same three must keep, likewise; off by default.
    budget_cost
        Mean costs in USD per request that every router must keep, one run of the frontier's lambda-0 point each.
    budget_late
        Shares of late answers that every router must keep, likewise; with several budget_cost each is combined.
    budget_grid
        That many budgets, from 1.25 times the cheapest single model's mean cost to the dearest's, join budget_cost.
    horizon
        How many requests a budget's pacer expects: known (as many as come), unknown, or a number, which may be wrong.
    dacr_floor
        Share of dacr's choices made uniformly, so that every model's propensity is positive.
    dacr_mu_lr
        Step size of the budgets' dual variables.
    dacr_cal_lr
        Step size of the additive bias of dacr_eq9.
    dacr_delay
        Feedback on the quality of decision t is due just before decision t + 1 + delay.
    dacr_p_miss
        Probability that a rating never comes.
    miss_depends_on
        none (ratings go missing at random), quality (bad answers are rated less) or quality_reversed (good ones).
    delay_s
        Ratings come this many stream seconds after the answer; where dacr_delay is given too, the later counts.
    seeds
        Runs where the order of the stream plays no part (routers that do not learn); results are means over them.
    protocol
        Transformations of the stream, "drift,degrade:model=NAME,factor=0.6"; docs/methods/protocols.md lists them.
    orders
        Independent stream orders wherever the order matters: of learners, and of every router under an enforced
        budget, behind queues or under a protocol. The first is the recorded one, the others are shuffled.
    routers
        Registered routers to run; all of them by default.
    predictor
        Registered quality predictor of the routers that do not bring their own.
    calibrator
        Registered calibrator of the routers that do not bring their own.
    calibrators
        Calibrators that the calibration table compares, or all; a handful by default.
    decision_info
        predicted (routers decide on estimates), oracle (the clairvoyant setting of earlier work, marked as such) or
        both: predicted, and a table of what each router would gain by knowing true costs and lateness.
    domain_info
        What label of a request routers see: known (its domain), family, inferred (from its features), llm (from
        domain_labels) or none.
    domain_labels
        Labels from scripts/label_domain_openai.py, for --domain_info llm.
    replicas
        Replicas of each model behind which calls queue, "2" or "name=2,other=4" with every model; off by default,
        and then the stream's lat_mult serves. Latencies then have to be those without load.
    save_router
        Write the fitted router (the only one of --routers, else dacr) to this file, for scripts/route_live.py, at the
        one price of money that --lambdas names.
    missing_latency
        What to do with a latency log that lacks models of a query: error, drop (the query) or impute (by the model).
    config_latency
        Latency model for what the log does not have.
    token_method
        How output tokens are counted: chars, words, or the larger of both (max).
    chars_per_token
        Characters per token.
    default_tokens
        Tokens of every answer where the table has neither responses nor a column output_tokens.
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
    budget_cost: FloatList = FloatList()  # noqa: RUF009
    budget_late: FloatList = FloatList()  # noqa: RUF009
    budget_grid: int = 0
    horizon: str = "known"
    dacr_floor: float = 0.0
    dacr_mu_lr: float = 0.05
    dacr_cal_lr: float = 0.05
    dacr_delay: int = 10
    dacr_p_miss: float = 0.3
    miss_depends_on: str = "none"
    delay_s: float | None = None
    seeds: IntList = IntList((1, 2, 3))  # noqa: RUF009
    protocol: str = ""
    orders: int = 10
    routers: StrList = StrList()  # noqa: RUF009
    predictor: str = "logistic"
    calibrator: str = "base_slope"
    calibrators: StrList = StrList()  # noqa: RUF009
    decision_info: str = "predicted"
    domain_info: str = "known"
    domain_labels: Path | None = None
    replicas: str = ""
    save_router: Path | None = None
    missing_latency: str = "error"
    config_latency: Path = Path(__file__).resolve().parents[2] / "configs" / "latency.yaml"
    token_method: str = "max"
    chars_per_token: float = 4.0
    default_tokens: float = 256.0
    noise_cv: float = 0.10
    rate_qps: float = 3.0
    features: Path | None = None
    plugin: Path | None = None
    no_cache: bool = False
    n_jobs: int = 2
    list: bool = False

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            _require(not isinstance(value, float) or math.isfinite(value), name, value, "a finite number")
        _require(self.tau_seconds > 0, "tau_seconds", self.tau_seconds, "a number of seconds above 0")
        _require(len(self.lambdas) > 0, "lambdas", "nothing", "at least one number, such as 1,5,10,20")
        _require(min(self.lambdas) >= 0, "lambdas", min(self.lambdas), "prices of at least 0")
        _require(len(set(self.lambdas)) == len(self.lambdas), "lambdas", "a price twice", "each price once")
        _require(self.lambda_lat >= 0, "lambda_lat", self.lambda_lat, "at least 0")
        _require(self.dacr_lambda_lat >= 0, "dacr_lambda_lat", self.dacr_lambda_lat, "at least 0")
        _require(self.dacr_mu_lr >= 0, "dacr_mu_lr", self.dacr_mu_lr, "a step of at least 0")
        _require(self.dacr_cal_lr >= 0, "dacr_cal_lr", self.dacr_cal_lr, "a step of at least 0")
        _require(self.n_jobs >= 1, "n_jobs", self.n_jobs, "at least 1")
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
        _require(self.orders >= 1, "orders", self.orders, "at least 1")
        _require(self.budget_grid >= 0, "budget_grid", self.budget_grid, "at least 0 budgets")
        _require(min(self.budget_cost, default=1) > 0, "budget_cost", list(self.budget_cost), "budgets above 0 USD")
        _require(
            all(0 < share <= 1 for share in self.budget_late),
            "budget_late",
            list(self.budget_late),
            "shares above 0, at most 1",
        )
        _require(0 <= self.dacr_floor < 1, "dacr_floor", self.dacr_floor, "a share from 0 to below 1")
        _require(self.delay_s is None or self.delay_s >= 0, "delay_s", self.delay_s, "at least 0 seconds")
        _require(
            self.horizon in ("known", "unknown") or (self.horizon.isdecimal() and int(self.horizon) > 0),
            "horizon",
            repr(self.horizon),
            "known, unknown or a number of requests, such as 1000",
        )
        _choice("miss_depends_on", self.miss_depends_on, ("none", "quality", "quality_reversed"))
        _require(self.rate_qps > 0, "rate_qps", self.rate_qps, "above 0")
        _choice("decision_info", self.decision_info, ("predicted", "oracle", "both"))
        _choice("domain_info", self.domain_info, ("known", "family", "inferred", "llm", "none"))
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
            floor=self.dacr_floor,
        )

    def expected_requests(self, n: int) -> int | None:
        """Return how many requests a budget's pacer expects where ``n`` will come; None where it does not know."""
        return n if self.horizon == "known" else None if self.horizon == "unknown" else int(self.horizon)

    def as_dict(self) -> dict[str, Any]:
        """Every setting by name, for the manifest."""
        return asdict(self)


def _require(good: bool, name: str, got: object, expected: str) -> None:
    if not good:
        raise UserError(f"--{name}: got {got}, expected {expected}")


def _choice(name: str, got: str, known: tuple[str, ...]) -> None:
    _require(got in known, name, repr(got), " or ".join(known))
