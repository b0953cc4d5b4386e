"""One colour and one marker per router, the same in every figure, whatever else is drawn.

Colours are those of Okabe and Ito (2008), which the colour-blind can tell apart; no two routers share
both colour and marker, so that figures still read in grey.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.font_manager import findfont, findSystemFonts, fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.lines import Line2D

from dacr.core.rng import seed_for

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#7F7F7F"

COLUMN_IN = 3.35
"""Width of one column of a paper, in inches."""
DOUBLE_IN = 6.9
"""Width of both columns, in inches."""

EAST_ASIAN = (
    "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans CJK TC", "Noto Sans CJK KR", "Noto Serif CJK JP", "Noto Sans JP",
    "Noto Sans SC", "Noto Sans KR", "Source Han Sans", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "IPAGothic",
    "IPAexGothic", "Droid Sans Fallback", "PingFang SC", "Hiragino Sans", "Microsoft YaHei", "SimHei", "NanumGothic",
    "Malgun Gothic", "Arial Unicode MS",
)  # fmt: skip
"""Fonts with Chinese, Japanese or Korean letters: the first that is installed serves where DejaVu has no letter."""

SHEET = Path(__file__).with_name("paper.mplstyle")


@dataclass(frozen=True)
class Look:
    """How one router is drawn, everywhere.

    Attributes
    ----------
    label : str
        What a reader calls it.
    filled : bool
        Whether the marker is filled; full-information twins and clairvoyant references are hollow.
    reference : bool
        Not a router that one would deploy, but a line to compare with.
    order : int
        Place in legends and tables.
    """

    label: str
    colour: str
    marker: str
    line: Any = "-"
    width: float = 1.1
    filled: bool = True
    reference: bool = False
    order: int = 500

    def kwargs(self) -> dict[str, Any]:
        """Keyword arguments for ``Axes.plot``."""
        return {
            "color": self.colour,
            "marker": self.marker,
            "linestyle": self.line,
            "linewidth": self.width,
            "markersize": 4.6 if self.width > 1.5 else 3.6,
            "markerfacecolor": self.colour if self.filled else "white",
            "markeredgecolor": "white" if self.filled and self.marker not in "x+1234" else self.colour,
            "markeredgewidth": 0.4 if self.filled and self.marker not in "x+1234" else 0.8,
            "zorder": 5.0 if self.width > 1.5 else (2.5 if self.reference else 3.0),
        }

    def curve(self) -> tuple[dict[str, Any], Line2D]:
        """Return arguments for a curve, and its key: a router that elsewhere is a lone marker gets a thin line."""
        kwargs, handle = self.kwargs(), self.handle()
        if self.line == "none":
            kwargs |= {"linestyle": "-", "linewidth": 0.7}
        handle.set(linestyle=kwargs["linestyle"], linewidth=kwargs["linewidth"])
        return kwargs, handle

    def handle(self) -> Line2D:
        """Return the entry for a legend."""
        return Line2D([], [], **self.kwargs(), label=self.label)


DASHED, DOTTED, DASHDOT = (0, (3.5, 1.6)), (0, (1, 1.4)), (0, (4, 1.3, 1, 1.3))

_KNOWN: dict[str, Look] = {
    "dacr": Look("DACR", VERMILLION, "o", width=2.0),
    "dacr_eq9": Look("DACR, original rules", ORANGE, "D"),
    "predict_optimize": Look("predict-optimize", BLUE, "s"),
    "joint_ranker": Look("joint ranker", SKY, "^"),
    "knn": Look("kNN", GREEN, "v"),
    "routellm": Look("RouteLLM", PURPLE, "P"),
    "cascade": Look("cascade", BLACK, "X", width=0.9),
    "linucb": Look("LinUCB", GREEN, "d", DASHDOT),
    "paced_bandit": Look("paced bandit", BLUE, "p", DASHDOT),
    "port": Look("PORT", SKY, "h", DASHDOT),
    "rules": Look("rules", ORANGE, "<", DASHDOT),
    "chain": Look("fallback chain", PURPLE, ">", DASHDOT),
    "consensus": Look("consensus", VERMILLION, "s", DASHED),
    "consensus_random": Look("random escalation", GREY, "P", DASHED, 0.9, reference=True),
    "fixed_gate": Look("fixed gate", PURPLE, "s", DASHED, 0.9),
    "cascade_agreement": Look("cascade, agreement", BLACK, "v", DASHED, 0.9),
    "cascade_routing": Look("cascade routing", BLUE, "^", DASHED, 0.9),
    "agreement_cascade": Look("ABC (100 labels)", GREEN, "P", DASHED, 0.9, False),
    "base_rate": Look("base rate", GREY, "s", DASHED, 0.9, reference=True),
    "static": Look("static calibration", GREY, "d", DASHED, 0.9, reference=True),
    "zero": Look("zero router", GREY, "", DASHED, 0.9, reference=True),
    "best_single": Look("best single model", GREY, "*", "none", reference=True),
    "cheapest": Look("cheapest model", GREY, "<", "none", reference=True),
    "strongest": Look("strongest model", GREY, ">", "none", reference=True),
    "random": Look("random", GREY, "x", "none", reference=True),
    "domain_oracle": Look("domain oracle (clairvoyant)", BLACK, "H", DOTTED, 0.9, False, True),
    "oracle": Look("oracle (clairvoyant)", BLACK, "*", DOTTED, 0.9, False, True),
    "domain_oracle_plans": Look("domain oracle with plans (clairvoyant)", BLACK, "h", DOTTED, 0.9, False, True),
    "oracle_plans": Look("oracle with plans (clairvoyant)", BLACK, "p", DOTTED, 0.9, False, True),
}
_KNOWN = {name: replace(look, order=10 * i) for i, (name, look) in enumerate(_KNOWN.items())}

# Markers that no known router has, so that a plugin cannot be taken for one of them.
_SPARE = [(c, m) for m in ("8", "D", "H", "*") for c in (SKY, GREEN, PURPLE, BLUE, ORANGE)]
_SPARE = [pair for pair in _SPARE if pair not in {(look.colour, look.marker) for look in _KNOWN.values()}]

OWN_BUDGET = "§ keeps a budget of its own at every point of its frontier (--dacr_budget_cost, --dacr_budget_viol)."
"""What the mark § says, in captions and notes."""

FIXED = ("cheapest", "strongest", "best_single")
"""Policies that are one single model each."""


def look(router: str) -> Look:
    """Return how ``router`` is drawn.

    A name that is not known here (a plugin) gets a look derived from the name alone, so that it is
    the same in every figure and beside any other router. ``NAME_full``, the full-information twin of a
    learner, has its colour and marker, hollow and dashed.

    Examples
    --------
    >>> look("dacr").colour == look("dacr_full").colour
    True
    >>> look("mine") == look("mine")
    True
    """
    if router in _KNOWN:
        return _KNOWN[router]
    if router.endswith("_full"):
        own = look(router.removesuffix("_full"))
        label = f"{own.label}, full information"
        return replace(own, label=label, line=DASHED, width=0.9, filled=False, order=own.order + 1)
    colour, marker = _SPARE[seed_for("look", router) % len(_SPARE)]
    return Look(router, colour, marker)


def slug(name: str) -> str:
    """Return a name that ids and selectors of a page can hold, another one for another name.

    Examples
    --------
    >>> slug("dacr_full"), slug('a "b"')
    ('dacr_full', 'a.20.22b.22')
    """
    return "".join(c if c.isascii() and (c.isalnum() or c in "_-") else f".{ord(c):x}" for c in name)


def in_order(routers: Iterable[str]) -> list[str]:
    """Return the distinct names: routers, plugins, twins, in one order everywhere."""
    return sorted(set(routers), key=lambda name: (look(name).reference, look(name).order, name))


@lru_cache(maxsize=1)
def families() -> tuple[str, ...]:
    """Return the installed fonts that letters are looked for in, the first of them that has one is used."""
    found = _east_asian()
    if not found:
        # Matplotlib reads a list of fonts that it once wrote: what was installed since is not in it.
        for path in sorted(set(findSystemFonts()) - {font.fname for font in fontManager.ttflist}):
            with suppress(OSError, RuntimeError):  # no font that FreeType can read
                fontManager.addfont(path)
        found = _east_asian()
    return ("DejaVu Sans", *found)


def _east_asian() -> tuple[str, ...]:
    installed = {font.name for font in fontManager.ttflist}
    return tuple(name for name in EAST_ASIAN if name in installed)


@lru_cache(maxsize=1)
def _letters() -> frozenset[int]:
    return frozenset().union(*(FT2Font(findfont(name)).get_charmap() for name in families()))


def drawable(text: str) -> str:
    r"""Return a name as a figure can show it: in one line, letters that no font here has by their code.

    Examples
    --------
    >>> drawable("two\nlines"), drawable("a\U0010FFFD")
    ('two lines', 'a[10FFFD]')
    """
    line = " ".join(text.split())
    return line if line.isascii() else "".join(c if ord(c) in _letters() else f"[{ord(c):04X}]" for c in line)


@contextmanager
def paper() -> Iterator[None]:
    """Draw in the style of ``paper.mplstyle``, whatever the user's own settings; restore them after."""
    sheet = mpl.rc_params_from_file(SHEET, use_default_template=False)
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(sheet)
        mpl.rcParams["font.family"] = list(families())
        yield
