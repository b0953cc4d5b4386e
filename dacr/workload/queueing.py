"""Latency under load: each model is a FIFO queue in front of its replicas."""

from collections.abc import Sequence

import numpy as np

from dacr.core.errors import UserError
from dacr.types import Floats, Ints


class FifoQueues:
    r"""Queues of several models, in several parallel runs at once.

    A call joins the queue of its model when it arrives, and takes the replica that is free first:

    .. math:: wait = \max(0, \min_k free_k - arrival), \qquad free_{k^*} = arrival + wait + service.

    Calls are served in the order in which they are started, so start them in the order of arrival. The
    time in queue counts towards tau: latency = wait + service. The service time is the base latency; the
    load multiplier would count the load twice.

    Parameters
    ----------
    n_runs : int
        Parallel runs (seeds, settings, orders), each with queues of its own.
    replicas : int or (n_model,) int
        How many calls a model serves at a time, at least 1.

    References
    ----------
    J. Kiefer and J. Wolfowitz, On the theory of queues with many servers, Trans. AMS 78, 1955 (the
    recursion). L. Kleinrock, Queueing Systems I, 1975 (M/M/c, to which the tests compare).

    Examples
    --------
    >>> queues = FifoQueues(1, [1])
    >>> one = np.array([0])
    >>> [float(queues.start(one, one, np.array([t]), np.array([2.0]))[0]) for t in (0.0, 1.0, 5.0)]
    [0.0, 1.0, 0.0]
    """

    def __init__(self, n_runs: int, replicas: Sequence[int] | Ints) -> None:
        count = np.atleast_1d(np.asarray(replicas))
        if count.size == 0 or not np.issubdtype(count.dtype, np.integer) or (count < 1).any():
            raise UserError(f"--replicas must be whole numbers of at least 1, got {list(count)}")
        self.n_runs = n_runs
        self.replicas = count.astype(np.int64)
        # a replica that a model does not have is never free
        absent = np.arange(count.max())[None, :] >= count[:, None]
        self._free_s = np.repeat(np.where(absent, np.inf, -np.inf)[None], n_runs, axis=0)

    def start(self, run: Ints, model: Ints, arrival_s: Floats, service_s: Floats) -> Floats:
        """Put one call of each given run into the queue of its model; return its wait.

        Parameters
        ----------
        run : (n,) int
            Each run at most once: a run's calls come one after another.
        model : (n,) int
        arrival_s, service_s : (n,) float, stream seconds

        Returns
        -------
        (n,) float, seconds until the call is served

        Raises
        ------
        ValueError
            A run that stands twice, a time that is not finite, a negative service time.
        """
        if len(run) > 1 and np.bincount(run).max() > 1:
            raise ValueError("a run stands twice in one call of start(); start its calls one after another")
        if not (np.isfinite(arrival_s).all() and np.isfinite(service_s).all() and (service_s >= 0).all()):
            raise ValueError("arrival_s and service_s must be finite, and service_s at least 0")
        first = self._free_s[run, model].argmin(axis=1)
        waits: Floats = np.maximum(self._free_s[run, model, first] - arrival_s, 0.0)
        self._free_s[run, model, first] = arrival_s + waits + service_s
        return waits


def replicas_for(text: str, models: Sequence[str]) -> Ints:
    """Read ``--replicas``: one number for all models, or ``"name=2,other=4"`` with every model named.

    Examples
    --------
    >>> replicas_for("2", ["a", "b"]).tolist(), replicas_for("b=4,a=1", ["a", "b"]).tolist()
    ([2, 2], [1, 4])
    """
    items = [item.strip() for item in str(text).split(",") if item.strip()]
    given: dict[str, str] = {}
    if len(items) == 1 and "=" not in items[0]:
        given = dict.fromkeys(models, items[0])
    else:
        for item in items:
            name, _, number = item.rpartition("=")
            given[name.strip()] = number.strip()
    unknown = sorted(set(given) - set(models))
    lacking = [name for name in models if name not in given]
    if unknown or lacking:
        raise UserError(
            f"--replicas {text!r}: unknown models {unknown}, models without a number {lacking}; expected one number "
            f"for all, or name=number for each of {', '.join(models)}"
        )
    if not all(number.isdigit() and int(number) >= 1 for number in given.values()):
        raise UserError(f"--replicas {text!r}: expected whole numbers of at least 1, such as 2")
    return np.array([int(given[name]) for name in models], dtype=np.int64)
