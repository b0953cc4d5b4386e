"""``dacr COMMAND ...``, or ``python -m dacr COMMAND ...``: every stage by one command."""

import contextlib
import gc
import io
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import dacr
from dacr.core import cli, errors, files


@dataclass(frozen=True)
class Command:
    """One stage.

    Attributes
    ----------
    stage : str
        ``module:function``; imported when it is asked for, since most commands need little of the package.
    file : str or None
        The file in scripts/ that runs the same stage with the same flags; called like the function by default.
    how : dict
        Further arguments of :func:`dacr.core.cli.run`; ``module:name`` stands for an object.
    """

    stage: str
    help: str
    file: str | None = None
    how: dict[str, Any] = field(default_factory=dict)

    @property
    def script(self) -> str:
        """Name of the file in scripts/; empty where there is none."""
        return self.stage.partition(":")[2] if self.file is None else self.file


def _settings(place: str) -> dict[str, Any]:
    return {"settings_class": place}


_OWN = {"config_flag": None}  # these stages have a --config of their own
_LIST = {"commands": {"list": "dacr.core.registry:list_parts"}}
COMMANDS = {
    "demo": Command("dacr.__main__:demo", "from nothing to figures, on the embedded benchmark", ""),
    "prepare": Command("dacr.data.prepare:prepare_routerbench", "bring a benchmark in"),
    "stream": Command("dacr.workload.stream:build_stream", "which query arrives when"),
    "latency": Command("dacr.workload.simulate:simulate_latency", "simulate latency"),
    "run": Command(
        "dacr.experiment.run:run_experiment",
        "run routers against baselines on a benchmark",
        how=_settings("dacr.experiment.settings:ExperimentSettings") | _LIST,
    ),
    "figures": Command("dacr.report.make:make_figures", "figures and tables of results"),
    "card": Command("dacr.report.card:make_card", "a card for results or a prepared table"),
    "compare": Command("dacr.experiment.compare:compare_runs", "compare two results folders", how={"positional": True}),
    "off-policy": Command("dacr.experiment.off_policy.stage:evaluate_policies", "judge policies from a log"),
    "score": Command("dacr.experiment.scoring.score:score_decisions", "score decisions that were made elsewhere"),
    "export": Command("dacr.experiment.scoring.export:export_decisions", "decisions for score, or for RouterArena"),
    "sweep": Command("dacr.experiment.sweep.driver:run_sweep", "run a grid of experiments", how=_OWN),
    "study": Command("dacr.experiment.studies.holdouts:study_holdouts", "hold out families of domains"),
    "calibration": Command("dacr.experiment.studies.calibration:calibration_study", "compare all calibrators"),
    "verify": Command("dacr.experiment.verify.stage:verify", "check this installation and these data"),
    "sample": Command("dacr.data.sample.schemas:write_files", "write the embedded benchmark", "make_sample"),
    "systems": Command("dacr.experiment.systems:replay_systems", "rules and fallback chain on recorded outcomes"),
    "route": Command(
        "dacr.live.route:route_live", "route live requests", how=_OWN | _settings("dacr.live.route:RouteSettings")
    ),
    "collect": Command(
        "dacr.live.collect:collect_latency",
        "measure the latency of real endpoints",
        "collect_latency_openai",
        _OWN | _settings("dacr.live.caller:CollectSettings"),
    ),
    "align": Command("dacr.live.catalogue:align_latency", "rename models of a latency log", how=_OWN),
    "fit-latency": Command("dacr.workload.latency_fit:fit_latency", "fit latency profiles to measured requests"),
    "label": Command(
        "dacr.live.labelling:label_domain", "give queries a coarse domain label", "label_domain_openai", _OWN
    ),
    "play": Command("dacr.envs.play:play_budget", "play BudgetRouter-v0 with one policy"),
    "train": Command(
        "dacr.envs.ppo:train_ppo", "train PPO in an environment", how=_settings("dacr.envs.ppo:TrainingRun")
    ),
    "eval-envs": Command("dacr.envs.evaluate:eval_envs", "evaluate all policies in both environments"),
    "check-part": Command("dacr.contracts.__main__:check_part", "check the contract of one part", "", _OWN),
    "completion": Command("dacr.__main__:completion", "print what a shell needs to complete commands", "", _OWN),
    "doctor": Command("dacr.core.doctor:doctor", "versions, cache, programs, and what is missing for what", "", _OWN),
}

