"""Placing labels beside points so that nothing overlaps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox

from dacr.types import Floats

_ANGLES = np.deg2rad([0, 180, 90, 270, 35, 325, 145, 215, 65, 295, 115, 245])
_RADII_PT = (4.5, 8.0, 12.0, 17.0, 23.0, 30.0, 38.0, 47.0)


def place(
    ax: Axes,
    points: Floats,
    texts: Sequence[str],
    avoid: Floats,
    *,
    fontsize: float = 5.8,
    colour: str = "#444444",
) -> None:
    """Write each text near its point, where it meets no other text, no point and no edge.

    Greedy, in the order given, over a fixed list of places: the same numbers give the same picture. A
    label that had to go far from its point gets a thin line to it; one that finds no place takes the
    farthest tried.

    Parameters
    ----------
    points : (n, 2) float
        In data units; the axes' limits must be set already.
    avoid : (k, 2) float
        Further points, in data units, that should not be covered.
    """
    fig = ax.get_figure(root=True)
    assert isinstance(fig, Figure)
    renderer = FigureCanvasAgg(fig).get_renderer()  # type: ignore[no-untyped-call]
    to_px = fig.dpi / 72.0
    inside = ax.get_window_extent(renderer)
    own = ax.transData.transform(points)
    dots = np.vstack([own, ax.transData.transform(avoid)]) if len(avoid) else own
    taken: list[Bbox] = []
    for (x, y), text in zip(own, texts, strict=True):
        artist = ax.text(0, 0, text, fontsize=fontsize, color=colour, transform=None, zorder=6, va="center")
        size = artist.get_window_extent(renderer)
        artist.set_path_effects([withStroke(linewidth=1.6, foreground="white", alpha=0.85)])
        best, best_cost = (x, y, 0.0), np.inf
        for radius in _RADII_PT:
            for k, angle in enumerate(_ANGLES):
                cx = x + np.cos(angle) * (radius * to_px + size.width / 2)
                cy = y + np.sin(angle) * (radius * to_px + size.height / 2 * abs(np.sin(angle)))
                frame = Bbox.from_bounds(cx - size.width / 2, cy - size.height / 2, size.width, size.height)
                cost = _clash(frame, inside, taken, dots) + radius / 4 + k * 0.05
                if radius > _RADII_PT[1]:
                    cost += 100 * sum(map(bool, (_crosses(x, y, cx, cy, other) for other in taken)))
                if cost < best_cost:
                    best, best_cost = (cx, cy, radius), cost
            if best_cost < radius / 4 + 1:
                break
        cx, cy, radius = best
        to_data = ax.transData.inverted()
        artist.set_transform(ax.transData)
        artist.set_horizontalalignment("center")
        artist.set_position(tuple(to_data.transform((cx, cy))))
        taken.append(Bbox.from_bounds(cx - size.width / 2, cy - size.height / 2, size.width, size.height))
        if radius > _RADII_PT[1]:
            edge = (
                np.clip(x, cx - size.width / 2, cx + size.width / 2),
                np.clip(y, cy - size.height / 2, cy + size.height / 2),
            )
            ends = to_data.transform(np.array([(x, y), edge]))
            dots = np.vstack([dots, np.linspace((x, y), edge, 12)[2:]])
            ax.plot(ends[:, 0], ends[:, 1], color="#999999", linewidth=0.4, zorder=1.9, scalex=False, scaley=False)


def _clash(frame: Bbox, inside: Bbox, taken: Sequence[Bbox], dots: Floats) -> float:
    cost = 0.0
    if frame.x0 < inside.x0 or frame.x1 > inside.x1 or frame.y0 < inside.y0 or frame.y1 > inside.y1:
        cost += 1000
    grown = frame.padded(1.0)
    cost += 200 * sum(bool(grown.overlaps(other)) for other in taken)
    pad = 2.5
    covered = (
        (dots[:, 0] > frame.x0 - pad)
        & (dots[:, 0] < frame.x1 + pad)
        & (dots[:, 1] > frame.y0 - pad)
        & (dots[:, 1] < frame.y1 + pad)
    )
    return cost + 15.0 * float(covered.sum())


def _crosses(x: float, y: float, cx: float, cy: float, box: Bbox) -> bool:
    """Say whether the straight way from a point to its label leads through another label."""
    way = np.linspace((x, y), (cx, cy), 25)
    inside = (way[:, 0] > box.x0) & (way[:, 0] < box.x1) & (way[:, 1] > box.y0) & (way[:, 1] < box.y1)
    return bool(inside.any())
