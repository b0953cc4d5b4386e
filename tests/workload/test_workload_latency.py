from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dacr.core.errors import UserError
from dacr.data import tokens
from dacr.data.tokens import output_tokens
from dacr.workload import latency, latency_fit
from dacr.workload.latency import LatencyModel, Profile


@pytest.fixture
def two() -> LatencyModel:
    return LatencyModel(
        {"slow": Profile("slow", 1.0, 10.0), "fast": Profile("fast", 0.5, 100.0)}, {"a": "slow"}, "fast"
    )


def test_latency_by_hand(two):
    counts = np.array([[20, 20], [1, 300]])
    expected = np.array([[3.0, 0.7], [1.1, 3.5]])
    np.testing.assert_allclose(two.typical(["a", "b"], counts), expected)
    found = two.latencies(["q", "r"], ["a", "b"], counts, np.array([1.0, 2.0]), 0.0, seed=1)
    np.testing.assert_allclose(found, expected * [[1], [2]])
    assert two.unknown(["a", "b"]) == ["b"] and two.profile_of("b").name == "fast"


@pytest.mark.parametrize("cv", [0.05, 0.1, 0.5, 1.0])
def test_noise_has_mean_one_and_the_given_cv(cv):
    drawn = latency.noise([f"q{i}" for i in range(40_000)], ["a", "b", "c"], cv, seed=2)
    assert drawn.mean() == pytest.approx(1.0, abs=0.012)
    assert drawn.std() / drawn.mean() == pytest.approx(cv, rel=0.04)
    logs = np.log(drawn)
    assert abs(((logs - logs.mean()) ** 3).mean() / logs.std() ** 3) < 0.03, "lognormal: no skew in the log"
    assert np.abs(np.corrcoef(drawn.T) - np.eye(3)).max() < 0.02


@given(st.permutations(list(range(6))), st.permutations(["a", "b", "c"]), st.integers(1, 3))
@settings(deadline=None, max_examples=30)
def test_noise_belongs_to_query_and_model(rows, models, kept):
    ids = [f"q{i}" for i in range(6)]
    whole = latency.noise(ids, ["a", "b", "c"], 0.3, seed=7)
    part = latency.noise([ids[i] for i in rows[:kept]], models[:kept], 0.3, seed=7)
    columns = ["abc".index(name) for name in models[:kept]]
    np.testing.assert_array_equal(part, whole[np.ix_(rows[:kept], columns)])


def test_another_seed_is_another_noise_and_zero_is_none():
    ids = [f"q{i}" for i in range(9)]
    assert (latency.noise(ids, ["a"], 0.1, 1) != latency.noise(ids, ["a"], 0.1, 2)).all()
    assert (latency.noise(ids, ["a"], 0.0, 1) == 1).all()


def test_shipped_profiles_serve_every_catalogued_model():
    model = LatencyModel.from_yaml()
    catalogue = yaml.safe_load((latency.DEFAULT_CONFIG.parent / "models.yaml").read_text())["models"]
    assert len(catalogue) == 11 and model.unknown(list(catalogue)) == []
    names = [name.lower() for entry in catalogue.values() for name in entry["aliases"]]
    assert len(set(names)) == len(names), "an alias means one model"
    assert all(
        entry["price_per_million_output"] >= entry["price_per_million_input"] > 0 for entry in catalogue.values()
    )


def test_shipped_profiles_are_what_the_measurements_give(shared_data, tmp_path):
    out = tmp_path / "latency.yaml"
    latency_fit.fit_latency(csv=shared_data / "llmperf_latency.csv", out=out)
    assert out.read_bytes() == latency.DEFAULT_CONFIG.read_bytes()


def test_profiles_predict_the_medians_of_the_groups_they_were_fitted_to(shared_data):
    requests = latency_fit.read_llmperf(shared_data / "llmperf_latency.csv")
    assert len(requests) == 2306 and requests["error_code"].isna().all()
    groups = latency_fit.fit_groups(requests)
    assert len(groups) == 19
    median = (
        requests.groupby(["provider", "size"])[["end_to_end_latency_s", "number_output_tokens"]].median().reset_index()
    )
    predicted = groups["ttft_s"] + median["number_output_tokens"] / groups["tokens_per_s"]
    error = (predicted / median["end_to_end_latency_s"] - 1).abs()
    # one provider sends the whole answer at once after a cold start: its speed says nothing
    streams = groups["provider"] != "replicate"
    assert error[streams].max() < 0.05
    assert error.median() < 0.02
    profiles = LatencyModel.from_yaml().profiles
    for name, size in (("7b", "llama-2-7b-chat"), ("13b", "llama-2-13b-chat"), ("70b", "llama-2-70b-chat")):
        mine = groups[groups["size"] == size]
        assert profiles[name].ttft_s == pytest.approx(mine["ttft_s"].median(), abs=0.001)
        assert profiles[name].tokens_per_s == pytest.approx(mine["tokens_per_s"].median(), abs=0.1)
    assert profiles["13b"].tokens_per_s > profiles["34b"].tokens_per_s > profiles["70b"].tokens_per_s


