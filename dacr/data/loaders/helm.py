"""HELM: run folders with ``scenario_state.json``, ``per_instance_stats.json`` and ``run_spec.json``."""

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any

from dacr.core.errors import UserError
from dacr.core.registry import loaders
from dacr.data.loaders.base import Records
from dacr.data.loaders.json_records import records, scalars
from dacr.data.loaders.texts import get
from dacr.data.sources import Member

DEFAULT_METRIC = "exact_match"
_COUNTS = {"num_prompt_tokens": "input_tokens", "num_output_tokens": "output_tokens", "inference_runtime": "latency_s"}


@loaders.register("helm")
class Helm(Records):
    """Quality is a stat by name (``exact_match`` by default); costs are made from prices; trials are averaged."""

    prefix = "request_states.item"
    trials = True
    known_by = ({"adapter_spec", "request_states"}, {"instance_id", "train_trial_index", "stats"})

    def reads(self, member: Member) -> bool:
        """The states of requests hold the texts."""
        return PurePosixPath(member.name).name == "scenario_state.json"

    def begin(self, member: Member, source: Sequence[Member]) -> None:
        """Read the statistics of the run's instances, and what it is a run of."""
        place = PurePosixPath(member.name).parent
        beside = {PurePosixPath(one.name).name: one for one in source if PurePosixPath(one.name).parent == place}
        if "per_instance_stats.json" not in beside:
            raise UserError(f"{member.name}: per_instance_stats.json is missing beside it; it holds the scores")
        spec = scalars(beside["run_spec.json"], ("name",)) if "run_spec.json" in beside else {}
        run = str(spec.get("name") or place.name)
        self._scenario = ",".join(part for part in run.split(",") if not part.startswith("model="))
        self._scenario = self._scenario.split(":model=", 1)[0]
        metric = self.quality_metric or DEFAULT_METRIC
        self._told: dict[tuple[str, int], dict[str, float]] = {}
        known: set[str] = set()
        for one in records(beside["per_instance_stats.json"]):
            if one.get("perturbation"):
                continue
            found: dict[str, float] = {}
            for stat in one["stats"]:
                name = stat["name"]["name"]
                known.add(name)
                if (name == metric or name in _COUNTS) and not stat["name"].get("perturbation") and stat.get("count"):
                    found["quality" if name == metric else _COUNTS[name]] = stat["sum"] / stat["count"]
            self._told.setdefault((str(one["instance_id"]), one["train_trial_index"]), {}).update(found)
        if metric not in known:
            raise UserError(f"--quality_metric {metric!r}: {place} has no such stat; it has {sorted(known)[:20]}")

    def rows(self, record: dict[str, Any], member: Member) -> Iterable[dict[str, Any]]:
        """One request is one outcome; those of perturbed instances, and of options apart, are left out."""
        instance = record["instance"]
        if instance.get("perturbation") or record.get("reference_index"):
            return
        trial = record.get("train_trial_index", 0)
        told = self._told.get((str(instance["id"]), trial), {})
        yield {
            "qid": f"{self._scenario}.{instance['id']}",
            "prompt": get(record, "request.prompt") or get(instance, "input.text"),
            "domain": self.domain_of(record, self._scenario),
            "model": get(record, "request.model") or get(record, "request.model_deployment"),
            "response": record["result"]["completions"][0]["text"] if get(record, "result.completions") else "",
            "trial": trial,
            **told,
        }
