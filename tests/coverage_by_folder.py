"""Print branch coverage of each folder of the package, from the JSON report of coverage: ``make coverage``."""

import json
import sys
from collections import Counter, defaultdict
from pathlib import Path

LEAST = 85.0


def by_folder(report: dict) -> dict[str, tuple[float, float]]:
    """Return (lines and branches together, branches alone) of each folder of dacr/, in per cent."""
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    for name, file in report["files"].items():
        parts = Path(name).parts
        counted["/".join(parts[:2]) if len(parts) > 2 else "dacr"].update(
            {key: value for key, value in file["summary"].items() if isinstance(value, int)}
        )
    out = {}
    for folder, of in sorted(counted.items()):
        every = of["num_statements"] + of["num_branches"]
        both = 100 * (of["covered_lines"] + of["covered_branches"]) / every if every else 100.0
        alone = 100 * of["covered_branches"] / of["num_branches"] if of["num_branches"] else 100.0
        out[folder] = both, alone
    return out


if __name__ == "__main__":
    found = by_folder(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    print(f"{'folder':24} {'lines and branches':>20} {'branches':>10}")
    for folder, (both, alone) in found.items():
        print(f"{folder:24} {both:19.1f}% {alone:9.1f}%{'' if alone >= LEAST else f'  below {LEAST:g} %'}")
    sys.exit(any(alone < LEAST for _, alone in found.values()))
