from __future__ import annotations

import json
from pathlib import Path

import pytest
from fault_server import FaultServer

from dacr.core import cli
from dacr.core.errors import UserError
from dacr.live.labelling import LABELS, agreement, label_domain, label_of_family, local_labels
from dacr.replay.labels import read_labels

PROMPTS = [
    ("q0", "Write a Python function that reverses a string.", "mbpp"),
    ("q1", "How many apples cost 7 dollars if one costs 0.50?", "grade-school-math"),
    ("q2", "Which of the following organs makes insulin? A) B) C) D)", "mmlu-anatomy"),
    ("q3", "Write a Python function that reverses a string.", "mbpp"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [{"qid": q, "prompt": p, "domain": d, "arrival_s": 0.0} for q, p, d in PROMPTS]
    (tmp_path / "stream.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "models.yaml").write_text("models: {judge: {}}")
    return tmp_path


def label(folder: Path, *more: str) -> int:
    words = ["--stream", str(folder / "stream.jsonl"), "--out", str(folder / "labels.jsonl")]
    return cli.run(label_domain, [*words, "--config", str(folder / "models.yaml"), *more], config_flag=None)


def labels_of(folder: Path) -> dict[str, str]:
    rows = [json.loads(line) for line in (folder / "labels.jsonl").read_text().splitlines()]
    assert len({(row["qid"], row["model"]) for row in rows}) == len(rows)
    return {row["qid"]: row["label"] for row in rows}


def answers(model: str, prompt: str, nth: int) -> dict | str:
    if nth == 1:
        return "server_error" if "apples" in prompt else {"text": "hm, I think ..."}
    name = "code" if "Python" in prompt else "math" if "apples" in prompt else "knowledge_qa"
    return {"text": f'```json\n{{"domain": "{name}"}}\n```'}


def test_labels_from_a_model_are_structured_cached_and_resumed(folder: Path, capsys) -> None:
    with FaultServer(answers).running() as server:
        assert label(folder, "--model", "judge", "--base_url", server.url) == 0
        asked = len(server.requests)
        assert asked == 2 * 3, "the same prompt is asked about once, bad answers twice"
        assert server.requests[0]["response_format"]["json_schema"]["schema"]["properties"]["domain"]["enum"] == list(
            LABELS
        )
        assert labels_of(folder) == {"q0": "code", "q1": "math", "q2": "knowledge_qa", "q3": "code"}
        assert "agreement with known families: 100.0% of 4" in capsys.readouterr().out
        log = folder / "labels.jsonl"
        log.write_text(log.read_text()[:-30])
        assert label(folder, "--model", "judge", "--base_url", server.url) == 0
        assert len(server.requests) <= asked + 2 and len(labels_of(folder)) == 4


def test_what_cannot_be_labelled_is_said_and_tried_again(folder: Path, capsys) -> None:
    with FaultServer(lambda *_: {"text": "no idea"}).running() as server:
        assert label(folder, "--model", "judge", "--base_url", server.url, "--retries", "1") == 1
    assert "not labelled: 3 no label in the answer" in capsys.readouterr().out
    assert labels_of(folder) == {}


def test_a_server_without_schemas(folder: Path) -> None:
    server = FaultServer()
    plain = {"text": '{"domain": "code"}'}
    server.plan = lambda *_: "bad_request" if "response_format" in server.requests[-1] else plain
    with server.running():
        assert label(folder, "--model", "judge", "--base_url", server.url) == 0


def test_a_refused_key(folder: Path, capsys) -> None:
    with FaultServer(lambda *_: "auth").running() as server:
        assert label(folder, "--model", "judge", "--base_url", server.url) == 2
    assert "refuses the API key" in capsys.readouterr().err
    assert label(folder, "--model", "jugde") == 2
    assert "did you mean 'judge'" in capsys.readouterr().err


def test_the_offline_twin_needs_no_key(folder: Path, capsys) -> None:
    assert label(folder, "--model", "local") == 0
    assert labels_of(folder) == {"q0": "code", "q1": "math", "q2": "knowledge_qa", "q3": "code"}
    first = (folder / "labels.jsonl").read_bytes()
    assert label(folder, "--model", "local") == 0
    assert (folder / "labels.jsonl").read_bytes() == first


def test_the_twin_learns_from_families() -> None:
    taught = ["zorp blick", "zorp quaff"] * 5
    assert local_labels(["zorp"], taught, ["winogrande"] * 10)[0][0] == "commonsense"


def test_agreement_by_hand() -> None:
    lines = agreement(["code", "math", "code"], ["mbpp", "mbpp", "chinese_zodiac"])
    assert "code 50.0%" in "".join(lines) and "50.0% of 2" in lines[-1]
    assert label_of_family("arc-challenge") == "knowledge_qa"


def test_labels_are_read_back_as_domains(folder: Path) -> None:
    assert label(folder, "--model", "local") == 0
    path = folder / "labels.jsonl"
    assert read_labels(path, ["q1", "nowhere", "q0"]).tolist() == ["math", "", "code"]
    with pytest.raises(UserError, match="labels none"):
        read_labels(path, ["nowhere"])
    path.write_text(path.read_text() + '{"qid": "q0", "label": "math", "model": "other"}\n')
    with pytest.raises(UserError, match="several models"):
        read_labels(path, ["q0"])
    assert read_labels(path, ["q0"], "other").tolist() == ["math"]
