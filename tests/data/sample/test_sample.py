"""The embedded benchmark: published facts, truth, the same rows however it is cut."""

from __future__ import annotations

import hashlib
import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from agreeing import agreement, same_if_wrong
from hypothesis import given, settings
from hypothesis import strategies as st

from dacr.core.errors import UserError
from dacr.data import schema
from dacr.data.sample import facts
from dacr.data.sample.answers import RIGHT
from dacr.data.sample.generate import Sample, domain_sizes, generate, iter_chunks
from dacr.data.sample.prompts import N_DRAWS, Slots, prompts, whole_prompt
from dacr.data.sample.truth import truth
from dacr.estimates.answers.read import UNREAD, read_answers

TEXTS = dict.fromkeys(("qid", "prompt", "domain", "model"), object)
ROOT = str(Path(__file__).resolve().parents[3])
# Four standard errors of a mean of 36,497 outcomes that differ by at most half from their mean.
TOLERANCE = 4 * 0.5 / np.sqrt(facts.N_PUBLISHED)


@pytest.fixture(scope="module")
def full() -> Sample:
    return generate(facts.N_PUBLISHED, seed=3)


@pytest.fixture(scope="module")
def quality(full: Sample) -> np.ndarray:
    return full.long["quality"].to_numpy().reshape(full.truth.shape)


def test_is_a_sound_long_table(full: Sample) -> None:
    assert tuple(full.long.columns) == schema.COLUMNS
    schema.validate(full.long, "sample")
    schema.require_complete(full.long, "sample")
    assert full.long.shape[0] == 401_467
    assert list(full.model) == sorted(full.model)
    assert full.long["model"].head(11).tolist() == list(full.model)
    assert full.long["qid"].to_numpy()[::11].tolist() == full.qid.tolist()
    assert len(set(full.qid)) == facts.N_PUBLISHED


def test_facts_are_the_published_ones() -> None:
    size = pd.Series({name: told["size"] for name, told in facts.DOMAINS.items()})
    family = pd.Series({name: told["family"] for name, told in facts.DOMAINS.items()})
    assert size.groupby(family).sum().to_dict() == {
        "mmlu": 14_042,
        "hellaswag": 10_042,
        "gsm": 7_450,
        "arc": 1_470,
        "winogrande": 1_267,
        "mbpp": 427,
        "mtbench": 80,
        "chinese": 785,
        "other": 934,
    }
    assert size.sum() == facts.N_PUBLISHED == 36_497


def test_truth_has_the_published_means_exactly() -> None:
    size = facts.SIZES
    mean = size @ truth().mean_quality / size.sum()
    np.testing.assert_allclose(mean, facts.MEAN_QUALITY, atol=1e-9)
    mbpp = list(facts.DOMAINS).index("mbpp")
    np.testing.assert_allclose(truth().mean_quality[mbpp], facts.MBPP_QUALITY, atol=1e-9)


def test_outcomes_have_the_published_means(full: Sample, quality: np.ndarray) -> None:
    np.testing.assert_allclose(quality.mean(axis=0), facts.MEAN_QUALITY, atol=TOLERANCE)
    np.testing.assert_allclose(full.truth.mean(axis=0), facts.MEAN_QUALITY, atol=TOLERANCE)
    cost = full.long["cost"].to_numpy().reshape(full.truth.shape)
    np.testing.assert_allclose(cost.mean(axis=0), facts.MEAN_COST, rtol=0.01)
    mbpp = full.domain == "mbpp"
    np.testing.assert_allclose(quality[mbpp].mean(axis=0), facts.MBPP_QUALITY, atol=4 * 0.5 / np.sqrt(427))
    np.testing.assert_allclose(cost[mbpp].mean(axis=0), facts.MBPP_COST, rtol=0.06)


def test_some_queries_are_solved_by_no_model_and_a_fifth_of_the_cells_is_fractional(quality: np.ndarray) -> None:
    assert abs((quality.max(axis=1) == 0).mean() - facts.UNSOLVED_SHARE) < 0.005
    fractional = (quality > 0) & (quality < 1)
    assert 0.18 < fractional.mean() < 0.23
    assert set(np.unique(quality)) == {0.0, 0.25, 0.5, 0.75, 1.0}


