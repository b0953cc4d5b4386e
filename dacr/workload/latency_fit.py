"""Fit the latency profiles to measured requests (a CSV in llmperf's columns).

For every provider and size: the median time to first token, and the median of
(output tokens - 1) / (end to end - time to first token), the speed after the first token. A profile is
the median over its providers, so that a provider counts once however many requests it has. Medians,
because some providers have a few requests of a minute (cold starts) that say nothing about the rest;
how far the tail lies is written beside the numbers. Failed requests are left out.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from dacr.core import files
from dacr.core.errors import UserError
from dacr.workload.latency import DEFAULT_CONFIG, LatencyModel

COLUMNS = ("provider", "size", "error_code", "ttft_s", "end_to_end_latency_s", "number_output_tokens")

HEADER = """\
# How fast models answer: latency = ttft_s + output tokens / tokens_per_s (dacr/workload/latency.py).
# The numbers are fitted by `python scripts/fit_latency.py --csv llmperf_latency.csv`, which reads this
# file for `fit`, `between` and `models`, and writes it again with new numbers.
# Measured by ray-project/llmperf-leaderboard (Apache-2.0), 550 input tokens, about 150 output tokens.
# `fit`: the sizes and providers that a profile is the median of. `between`: interpolated (log-log in
# billions of parameters). requests, noise_cv (robust: from the quartiles) and p99_over_median describe
# the measurements and are not used.
# Which profile serves a model is a judgement by size and provider; price plays no part. Claude runs on
# the provider where it was sold (bedrock). No measurement of OpenAI's models is among the data: gpt-4 is
# taken to be like a large hosted model, gpt-3.5 like a 13b one. Mixtral 8x7b uses 13b of its weights a token.
"""


def read_llmperf(path: str | Path) -> pd.DataFrame:
    """Read the successful requests of a CSV in llmperf's columns, with their ``tokens_per_s``.

    Requests with an error code, or with fewer than two output tokens, or whose last token came with the
    first, tell no speed and are left out.
    """
    path = files.existing_file(path)
    try:
        frame = pd.read_csv(path)
    except (ValueError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a CSV file ({error}); expected the columns {list(COLUMNS)}") from None
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise UserError(f"{path}: columns {missing} are missing; expected {list(COLUMNS)}")
    for name in ("ttft_s", "end_to_end_latency_s", "number_output_tokens"):
        frame[name] = pd.to_numeric(frame[name], errors="coerce")  # of failed requests there may be none
    writing_s = frame["end_to_end_latency_s"] - frame["ttft_s"]
    good = frame["error_code"].isna() & (frame["ttft_s"] > 0) & (writing_s > 0) & (frame["number_output_tokens"] >= 2)
    frame = frame[good].copy()
    if frame.empty:
        raise UserError(f"{path}: no successful request; expected rows without error_code")
    frame["tokens_per_s"] = (frame["number_output_tokens"] - 1) / writing_s[good]
    return frame


def fit_groups(requests: pd.DataFrame) -> pd.DataFrame:
    """Return one row per (provider, size): medians, count, robust CV and tail of the end-to-end latency."""
    groups = requests.groupby(["provider", "size"], sort=True)
    total = groups["end_to_end_latency_s"]
    quartiles = total.quantile([0.25, 0.5, 0.75]).unstack()
    return pd.DataFrame(
        {
            "ttft_s": groups["ttft_s"].median(),
            "tokens_per_s": groups["tokens_per_s"].median(),
            "requests": groups.size(),
            "noise_cv": (quartiles[0.75] - quartiles[0.25]) / 1.349 / quartiles[0.5],
            "p99_over_median": total.quantile(0.99) / quartiles[0.5],
        }
    ).reset_index()


def fit_profiles(requests: pd.DataFrame, profiles: dict[str, Any]) -> dict[str, Any]:
    """Return ``profiles`` with numbers fitted by their ``fit`` and ``between`` entries; others stay."""
    groups = fit_groups(requests)
    fitted = {name: dict(entry) for name, entry in profiles.items()}
    for name, entry in fitted.items():
        if "fit" in entry:
            sizes, providers = entry["fit"].get("sizes"), entry["fit"].get("providers")
            chosen = groups[groups["size"].isin(sizes)] if sizes else groups
            chosen = chosen[chosen["provider"].isin(providers)] if providers else chosen
            if chosen.empty:
                raise UserError(f"profile {name!r}: no request of sizes {sizes} at providers {providers}")
            entry["ttft_s"] = round(float(chosen["ttft_s"].median()), 3)
            entry["tokens_per_s"] = round(float(chosen["tokens_per_s"].median()), 1)
            entry["requests"] = int(chosen["requests"].sum())
            entry["noise_cv"] = round(float(chosen["noise_cv"].median()), 3)
            entry["p99_over_median"] = round(float(chosen["p99_over_median"].median()), 2)
    for entry in fitted.values():
        if "between" in entry:
            small, large = (fitted[other] for other in entry["between"]["profiles"])
            ends = np.log(entry["between"]["billions"])
            share = float((np.log(entry["between"]["at"]) - ends[0]) / (ends[1] - ends[0]))
            for field, digits in (("ttft_s", 3), ("tokens_per_s", 1)):
                entry[field] = round(float(small[field] ** (1 - share) * large[field] ** share), digits)
    return fitted


def fit_latency(
    *, csv: Path = Path("data/llmperf_latency.csv"), config_latency: Path = DEFAULT_CONFIG, out: Path | None = None
) -> None:
    """Fit the latency profiles of configs/latency.yaml to measured requests.

    Parameters
    ----------
    csv
        Requests in llmperf's columns: provider, size, error_code, ttft_s, end_to_end_latency_s, number_output_tokens.
    config_latency
        Says which profiles there are, what each is fitted to, and which model uses which.
    out
        Where to write; by default config_latency itself.
    """
    requests = read_llmperf(csv)
    LatencyModel.from_yaml(config_latency)
    config = files.read_yaml(config_latency)
    config["profiles"] = fit_profiles(requests, config["profiles"])
    LatencyModel.from_config(config, str(config_latency))
    body = yaml.safe_dump(config, sort_keys=False, allow_unicode=True, default_flow_style=False)
    out = out or config_latency
    files.write_text(out, HEADER + body)
    for name, entry in config["profiles"].items():
        tail = f"; p99 / median {entry['p99_over_median']:.2f}" if "p99_over_median" in entry else ""
        print(f"{name:>14}: {entry['ttft_s']:.3f} s + tokens / {entry['tokens_per_s']:.1f} per s{tail}")
    print(f"wrote {out}: {len(config['profiles'])} profiles from {len(requests)} successful requests of {csv}")