def test_the_tail_of_the_noise_against_the_measured_one(shared_data):
    groups = latency_fit.fit_groups(latency_fit.read_llmperf(shared_data / "llmperf_latency.csv"))
    ours = np.quantile(latency.noise([f"q{i}" for i in range(20_000)], ["a"], 0.10, 1), 0.99)
    # the default CV of .10 has the tail of an ordinary provider; a few have far longer ones
    assert ours == pytest.approx(groups["p99_over_median"].median(), abs=0.05)
    assert (groups["p99_over_median"] > 3).sum() == 2


def test_fit_by_hand(tmp_path):
    rows = ["provider,size,error_code,ttft_s,end_to_end_latency_s,number_output_tokens"]
    rows += ["x,s,,1,11,101", "x,s,,1,6,101", "x,s,,1,3,101"]  # speeds 10, 20, 50: median 20
    rows += ["y,s,,3,5,81"]  # speed 40
    rows += ["y,s,429,0,0,0", "y,s,,2,2,1"]  # failed; nothing after the first token
    path = tmp_path / "requests.csv"
    path.write_text("\n".join(rows) + "\n")
    config = {
        "small": {"fit": {"sizes": ["s"]}},
        "y": {"fit": {"providers": ["y"]}},
        "mid": {"between": {"profiles": ["small", "y"], "billions": [1, 4], "at": 2}},
        "fixed": {"ttft_s": 9, "tokens_per_s": 9},
    }
    found = latency_fit.fit_profiles(latency_fit.read_llmperf(path), config)
    assert (found["small"]["ttft_s"], found["small"]["tokens_per_s"], found["small"]["requests"]) == (2.0, 30.0, 4)
    assert (found["y"]["ttft_s"], found["y"]["tokens_per_s"]) == (3.0, 40.0)
    assert (found["mid"]["ttft_s"], found["mid"]["tokens_per_s"]) == (round(6**0.5, 3), round(1200**0.5, 1))
    assert found["fixed"] == config["fixed"]
    with pytest.raises(UserError, match="no request of sizes"):
        latency_fit.fit_profiles(latency_fit.read_llmperf(path), {"z": {"fit": {"providers": ["z"]}}})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[1", "not YAML"),
        ("a: 1", "profiles"),
        ("default: x\nprofiles: {a: {ttft_s: 1, tokens_per_s: 1}}", "'default' uses profile 'x'"),
        ("default: a\nprofiles: {a: {ttft_s: 1}}", "tokens_per_s"),
        (
            "default: a\nprofiles: {a: {ttft_s: 0, tokens_per_s: 1}}",
            "profile 'a': ttft_s: expected a number above 0, got '0'",
        ),
        ("default: a\nprofiles: {a: {ttft_s: 1, tokens_per_s: 1}}\nmodels: {m: b}", "'m' uses profile 'b'"),
    ],
)
def test_bad_configs(tmp_path, text, says):
    path = tmp_path / "latency.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=says):
        LatencyModel.from_yaml(path)


@given(st.lists(st.one_of(st.none(), st.text(alphabet="ab \n\té漢", max_size=12)), max_size=30), st.integers(0, 5))
@settings(deadline=None, max_examples=100)
def test_words_are_what_split_gives(texts, start):
    column = pa.array(texts, pa.string()).slice(min(start, len(texts)))
    assert tokens.words(column).tolist() == [len((text or "").split()) for text in texts[start:]]


def test_words_across_blocks(monkeypatch):
    monkeypatch.setattr(tokens, "_BLOCK", 3)
    assert tokens.words(pa.array(["a b", "", "c ", " d", "e", "f g h", ""])).tolist() == [2, 0, 1, 1, 1, 3, 0]


def test_tokens_by_hand():
    text = pa.array(["a b c d e f", "internationalisation", "", None, " \n ", "Zażółć gęślą jaźń"])
    assert output_tokens(text, 1, "words")[:, 0].tolist() == [6, 1, 1, 1, 1, 3]
    assert output_tokens(text, 1, "chars", 4)[:, 0].tolist() == [3, 5, 1, 1, 1, 5]
    assert output_tokens(text, 1, "max", 4)[:, 0].tolist() == [6, 5, 1, 1, 1, 5]
    assert output_tokens(text, 3, "max", 100).tolist() == [[6, 1, 1], [1, 1, 3]]
    assert output_tokens(pa.array(["a b"], pa.large_string()), 1).tolist() == [[2.0]]