DEMO = (
    "prepare --sample {queries} --out {data}/long.parquet",
    "stream --data {data}/long.parquet --ood_holdout {holdout} --out {data}/stream.jsonl --max_queries 0",
    "latency --data {data}/long.parquet --stream {data}/stream.jsonl --out {data}/latency_eff.jsonl "
    "--out_base {data}/latency_base.jsonl",
    "run --data {data}/long.parquet --stream {data}/stream.jsonl --latency_log {data}/latency_eff.jsonl "
    "--results_dir {results} --ood_holdout {holdout} --budget_grid 5",
)
"""The commands of the demo: those of ``make demo``."""
HOLDOUT = "grade-school-math,mbpp"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    name, *rest = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    if name in ("--version", "-V"):
        print(f"dacr {dacr.__version__}")
        return 0
    if name in ("--help", "-h", "help"):
        print(_overview())
        return 0
    if name not in COMMANDS:
        hint = errors.did_you_mean(name, list(COMMANDS))
        print(f"error: unknown command {name!r}{hint} see dacr --help", file=sys.stderr)
        return 2
    command = COMMANDS[name]
    sys.argv = [f"dacr {name}", *rest]  # what a manifest names as the command
    return _run(command, rest)


def script(path: str) -> int:
    """Run the stage of a file in scripts/, with the words of its command line; return its exit code."""
    return _run(next(command for command in COMMANDS.values() if command.script == Path(path).stem), sys.argv[1:])


def _run(command: Command, words: Sequence[str]) -> int:
    stage = _later(command) if "settings_class" in command.how else _named(command.stage)
    return cli.run(stage, words, **{key: _named(value) for key, value in command.how.items()})


def _later(command: Command) -> Callable[[Any], Any]:
    """Return the stage of a command whose flags are known without it: it is imported when it runs, not for --help."""

    def stage(settings: Any) -> Any:
        run = _named(command.stage)
        gc.freeze()  # modules stay: each full collection would look at all of them again
        return run(settings)

    stage.__doc__ = command.help
    return stage


def demo(*, out: str = "dacr_demo", queries: int = 4000) -> int:
    """Make the demo: the embedded benchmark, a stream, latencies, an experiment, figures; no download.

    Parameters
    ----------
    out : str
        Folder for data/ and results/.
    queries : int
        Queries of the benchmark.
    """
    folder = files.make_folder(out)
    places = {"data": folder / "data", "results": folder / "results", "holdout": HOLDOUT, "queries": queries}
    for step in DEMO:
        words = [part.format(**places) for part in shlex.split(step)]
        print(f"\n$ dacr {shlex.join(words)}", flush=True)
        if code := main(words):
            return code
    print(f"\nBegin with {folder}/results/figures/quality_cost.png, or open {folder}/results/report.html.")
    return 0


def completion(*, shell: Literal["bash", "zsh"] = "bash") -> None:
    """Print a completion script of all commands and flags: ``dacr completion > FILE`` once, then ``source FILE``.

    Parameters
    ----------
    shell : str
        bash or zsh.
    """
    cases = []
    for name in COMMANDS:
        told = io.StringIO()
        with contextlib.redirect_stdout(told), contextlib.suppress(SystemExit):
            main([name, "--help"])
        flags = dict.fromkeys(re.findall(r"(?<![\w-])--[a-z]\w*", told.getvalue()))
        cases.append(f"    {name}) words='{' '.join(flags)}' ;;")
    script = _COMPLETION.format(commands=" ".join(COMMANDS), cases="\n".join(cases))
    print(("autoload -U bashcompinit && bashcompinit\n" if shell == "zsh" else "") + script)


_COMPLETION = """\
_dacr() {{
  local words
  case "${{COMP_WORDS[1]}}" in
{cases}
  esac
  [ "$COMP_CWORD" = 1 ] && words='{commands}'
  COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o default -F _dacr dacr"""


def _named(value: Any) -> Any:
    """Return the object that ``module:name`` names; anything else as it is, mappings by their values."""
    if isinstance(value, dict):
        return {key: _named(one) for key, one in value.items()}
    if not isinstance(value, str):
        return value
    module, _, name = value.partition(":")
    return getattr(import_module(module), name)


def _overview() -> str:
    lines = [f"  {name:<12} {command.help}" for name, command in COMMANDS.items()]
    head = f"dacr {dacr.__version__}: offline research on LLM routing\n\nusage: dacr COMMAND [flags]\n\n"
    return head + "\n".join(lines) + "\n\ndacr COMMAND --help tells its flags. Begin with: dacr demo --out demo"


if __name__ == "__main__":
    sys.exit(main())
