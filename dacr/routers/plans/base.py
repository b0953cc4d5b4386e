"""The contract of a plan: whom to ask at once next, when to stop, and which answer is shipped."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dacr.core.errors import UserError
from dacr.core.registry import plans
from dacr.estimates.answers.loose import alike
from dacr.estimates.answers.read import UNREAD
from dacr.types import Bools, Ints, Outcomes

STOP = -1
"""What :meth:`Plan.step` ships of a request of which it has not yet heard enough."""

_SPEC = re.compile(r"\s*(?P<name>\w+)\(\s*(?P<probes>[^>]+?)\s*>\s*(?P<fallback>[^>]+?)\s*\)\s*")


@dataclass(frozen=True)
class Replies:
    """What ``n`` requests have heard so far from the models of one plan, in the order in which the plan names them.

    Attributes
    ----------
    asked : (n, n_member) bool
    answer : (n, n_member) int
        Codes of :func:`dacr.estimates.answers.read.read_answers`; ``UNREAD`` where not asked, not readable, or failed.
    cues : (n, n_member, n_cue) float32 or None
        Read off the response text.
    """

    asked: Bools
    answer: Ints
    cues: NDArray[np.float32] | None = None

    def same(self, one: int, other: int) -> Bools:
        """Say where two members gave the same answer: (n,)."""
        return same_answer(self.answer[:, one], self.answer[:, other])


def same_answer(one: Ints, other: Ints) -> Bools:
    """Say where two codes are those of one answer: what could not be read is the same as nothing."""
    same = (one == other) & (one != UNREAD)
    return same | alike(one, other) if (one < UNREAD).any() else same


class Plan:
    """A way to answer that asks several models. A new one is one registered class with one ``step`` method.

    Parameters
    ----------
    probes : sequence of str
        Models asked first.
    fallback : str
        Model asked where the probes' answers do not settle it.

    Attributes
    ----------
    better : (n_member,) int
        Members by falling quality in training: of two equal answers that of the first is shipped.
    """

    name: ClassVar[str] = ""
    n_probe: ClassVar[int] = 2
    """How many probes the plan has."""
    is_chosen: ClassVar[bool] = True
    """It may be chosen on training domains; else it has to be named in a file of plans."""
    learns: ClassVar[bool] = False
    """What ``fit`` learns decides whom it asks: on training rows it is followed out of fold."""

    def __init__(self, probes: Sequence[str], fallback: str) -> None:
        self.members = (*probes, fallback)
        self.better: Ints = np.arange(len(self.members))[::-1]
        if len(probes) != self.n_probe or len(set(self.members)) != len(self.members):
            raise UserError(
                f"plan {self.spec!r}: {self.name} takes {self.n_probe} probes and a fallback, all of them different"
            )

    @property
    def spec(self) -> str:
        """The plan in words, which is the name of its arm: ``gate(a, b > c)``."""
        return f"{self.name}({', '.join(self.members[:-1])} > {self.members[-1]})"

    @classmethod
    def worthwhile(cls, cost_usd: Sequence[float], quality: Sequence[float]) -> bool:
        """Say whether members of such mean costs and qualities are worth weighing: each probe cheaper and worse."""
        return max(cost_usd[:-1]) < cost_usd[-1] and min(quality[:-1]) < quality[-1]

    def fit(self, outcomes: Outcomes, members: Ints) -> Plan:
        """Learn from outcomes of training. The default orders the members by quality.

        Parameters
        ----------
        members : (n_member,) int
            The plan's models as columns.
        """
        self.better = np.argsort(-outcomes.quality[:, members].mean(axis=0), kind="stable")
        return self

    def step(self, replies: Replies) -> tuple[Bools, Ints]:
        """Say for each request whom to ask at once next, and whose answer is shipped.

        Returns
        -------
        ask : (n, n_member) bool
            None of a row's once it is settled; nobody is asked twice.
        ship : (n,) int
            The member whose answer is shipped, one that was asked; ``STOP`` while the plan asks on.
        """
        raise NotImplementedError(f"{type(self).__name__} must define step(replies)")

    def first_of(self, *members: int) -> int:
        """Return the best of some members."""
        return next(int(one) for one in self.better if one in members)


class Alone(Plan):
    """One model: the plan that asks nobody else."""

    n_probe = 0

    def __init__(self, model: str) -> None:
        super().__init__((), model)

    @property
    def spec(self) -> str:
        """The model's name."""
        return self.members[0]

    def step(self, replies: Replies) -> tuple[Bools, Ints]:
        """Ask the model, and ship what it answers."""
        return ~replies.asked, np.where(replies.asked[:, 0], 0, STOP)


def is_plan(name: str) -> bool:
    """Say whether a name has the form of a plan: ``gate(a, b > c)``."""
    return _SPEC.fullmatch(name) is not None


def parse_plan(spec: str) -> Plan:
    """Read a plan: ``gate(a, b > c)``.

    Raises
    ------
    UserError
        Not of that form, an unknown plan, or models that it can't take.
    """
    match = _SPEC.fullmatch(spec)
    if match is None:
        raise UserError(f"{spec.strip()!r} is no plan; expected such as gate(cheap, other > dear): it needs an end")
    make: Any = plans.get(match["name"])
    return make([one.strip() for one in match["probes"].split(",")], match["fallback"])
