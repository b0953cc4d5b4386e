"""How the conductor goes about an experiment of a grid: what no flag says, since a single experiment has no use for it.

Experiments of sweeps and studies are compared router by router and run by run. So their routers all play the same
stream orders, also where the order plays no part; their replicates are kept, so that folders can be compared
afterwards; and a router may stand in them several times, with other arguments or another calibrator each time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dacr.core import registry
from dacr.core.errors import UserError
from dacr.experiment.groups import FAMILY
from dacr.experiment.settings import ExperimentSettings
from dacr.replay.entry import Entry
from dacr.replay.play import enter
from dacr.replay.setup import Setup
from dacr.replay.world import World
from dacr.routers.base import Router

RECORDED_SEED = 1
"""Where all routers play the same orders, the run of this name takes the stream as recorded; others are shuffled."""


@dataclass(frozen=True)
class Entrant:
    """A router as it enters an experiment.

    Attributes
    ----------
    router : str
        Its registered name.
    arguments : dict
        In place of the defaults of its constructor.
    calibrator : str
        In place of the experiment's, for a router that does not bring its own; empty for the experiment's.
    alone : bool
        It chooses from the models alone, also where there are plans.
    """

    router: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    calibrator: str = ""
    alone: bool = False

    @property
    def part(self) -> type[Router]:
        """The registered class."""
        return registry.routers.get(self.router)

    def enter(self, name: str, setup: Setup) -> Entry:
        """Fit it and set it up at all its points, under a name."""
        if self.calibrator:
            setup = replace(setup, settings=replace(setup.settings, calibrator=self.calibrator))
        if self.alone:
            setup = replace(setup, arms=None)
        return replace(enter(self.router, setup, self.arguments), name=name)


@dataclass(frozen=True)
class Manner:
    """How an experiment is conducted. The defaults are those of ``scripts/run_experiment.py``.

    Attributes
    ----------
    compared : bool
        The experiment is one of several: routers play the same orders, whose names are the seeds, and what their
        comparison with other folders takes is kept (``replicates.parquet``).
    decisions : {"all", "frontiers", "none"}
        Which decisions are kept; "frontiers" leaves out those under enforced budgets.
    entrants : dict
        Name in the results -> entrant; by default ``settings.routers``, each under its own name.
    max_queries : int
        Play at most so many test queries, the first of the stream; 0 plays all.
    without : tuple of str
        Domains, by their prefixes, whose rows are taken out of the table, so that nothing of them is read.
    group_by : str
        What groups of domains are held out by (:mod:`dacr.experiment.groups`).
    n_resample, resample_seed : int
        Bootstrap replicates, and what names them: experiments on different queries take different ones.
    other_seeds : int
        Is added to the seeds under which routers draw. The stream orders stay.
    shuffled : bool
        Shuffle the features within domains: whoever is as good then knows about domains, not about requests.
    permuted : bool
        Plans take the paths of other requests of the domain: whoever is as good then gains nothing from agreement.
    references : bool
        Also measure what is there to be reached, and how well predictors rank (``references.csv``).
    light : bool
        Metrics and budgets alone: no tables of calibration, no checks, no regret.
    """

    compared: bool = False
    decisions: str = "all"
    entrants: Mapping[str, Entrant] = field(default_factory=dict)
    max_queries: int = 0
    without: tuple[str, ...] = ()
    group_by: str = FAMILY
    n_resample: int = 500
    resample_seed: int = 0
    other_seeds: int = 0
    shuffled: bool = False
    permuted: bool = False
    references: bool = False
    light: bool = False

    def entrants_of(self, settings: ExperimentSettings) -> dict[str, Entrant]:
        """Return who plays, each known: by default the routers asked for, or all of them."""
        if self.entrants:
            return dict(self.entrants)
        names = list(settings.routers) or registry.routers.names()
        for name in names:
            registry.routers.get(name)
        if len(set(names)) != len(names):
            raise UserError(f"--routers names one twice: {','.join(names)}")
        return {name: Entrant(name) for name in names}

    def world_of(self, setup: Setup) -> World:
        """Return what routers play in."""
        if not self.compared:
            return setup.world
        runs = setup.runs(tuple(setup.settings.seeds), recorded=(RECORDED_SEED,))
        runs = replace(runs, seed=tuple(self.other_seeds + one for one in runs.seed))
        return replace(setup.world, static=runs, learning=runs)