def test_truth_calibrates_outcomes(full: Sample, quality: np.ndarray) -> None:
    p, y = full.truth.ravel(), quality.ravel()
    code = np.minimum((p * 20).astype(int), 19)
    n = np.bincount(code, minlength=20)
    gap = np.abs(np.bincount(code, p - y, minlength=20)) / np.maximum(n, 1)
    assert (n > 100).all()
    # Outcomes are independent given the truth, so a bin's mean has a standard error of at most 0.5 / sqrt(n).
    assert (gap < 4 * 0.5 / np.sqrt(n)).all()


def test_models_stumble_over_the_same_queries(full: Sample, quality: np.ndarray) -> None:
    for domain in ("mbpp", "hellaswag", "mmlu-nutrition"):
        correlation = np.corrcoef(quality[full.domain == domain].T)[np.triu_indices(11, 1)]
        assert correlation.mean() > 0.08, domain


def test_the_order_of_the_models_differs_between_domains() -> None:
    mean = dict(zip(facts.DOMAINS, truth().mean_quality, strict=True))
    assert np.argmax(mean["bias_detection"]) != facts.MODELS.index("gpt-4-1106-preview")
    assert mean["mbpp"][facts.MODELS.index("meta/code-llama-instruct-34b-chat")] > 0.5
    assert mean["mmlu-nutrition"][facts.MODELS.index("meta/code-llama-instruct-34b-chat")] < 0.1
    base = np.array(list(mean.values())).mean(axis=1)
    assert base.min() < 0.2 < 0.8 < base.max()


def test_prompts_hardly_repeat(full: Sample) -> None:
    prompt = pd.Series(full.long["prompt"].to_numpy(dtype=object)[::11])
    distinct = prompt.groupby(full.domain).nunique() / prompt.groupby(full.domain).size()
    assert distinct.min() >= 0.95, distinct.sort_values().head(3)


@pytest.mark.parametrize("domain", list(facts.DOMAINS))
def test_prompts_hardly_repeat_and_have_the_recorded_length_at_a_million(domain: str) -> None:
    # As many as the domain has among a million, up to 30,000.
    n = int(min(30_000, np.ceil(facts.DOMAINS[domain]["size"] / facts.N_PUBLISHED * 1e6)))
    rng = np.random.default_rng(1)
    made = prompts(domain, Slots(rng.random((n, N_DRAWS)), rng.normal(size=n), rng.integers(4, size=n)))
    assert len(set(made.text)) >= 0.95 * n
    length = np.mean([len(whole_prompt(domain, text)) for text in made.text])
    assert abs(length / facts.DOMAINS[domain]["prompt_chars"] - 1) < 0.02


def test_the_format_of_the_prompts(full: Sample) -> None:
    prompt = pd.Series(full.long["prompt"].to_numpy(dtype=object)[::11]).groupby(full.domain).first()
    assert prompt["mbpp"].startswith("Write a function to ")
    assert all(
        mark in prompt["hellaswag"] for mark in ("\nA) ", "\nB) ", "\nC) ", "\nD) ", "Print only a single choice ")
    )
    assert prompt["mmlu-college-mathematics"].endswith("without explanation. Answer:")
    assert prompt["grade-school-math"].startswith("TASK: ")
    assert prompt["winogrande"].count("\nC) ") == 0


def test_responses_agree_with_quality_and_are_as_long_as_real_ones(full: Sample, quality: np.ndarray) -> None:
    response = full.long["response"].to_numpy(dtype=object).reshape(full.truth.shape)
    nutrition = full.domain == "mmlu-nutrition"
    letters = np.vectorize(lambda text: text.strip().strip(")"))(response[nutrition])
    right, gpt4, claude = quality[nutrition] == 1, 5, 2
    both = right[:, gpt4] & right[:, claude]
    assert (letters[both, gpt4] == letters[both, claude]).all()
    one = right[:, gpt4] & ~right[:, claude]
    assert (letters[one, gpt4] != letters[one, claude]).all()
    assert (response[nutrition] == "\nAnswer").any()
    length = np.vectorize(len)(response)
    assert 900 < length[full.domain == "mbpp"][:, gpt4].mean() < 1_500
    assert 250 < length[full.domain == "grade-school-math"].mean() < 900
    assert length[full.domain == "mtbench"].mean() > 1_000


