"""Texts reach the routers that read them: in every experiment, block by block."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dacr.core import cli
from dacr.data.prepare import prepare_routerbench
from dacr.data.table import load
from dacr.estimates.features.question import questions_of
from dacr.experiment.run import run_experiment
from dacr.experiment.settings import ExperimentSettings
from dacr.routers import texts
from dacr.routers.rules.answers import expected_format
from dacr.routers.rules.chain import PUBLISHED
from dacr.routers.rules.classes import CLASSES, class_codes

FIRST = PUBLISHED[0]


def run(data: Path, folder: Path, *flags: str) -> pd.DataFrame:
    """Play rules and chain on the held-out families; return the decisions."""
    words = ["--data", data, "--results_dir", folder, "--routers", "rules,chain", "--ood_holdout", "mmlu,mbpp,mtbench"]
    words += ["--seeds", "1", "--n_jobs", "1", *flags]
    assert cli.run(run_experiment, [str(word) for word in words], settings_class=ExperimentSettings) == 0
    return pd.read_parquet(folder / "decisions.parquet").astype({"qid": str, "model": str, "policy": str})


def of(made: pd.DataFrame, policy: str) -> pd.DataFrame:
    return made[made["policy"] == policy].set_index("qid").sort_index()


@pytest.fixture(scope="module")
def made(sample_long: Path, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return run(sample_long, tmp_path_factory.mktemp("whole"))


def test_the_class_of_a_question_decides(made: pd.DataFrame, sample_long: Path) -> None:
    table = load(sample_long)
    code = dict(zip(table.qid, class_codes(questions_of(table.prompt)), strict=True))
    rules = of(made, "rules")
    classes = rules.index.map(code)
    assert len(set(classes)) > 1, "the mix of classes is not constant"
    hard = np.isin(classes, [CLASSES.index("complex"), CLASSES.index("critical")])
    assert hard.any() and rules["model"][hard].nunique() == 1
    easy = rules["model"][~hard]
    assert easy.nunique() == 1 and easy.iloc[0] != rules["model"][hard].iloc[0]


def test_an_answer_of_the_wrong_form_is_rejected(made: pd.DataFrame, sample_long: Path, tmp_path: Path) -> None:
    """Half of the first model's answers lose their form: then they are paid, and the next model is asked."""
    frame = pd.read_parquet(sample_long)
    formed = frame["domain"].map(lambda name: expected_format(str(name)) > 0) & (frame["model"] == FIRST)
    spoilt = formed & (np.arange(len(frame)) % 2 == 0)
    frame.loc[spoilt, "response"] = "hm, hard to say"
    frame.to_parquet(tmp_path / "long.parquet")
    chain, other = of(made, "chain"), of(run(tmp_path / "long.parquet", tmp_path / "r"), "chain")
    kept = chain["model"] == FIRST
    touched = kept.index.isin(frame.loc[spoilt, "qid"])
    lost = kept & touched
    assert lost.sum() > 20 and (kept & ~touched).sum() > 20
    assert (other["attempts"][lost] >= 2).all() and (other["model"][lost] != FIRST).all()
    assert (other["cost"][lost] > chain["cost"][lost]).all()
    pd.testing.assert_frame_equal(chain[~touched], other[~touched])


def test_answers_of_models_that_were_not_called_tell_nothing(
    made: pd.DataFrame, sample_long: Path, tmp_path: Path
) -> None:
    chain, frame = of(made, "chain"), pd.read_parquet(sample_long)
    place = frame["model"].astype(str).map({name: k for k, name in enumerate(PUBLISHED)}).fillna(len(PUBLISHED))
    attempts = frame["qid"].astype(str).map(chain["attempts"])
    frame.loc[attempts.notna() & (place >= attempts), "response"] = "I won't."
    frame.to_parquet(tmp_path / "long.parquet")
    pd.testing.assert_frame_equal(of(run(tmp_path / "long.parquet", tmp_path / "r"), "chain"), chain)


def test_a_label_that_is_hidden_asks_for_no_form(made: pd.DataFrame, sample_long: Path, tmp_path: Path) -> None:
    hidden = of(run(sample_long, tmp_path, "--domain_info", "none"), "chain")
    assert hidden["attempts"].sum() <= of(made, "chain")["attempts"].sum()


def test_blocks_change_nothing(
    made: pd.DataFrame, sample_long: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    hand = texts.Texts.responses

    def counted(block: texts.Texts, models: np.ndarray) -> object:
        found = hand(block, models)
        sizes.append(len(found))
        return found

    monkeypatch.setattr(texts, "BLOCK_ROWS", 50)
    monkeypatch.setattr(texts.Texts, "responses", counted)
    pd.testing.assert_frame_equal(run(sample_long, tmp_path), made)
    assert len(sizes) > 3 and max(sizes) == 50 * len(PUBLISHED), "no more answers at once than a block's, of the chain"


def test_without_texts_every_answer_in_time_is_kept(made: pd.DataFrame, sample_long: Path, tmp_path: Path) -> None:
    """A matrix store has prompts, and no answers."""
    prepare_routerbench(pkl=str(sample_long), out=str(tmp_path / "s.store"))
    stored = run(tmp_path / "s.store", tmp_path / "r")
    pd.testing.assert_series_equal(of(stored, "rules")["model"], of(made, "rules")["model"])
    chain = of(stored, "chain")
    assert chain.loc[chain["attempts"] == 1, "latency_s"].max() <= 8.0
    assert (chain.loc[chain["attempts"] == 2, "latency_s"] > 8.0).all()
