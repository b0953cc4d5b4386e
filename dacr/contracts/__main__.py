"""``python -m dacr.contracts --name mine``: see :mod:`dacr.contracts.part`."""

import sys

from dacr.contracts.part import check_part
from dacr.core import cli

if __name__ == "__main__":
    sys.exit(cli.run(check_part, config_flag=None))