def test_answers_that_agree_are_right_as_often_as_the_truth_says(full: Sample, quality: np.ndarray) -> None:
    code = read_answers(pa.array(full.response.ravel()), len(full.model))
    read = np.array([same_if_wrong(str(name)) > 0 for name in full.domain])
    rows_of = {name: full.domain == name for name in np.unique(full.domain[read])}
    for i, j in itertools.combinations(range(len(full.model)), 2):
        share, right = agreement(full, i, j)
        same = (code[:, i] == code[:, j]) & (code[:, i] != UNREAD)
        assert np.isnan(right[~read]).all() and not share[~read].any()
        for name, rows in rows_of.items():
            assert abs(same[rows].mean() - share[rows].mean()) < 4.5 * 0.5 / np.sqrt(rows.sum()), (name, i, j)
            agreed = rows & same
            gap = (quality[agreed, i] >= RIGHT).mean() - right[agreed].mean()
            assert abs(gap) < 4.5 * 0.5 / np.sqrt(agreed.sum()), (name, i, j)


def test_models_share_errors_hardly_ever_to_always() -> None:
    same = {name: same_if_wrong(name) for name in facts.DOMAINS if "distractors" in facts.DOMAINS[name]}
    # By hand. Two labels: one wrong answer. zodiac: T = .2 + .8 / 7, T^2 + (1 - T)^2 / 6.
    assert same["winogrande"] == same["sports_statements"] == 1.0
    assert same["chinese_zodiac"] == pytest.approx((11 / 35) ** 2 + (24 / 35) ** 2 / 6)
    assert same["grade-school-math"] == pytest.approx(0.68, abs=0.01)
    assert same["arc-challenge"] == pytest.approx(0.69, abs=0.01)
    assert min(same.values()) < 0.2
    assert same_if_wrong("mtbench") == 0.0


@settings(deadline=None, max_examples=60)
@given(st.integers(500, 1_000_000))
def test_every_domain_is_there_in_proportion(n_query: int) -> None:
    size = domain_sizes(n_query)
    assert size.sum() == n_query
    assert size.min() >= 4
    share = facts.SIZES / facts.N_PUBLISHED
    big = share * n_query > 20
    np.testing.assert_allclose(size[big] / n_query, share[big], rtol=0.1)


def test_the_published_size_gives_the_published_sizes() -> None:
    assert domain_sizes(facts.N_PUBLISHED).tolist() == facts.SIZES.tolist()


def test_too_few_queries_is_an_error_that_says_what_to_type() -> None:
    with pytest.raises(UserError, match="at least 500 queries; try --sample 2000"):
        generate(499)
    with pytest.raises(UserError, match="at least one query"):
        next(iter_chunks(600, chunk=0))


@settings(deadline=None, max_examples=5)
@given(chunk=st.integers(37, 700), seed=st.integers(0, 3))
def test_chunks_hold_the_same_rows(chunk: int, seed: int) -> None:
    whole = generate(600, seed).long.astype(TEXTS)
    pieces = pd.concat([part.astype(TEXTS) for part in iter_chunks(600, seed, chunk)], ignore_index=True)
    assert next(len(frame) for frame in iter_chunks(600, seed, chunk)) == 11 * min(chunk, 600)
    pd.testing.assert_frame_equal(whole, pieces, check_dtype=False)


def test_a_query_is_the_same_in_a_larger_benchmark() -> None:
    small = generate(500, 1).long.astype({"qid": object}).set_index(["qid", "model"])
    large = generate(1_500, 1).long.astype({"qid": object}).set_index(["qid", "model"])
    shared = small.index.intersection(large.index)
    assert len(shared) > 2_500
    columns = ["quality", "cost", "response"]
    pd.testing.assert_frame_equal(small.loc[shared, columns], large.loc[shared, columns], check_dtype=False)


def test_seeds_differ() -> None:
    assert generate(500, 1).long["cost"].tolist() != generate(500, 2).long["cost"].tolist()


def test_the_same_under_any_hash_seed() -> None:
    code = (
        "import hashlib; from dacr.data.sample.generate import generate; s = generate(500, 7); "
        "print(hashlib.sha256((s.long.to_csv() + repr(s.truth.tolist())).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": salt, "PYTHONPATH": ROOT, "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for salt in ("1", "2")
    }
    here = generate(500, 7)
    digests.add(hashlib.sha256((here.long.to_csv() + repr(here.truth.tolist())).encode()).hexdigest() + "\n")
    assert len(digests) == 1
