"""``make check-part NAME=mine``, or ``python -m dacr.contracts --name mine``: the contract of one part by its name."""

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from dacr import contracts
from dacr.core import cli, registry
from dacr.core.errors import UserError

CONTRACTS: Mapping[str, Callable[[Any], None]] = {
    "routers": contracts.check_router,
    "predictors": contracts.check_predictor,
    "calibrators": contracts.check_calibrator,
    "loaders": contracts.check_loader,
    "figures": contracts.check_figure,
    "metrics": contracts.check_metric,
    "checks": contracts.check_check,
}


def check_part(*, name: str, plugin: str = "") -> None:
    """Hold the parts of this name to the contract of their kind.

    Parameters
    ----------
    name : str
        Registered name; parts of several kinds may share one.
    plugin : str
        Python file that registers it, if it is not in the package.

    Raises
    ------
    UserError
        No part is called so, or it breaks its contract: the rule, and how.
    """
    if plugin:
        registry.load_plugin(plugin)
    kinds = [kind for kind in CONTRACTS if name in registry.ALL[kind].names()]
    if not kinds:
        known = sorted({part for kind in CONTRACTS for part in registry.ALL[kind].names()})
        raise UserError(f"no part is called {name!r}; give one of {', '.join(known)}")
    for kind in kinds:
        started = time.perf_counter()
        try:
            CONTRACTS[kind](registry.ALL[kind].get(name))
        except contracts.Broken as error:
            raise UserError(f"{registry.ALL[kind].kind} {' '.join(str(error).split())}") from error
        print(f"{registry.ALL[kind].kind} {name} keeps its contract ({time.perf_counter() - started:.1f} s)")


if __name__ == "__main__":
    sys.exit(cli.run(check_part, config_flag=None))
