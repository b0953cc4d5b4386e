"""Write this folder's pickles with whatever pandas runs this file (see README.md). Generated values only."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

here = Path(__file__).resolve().parent
tag = "pandas_" + "_".join(pd.__version__.split(".")[:3])

wide = pd.DataFrame(
    {
        "sample_id": ["made.0", "made.1", "made.2"],
        "prompt": ["['Add 1 and 2.']", "['Be brief.', 'Name a colour.']", "['Say \\'hi\\'.']"],
        "eval_name": ["sums", "colours", "greetings"],
        "small": [1.0, 0.25, 0.0],
        "large": [1.0, 1.0, 0.5],
        "small|model_response": ["['3']", "['red']", "['no']"],
        "large|model_response": ["['three']", "['blue']", "['hi']"],
        "small|total_cost": [1e-5, 2e-5, 3e-5],
        "large|total_cost": [1e-3, 2e-3, 3e-3],
        "oracle_model_to_route_to": ["small", "large", "large"],
    }
)
raw = pd.DataFrame(
    {
        "sample_id": np.repeat(wide["sample_id"].to_numpy(), 2),
        "prompt": np.repeat(wide["prompt"].to_numpy(), 2),
        "eval_name": pd.Categorical(np.repeat(wide["eval_name"].to_numpy(), 2)),
        "model_name": ["small", "large"] * 3,
        "model_response": wide[["small|model_response", "large|model_response"]].to_numpy().ravel(),
        "performance": wide[["small", "large"]].to_numpy().ravel(),
        "cost": wide[["small|total_cost", "large|total_cost"]].to_numpy().ravel(),
        "tokens": np.arange(6, dtype=np.int64),
        "seen": [True, False] * 3,
    },
    index=[5, 4, 3, 2, 1, 0],
)

# Only where asked: doctests import this file, and must not write.
if __name__ == "__main__":
    for protocol in (2, 4, 5) if sys.version_info >= (3, 8) else (2, 4):
        wide.to_pickle(here / f"{tag}_wide_p{protocol}.pkl", protocol=protocol)
    raw.to_pickle(here / f"{tag}_raw_p4.pkl", protocol=4)
    if hasattr(pd, "StringDtype") and int(pd.__version__.split(".")[0]) >= 2:
        wide.convert_dtypes(dtype_backend="numpy_nullable").to_pickle(here / f"{tag}_nullable_p4.pkl", protocol=4)
    if pd.__version__.startswith("2."):
        arrow = pd.DataFrame(
            {
                "a": pd.array(["x", "y", None], dtype="string[pyarrow]"),
                "b": pd.array(["x", "y", "x"], dtype="string[pyarrow_numpy]"),
                "c": pd.array([1, 2, None], dtype="Int64"),
                "d": pd.array([True, None, False], dtype="boolean"),
            }
        )
        arrow.to_pickle(here / f"{tag}_arrow_p4.pkl", protocol=4)
