"""Figures, one file each. A file dropped here is drawn by ``make_figures``.

A figure is a registered class with a ``frame`` (numbers, from a results folder) and a ``draw`` (a picture,
from those numbers alone)::

    @figures.register("my_figure")
    class MyFigure(Figure):
        def frame(self, results): ...
        def draw(self, frame, fig): ...
        def caption(self, frame): ...
"""
