"""What shapes the world that routers play in: data, split, stream, latency, feedback, protocol, budgets, orders."""

import math
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from dacr.core.cli import FloatList, IntList, StrList
from dacr.core.files import CONFIGS
from dacr.core.values import Above0, AtLeast0, AtLeast1, Checked, Share, ShareAbove0, ShareBetween, Whole, require
from dacr.data.tokens import TokenMethod
from dacr.replay.budgets.call_bound import CATALOGUE, TRAINING, is_file
from dacr.replay.protocols.combined import Combined, parse
from dacr.routers.base import Sweep
from dacr.workload.latency_log import MissingLatency


@dataclass(frozen=True)
class WorldSettings(Checked):
    """What shapes a world, and what routers are told of it.

    Parameters
    ----------
    data
        Long table from scripts/prepare_routerbench.py, or any table with its columns.
    stream
        Test queries and their arrivals, from scripts/build_stream.py; without it they come from the latency log,
        and without that the whole test split is replayed.
    latency_log
        Measured or simulated latency, one line per (qid, model); without it latency is simulated.
    ood_holdout
        Test every domain that begins with one of these and train on the rest: "grade-school-math,mbpp"; "=mbpp" is
        that domain alone.
    test_size
        Share of each domain that is tested where no domain is held out.
    split_seed
        Names the split in distribution.
    tau_seconds
        A call that takes longer is late.
    budget_cost
        Mean costs in USD per request that every router must keep, one run of the frontier's lambda-0 point each.
    budget_late
        Shares of late answers that every router must keep, likewise; with several budget_cost each is combined.
    budget_grid
        That many budgets, from 1.25 times the cheapest single model's mean cost to the dearest's, join budget_cost.
    max_call_usd
        The most that a call can cost in USD, such as 0.25: it is reserved when a call is decided, and where it does not
        fit the purse no call is made, so that no run spends more than its budget. catalogue takes prompt length and
        max_output_tokens at the prices of configs/models.yaml, a file such as prices.yaml at its own; training takes
        twice the dearest training call of each model, which is an estimate. Off by default.
    fallback_value
        What a request that nobody answers is worth, in quality, such as 0.5 for a person who answers it. Routers that
        weigh prices and choose one arm then leave a request unanswered, for nothing, where no arm is worth more to
        them. By default they always answer, and what a budget sheds is worth 0.
    horizon
        How many requests a budget's pacer expects: known (as many as come), unknown, or a number, which may be wrong.
    dacr_mu_lr
        Step size of the budgets' dual variables.
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
    predictor
        Registered quality predictor of the routers that do not bring their own.
    calibrator
        Registered calibrator of the routers that do not bring their own.
    decision_info
        predicted (routers decide on estimates), oracle (the clairvoyant setting of earlier work, marked as such) or
        both: predicted, and a table of what each router would gain by knowing true costs and lateness.
    domain_info
        What label of a request routers see: known (its domain), family, inferred (from its features), llm (from
        domain_labels) or none.
    domain_labels
        Labels from scripts/label_domain_openai.py, for --domain_info llm.
    plans
        Ways to answer that ask several models, beside the models themselves: auto (chosen on the training domains, none
        where answers can't be read there), none, or a file with one plan a line, such as "gate(a, b > c)".
    n_plans
        How many plans auto chooses at most.
    loose_answers
        Of plans: programs and texts without a readable answer agree where their TF-IDF vectors have at least this
        cosine, such as 0.8. By default prose agrees with nothing, and programs where they are the same.
    price_draw
        Number of a draw of other prices: each model's costs, in training and test, by a factor of its own from .5 to 2.
        0 leaves costs as they were recorded.
    replicas
        Replicas of each model behind which calls queue, "2" or "name=2,other=4" with every model; off by default,
        and then the stream's lat_mult serves. Latencies then have to be those without load.
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
    n_jobs
        Threads that work at once: on learners, which are played beside each other, and on what is fitted.
    """

    data: Path = Path("data/routerbench_raw_long.parquet")
    stream: Path | None = None
    latency_log: Path | None = None
    ood_holdout: StrList = StrList()  # noqa: RUF009 (a tuple: immutable)
    test_size: ShareBetween = 0.2
    split_seed: int = 0
    tau_seconds: Above0 = 10.0
    budget_cost: FloatList = FloatList()  # noqa: RUF009
    budget_late: FloatList = FloatList()  # noqa: RUF009
    budget_grid: Whole = 0
    max_call_usd: str = ""
    fallback_value: Share | None = None
    horizon: str = "known"
    dacr_mu_lr: AtLeast0 = 0.05
    dacr_delay: Whole = 10
    dacr_p_miss: Share = 0.3
    miss_depends_on: Literal["none", "quality", "quality_reversed"] = "none"
    delay_s: AtLeast0 | None = None
    seeds: IntList = IntList((1, 2, 3))  # noqa: RUF009
    protocol: str = ""
    orders: AtLeast1 = 10
    predictor: str = "logistic"
    calibrator: str = "base_slope"
    decision_info: Literal["predicted", "oracle", "both"] = "predicted"
    domain_info: Literal["known", "family", "inferred", "llm", "none"] = "known"
    domain_labels: Path | None = None
    plans: str = "none"
    n_plans: AtLeast1 = 12
    loose_answers: ShareAbove0 | None = None
    price_draw: Whole = 0
    replicas: str = ""
    missing_latency: MissingLatency = "error"
    config_latency: Path = CONFIGS / "latency.yaml"
    token_method: TokenMethod = "max"
    chars_per_token: Above0 = 4.0
    default_tokens: Above0 = 256.0
    noise_cv: AtLeast0 = 0.10
    rate_qps: Above0 = 3.0
    features: Path | None = None
    n_jobs: AtLeast1 = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        catalogue = self.max_call_usd == CATALOGUE
        require(
            not (self.price_draw and catalogue), "price_draw", self.price_draw, f"0 with --max_call_usd {CATALOGUE}"
        )
        loose = self.loose_answers
        require(loose is None or self.plans != "none", "loose_answers", loose, "nothing without --plans")
        require(len(self.seeds) > 0, "seeds", "nothing", "at least one, such as 1,2,3")
        require(len(set(self.seeds)) == len(self.seeds), "seeds", "a seed twice", "each seed once")
        require(min(self.budget_cost, default=1) > 0, "budget_cost", list(self.budget_cost), "budgets above 0 USD")
        require(
            all(0 < share <= 1 for share in self.budget_late),
            "budget_late",
            list(self.budget_late),
            "shares above 0, at most 1",
        )
        require(
            self.horizon in ("known", "unknown") or (self.horizon.isdecimal() and int(self.horizon) > 0),
            "horizon",
            repr(self.horizon),
            "known, unknown or a number of requests, such as 1000",
        )
        require(
            self.max_call_usd in ("", CATALOGUE, TRAINING)
            or is_file(self.max_call_usd)
            or _is_positive(self.max_call_usd),
            "max_call_usd",
            repr(self.max_call_usd),
            f"a number of USD above 0, such as 0.25, {CATALOGUE}, a file such as prices.yaml, or {TRAINING}",
        )

    @cached_property
    def stream_protocol(self) -> Combined:
        """What ``protocol`` says, parsed: what a stream may do to routers."""
        return parse(self.protocol)

    @property
    def sweep(self) -> Sweep:
        """What every router is asked for: the default grid; an experiment says more."""
        return Sweep()

    def expected_requests(self, n: int) -> int | None:
        """Return how many requests a budget's pacer expects where ``n`` will come; None where it does not know."""
        return n if self.horizon == "known" else None if self.horizon == "unknown" else int(self.horizon)

    def as_dict(self) -> dict[str, Any]:
        """Return every setting by name, for the manifest."""
        return asdict(self)


def _is_positive(text: str) -> bool:
    try:
        return 0 < float(text) < math.inf
    except ValueError:
        return False
