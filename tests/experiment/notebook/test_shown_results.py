"""What a notebook shows of a results folder."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dacr
from dacr.core.errors import UserError
from dacr.report.comparison import compare


@pytest.fixture(scope="module")
def shown(sample_long: Path, tmp_path_factory: pytest.TempPathFactory) -> dacr.ExperimentResults:
    target = tmp_path_factory.mktemp("shown") / "r"
    dacr.run(data=sample_long, results_dir=target, ood_holdout="mbpp", routers="linucb,knn,zero", orders=2)
    return dacr.ExperimentResults.open(target)


def test_the_comparison_is_that_of_the_report(shown: dacr.ExperimentResults) -> None:
    made = shown.compare()
    assert made.equals(compare(shown).everywhere)
    made["difference"] = 0.0
    assert shown.compare()["difference"].abs().max() > 0, "a caller's change reached the folder's own table"


def test_a_figure_shows_itself_with_its_caption(shown: dacr.ExperimentResults, tmp_path: Path) -> None:
    figure = shown.figure("quality_cost")
    page = figure._repr_html_()
    [source] = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(source))).convert("L"))
    assert pixels.min() < 100 and pixels.max() == 255
    assert "<figcaption>" in page and figure.caption[:20] in page
    for kind in ("pdf", "png", "svg"):
        figure.save(tmp_path / f"q.{kind}")
        assert (tmp_path / f"q.{kind}").stat().st_size > 1000
    with pytest.raises(UserError, match=r"expected a file that ends in \.pdf or \.png or \.svg"):
        figure.save(tmp_path / "q.gif")
    with pytest.raises(UserError, match="unknown figure 'quality'; did you mean 'quality_cost'"):
        shown.figure("quality")


def test_results_show_their_answer_and_their_table(shown: dacr.ExperimentResults, tmp_path: Path) -> None:
    page = shown._repr_html_()
    assert "routers chose among" in page and "<table" in page
    (tmp_path / "metrics.csv").write_text((shown.folder / "metrics.csv").read_text().splitlines()[0] + "\n")
    empty = dacr.ExperimentResults.open(tmp_path)._repr_html_()
    assert "<table" not in empty and "holds no rows" in empty
