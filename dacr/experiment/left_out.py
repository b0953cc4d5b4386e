"""Tables that an experiment can't give, and why: said in the manifest and on the screen, never by a wrong number."""

from __future__ import annotations

from dacr.replay.settings import ExperimentSettings

REGRET, PERFECT = "regret.csv", "perfect_information.csv"

_QUEUES = "calls wait behind replicas, so what another model would have given depends on the calls before"


def left_out(settings: ExperimentSettings) -> dict[str, str]:
    """Return the reason for each table that is left out, by the name of its file.

    Examples
    --------
    >>> left_out(ExperimentSettings())
    {}
    >>> list(left_out(ExperimentSettings(replicas="2", decision_info="both")))
    ['regret.csv', 'perfect_information.csv']
    """
    if not settings.replicas:
        return {}
    names = [REGRET, *([PERFECT] if settings.decision_info == "both" else [])]
    return dict.fromkeys(names, _QUEUES)
