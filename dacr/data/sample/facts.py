"""What the embedded benchmark is made of, read from ``benchmark.yaml``: published facts, words, templates.

Models stand in the order of their names everywhere. Sizes, means over all 0-shot rows and the means on mbpp are
published figures. The means per family are rough figures of our own: they fix who is good at what, and
:mod:`dacr.data.sample.truth` moves them until the published overall means come out exactly.
"""

from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from dacr.types import Floats

Texts = NDArray[np.object_]

# The C loader takes 9 ms, the Python one 70.
_TOLD: dict[str, Any] = yaml.load(
    (Path(__file__).parent / "benchmark.yaml").read_text(encoding="utf-8"),
    Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader),
)


def words(text: str) -> Texts:
    """Cut ``"a | b"`` into an array of words."""
    return np.array([item.strip() for item in text.split("|")], dtype=object)


def told(name: str, scale: float = 1.0) -> Floats:
    """Return the numbers of one key of the file, one per model."""
    return np.array(_TOLD[name], dtype=float) * scale


MODELS: tuple[str, ...] = tuple(_TOLD["models"])
WIDE_ORDER: tuple[int, ...] = tuple(_TOLD["wide_order"])
MEAN_QUALITY, MEAN_COST = told("mean_quality"), told("mean_cost", 1e-6)
MBPP_QUALITY, MBPP_COST = told("mbpp_quality"), told("mbpp_cost", 1e-6)
PRICE_IN, PRICE_OUT = told("price_in", 1e-6), told("price_out", 1e-6)
N_PUBLISHED: int = _TOLD["n_published"]
UNSOLVED_SHARE: float = _TOLD["n_unsolved"] / N_PUBLISHED
KINDS: dict[str, list[float]] = _TOLD["skill"]
DOMAINS: dict[str, dict[str, Any]] = {
    name: {**_TOLD["families"][domain["family"]], **domain} for name, domain in _TOLD["domains"].items()
}
"""What is known of each domain, its family's facts included."""
SIZES = np.array([domain["size"] for domain in DOMAINS.values()])
IS_MBPP = np.array([domain["family"] == "mbpp" for domain in DOMAINS.values()])
FORMS: dict[str, dict[str, Any]] = _TOLD["forms"]
WORDS: dict[str, Texts] = {name: words(text) for name, text in _TOLD["words"].items()}
BY_KIND: dict[str, list[Texts]] = {name: [words(text) for text in row] for name, row in _TOLD["by_kind"].items()}
MANNERS: dict[str, Any] = {
    name: _TOLD[name] for name in ("openings", "lapse", "style", "lapse_share", "refusal", "code_pieces")
}
