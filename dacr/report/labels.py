"""Placing labels beside points so that nothing overlaps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from dacr.types import Floats, Ints

_ANGLES = np.deg2rad([0, 180, 90, 270, 35, 325, 145, 215, 65, 295, 115, 245])
_RADII_PT = (4.5, 8.0, 12.0, 17.0, 23.0, 30.0, 38.0, 47.0)
_LEADER_FROM_PT = 9.0
_FORBIDDEN = 200.0


def place(
    ax: Axes,
    points: Floats,
    texts: Sequence[str],
    avoid: Floats,
    *,
    fontsize: float = 5.8,
    colour: str = "#444444",
) -> list[str]:
    """Write each text near its point, where it meets no other text and no edge, and few points.

    Greedy over a fixed list of places, in six fixed orders of which the best is kept: the same numbers
    give the same picture. A label that had to go far from its point gets a thin line to it.

    Parameters
    ----------
    points : (n, 2) float
        In data units; the axes' limits must be set already.
    avoid : (k, 2) float
        Further points, in data units, that should not be covered.

    Returns
    -------
    list of str
        Texts for which there was no room; they are left out.
    """
    fig = ax.get_figure(root=True)
    assert isinstance(fig, Figure)
    renderer = FigureCanvasAgg(fig).get_renderer()  # type: ignore[no-untyped-call]
    scale = fig.dpi / 72.0
    inside = ax.get_window_extent(renderer).padded(-2.0)
    own = np.asarray(ax.transData.transform(points))
    dots = np.vstack([own, ax.transData.transform(avoid)]) if len(avoid) else own
    artists = [ax.text(0, 0, text, fontsize=fontsize, color=colour, transform=None, zorder=6) for text in texts]
    sizes = np.array([[box.width, box.height] for box in (a.get_window_extent(renderer) for a in artists)])
    given = np.arange(len(texts))
    orders = [given, given[::-1]]
    for column in (0, 1):
        rising = np.argsort(own[:, column], kind="stable")
        orders += [rising, rising[::-1]]
    tried = [_greedy(order, own, sizes, inside, dots, scale) for order in orders]
    centre, radius, cost = min(tried, key=lambda result: float(result[2].sum()))
    left_out = []
    for i, artist in enumerate(artists):
        if cost[i] >= _FORBIDDEN:
            left_out.append(texts[i])
            artist.remove()
            continue
        _write(ax, artist, own[i], centre[i], sizes[i], bool(radius[i] > _LEADER_FROM_PT))
    return left_out


def _greedy(
    order: Ints, own: Floats, sizes: Floats, inside: Bbox, dots: Floats, scale: float
) -> tuple[Floats, Floats, Floats]:
    """Place the labels one after the other; return centres, distances in points, and costs."""
    centre, radius, cost = np.zeros_like(own), np.zeros(len(own)), np.full(len(own), np.inf)
    taken: list[Bbox] = []
    for i in order:
        (x, y), (w, h) = own[i], sizes[i]
        for far in _RADII_PT:
            for k, angle in enumerate(_ANGLES):
                cx = x + np.cos(angle) * (far * scale + w / 2)
                cy = y + np.sin(angle) * (far * scale + h / 2 * abs(np.sin(angle)))
                box = Bbox.from_bounds(cx - w / 2, cy - h / 2, w, h)
                here = _clash(box, inside, taken, dots) + far / 4 + k * 0.05
                if far > _LEADER_FROM_PT:
                    here += 100 * sum(_crosses(x, y, cx, cy, other) for other in taken)
                if here < cost[i]:
                    centre[i], radius[i], cost[i] = (cx, cy), far, here
            if cost[i] < far / 4 + 1:
                break
        if cost[i] < _FORBIDDEN:
            (cx, cy) = centre[i]
            taken.append(Bbox.from_bounds(cx - w / 2, cy - h / 2, w, h))
            if radius[i] > _LEADER_FROM_PT:
                dots = np.vstack([dots, np.linspace((x, y), _edge(own[i], centre[i], sizes[i]), 12)[2:]])
    return centre, radius, cost


def _write(ax: Axes, artist: Text, point: Floats, centre: Floats, size: Floats, leader: bool) -> None:
    to_data = ax.transData.inverted()
    artist.set_transform(ax.transData)
    artist.set_horizontalalignment("center")
    artist.set_verticalalignment("center")
    artist.set_path_effects([withStroke(linewidth=1.6, foreground="white", alpha=0.85)])
    x, y = to_data.transform(centre)
    artist.set_position((float(x), float(y)))
    if leader:
        ends = to_data.transform(np.array([point, _edge(point, centre, size)]))
        ax.plot(ends[:, 0], ends[:, 1], color="#999999", linewidth=0.4, zorder=1.9, scalex=False, scaley=False)


def _edge(point: Floats, centre: Floats, size: Floats) -> Floats:
    """Return the point of a label's box that is nearest to ``point``."""
    return np.asarray(np.clip(point, centre - size / 2, centre + size / 2))


def _clash(box: Bbox, inside: Bbox, taken: Sequence[Bbox], dots: Floats) -> float:
    cost = 0.0
    if box.x0 < inside.x0 or box.x1 > inside.x1 or box.y0 < inside.y0 or box.y1 > inside.y1:
        cost += 5 * _FORBIDDEN
    grown = box.padded(1.0)
    cost += _FORBIDDEN * sum(bool(grown.overlaps(other)) for other in taken)
    pad = 2.5
    covered = (
        (dots[:, 0] > box.x0 - pad)
        & (dots[:, 0] < box.x1 + pad)
        & (dots[:, 1] > box.y0 - pad)
        & (dots[:, 1] < box.y1 + pad)
    )
    return cost + min(15.0 * float(covered.sum()), 0.9 * _FORBIDDEN)


def _crosses(x: float, y: float, cx: float, cy: float, box: Bbox) -> bool:
    """Say whether the straight way from a point to its label leads through another label."""
    way = np.linspace((x, y), (cx, cy), 25)
    within = (way[:, 0] > box.x0) & (way[:, 0] < box.x1) & (way[:, 1] > box.y0) & (way[:, 1] < box.y1)
    return bool(within.any())
