"""What a loader has to keep: its own sample rows become a sound long table, and it alone knows their columns."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from dacr.contracts.rules import Rule, described, keep, require
from dacr.core.registry import loaders
from dacr.data import schema
from dacr.data.loaders.base import Loader, columns_of, detect
from dacr.data.sources import members

Part = type[Loader]


def its_sample_becomes_a_sound_long_table(part: Part) -> None:
    """Complete, with the qualities that the loader says, and the same every time."""
    with tempfile.TemporaryDirectory() as folder:
        path = part.write_sample(Path(folder))
        long, again = part().load(path), part().load(path)
    priced = long if long["cost"].notna().any() else long.assign(cost=0.0)  # costs may come from prices
    priced = priced.fillna({"input_tokens": 0.0, "output_tokens": 0.0})  # counts may be estimated
    priced = priced.drop_duplicates(["qid", "model"]) if "trial" in long else priced  # trials are averaged
    schema.validate(priced, part.name)
    schema.require_complete(long, part.name)
    pd.testing.assert_frame_equal(long, again)
    require(long["qid"].nunique() >= 2 and long["model"].nunique() >= 2, "a sample has two queries and models or more")
    got = {(row.prompt, row.model): float(row.quality) for row in long.itertuples()}
    wrong = {key: (value, got.get(key)) for key, value in part.sample_quality.items() if got.get(key) != value}
    require(not wrong and len(got) == len(part.sample_quality), f"expected {part.sample_quality}, got {got}")
    cost = np.isfinite(long["cost"].to_numpy(dtype=float))
    require(cost.all() or not cost.any(), "a cost of the sample is not a number")


def its_file_is_known_by_its_columns_and_by_it_alone(part: Part) -> None:
    """In any order of the columns."""
    with tempfile.TemporaryDirectory() as folder:
        found = members(part.write_sample(Path(folder)))
        columns = [str(name) for name in columns_of(next(member for member in found if part().reads(member)))]
    others = [name for name, other in loaders.items() if other.matches(columns) and name != part.name]
    require(part.matches(columns), f"matches() does not know its own columns: {', '.join(columns)}")
    require(not others, f"the loader {', '.join(others)} takes its sample for its own too")
    require(detect(columns[::-1], "sample") == part.name, "the order of the columns matters")


RULES: tuple[Rule, ...] = (
    described,
    its_sample_becomes_a_sound_long_table,
    its_file_is_known_by_its_columns_and_by_it_alone,
)


def check_loader(part: Part) -> None:
    """Hold a registered loader class to its contract; an AssertionError names the rule that it breaks."""
    keep(part, RULES)
