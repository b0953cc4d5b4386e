"""Policies judged from what another policy logged: ``scripts/evaluate_policies.py``."""

from pathlib import Path

from dacr.core import registry
from dacr.core.cli import StrList
from dacr.core.errors import UserError
from dacr.experiment.off_policy.of_folder import of_folder
from dacr.experiment.off_policy.of_log import of_log
from dacr.experiment.off_policy.one_arm import Propensities, read_log


def evaluate_policies(
    *,
    results_dir: Path = Path("results_dacr"),
    policy: str = "dacr",
    data: Path | None = None,
    out: Path | None = None,
    plugin: Path | None = None,
    log: str | None = None,
    loader: str | None = None,
    scores: str | None = None,
    quality_metric: str | None = None,
    quality_range: str | None = None,
    domain_from: str | None = None,
    propensities: Propensities = "auto",
    decisions: StrList = StrList(),  # noqa: B008 - immutable
    router: Path | None = None,
) -> None:
    """Evaluate fixed policies from a log: a learner's in a results folder, or one that was made elsewhere.

    Parameters
    ----------
    results_dir : Path
        Folder that scripts/run_experiment.py wrote, with an exploration floor above 0: estimates beside the truth.
    policy : str
        The learner whose log is used. Its propensities must be above 0 for every model.
    data : Path, optional
        Long table with the truth; by default the one that the folder's manifest names.
    out : Path, optional
        CSV file for every single estimate; by default ope.csv in the results folder, of a log ope_log.csv.
    plugin : Path, optional
        Python file with registered routers or loaders of one's own.
    log : str, optional
        In place of a results folder: recorded calls with one model per request, in any format of docs/formats.md.
    loader : str, optional
        Which loader understands the log; found by its columns where not given.
    scores : str, optional
        File with request_id (or qid) and score, for logs that have none.
    quality_metric, quality_range, domain_from : str, optional
        As in prepare_routerbench.
    propensities : {auto, logged, by_domain, overall}
        How likely each call of the log was: logged (column propensity), or estimated as the model's share of the calls
        of a domain, or of all calls. auto: logged where they are, else by_domain.
    decisions : list of str
        Files of decisions of other routers on the log's queries, as score_decisions reads them.
    router : Path, optional
        A router that run_experiment --save_router wrote, to be judged on the log's prompts.

    Raises
    ------
    UserError
        A policy that was asked for calls models of which the log says nothing.
    """
    if plugin is not None:
        registry.load_plugin(plugin)
    if log is None:
        if scores or decisions or router:
            raise UserError("--scores, --decisions and --router need --log FILE, a log with one model per request")
        of_folder(results_dir, policy, data, out)
        return
    if data is not None:
        raise UserError("--data and --log exclude each other: a log has no truth beside it")
    options = {"quality_metric": quality_metric, "domain_from": domain_from}
    read = read_log(
        log,
        loader=loader,
        scores=scores,
        options=options,
        quality_range=quality_range,
        propensities=propensities,
        keep_prompts=router is not None,
    )
    config = {name: value for name, value in locals().items() if name not in ("read", "options", "out", "plugin")}
    of_log(read, log, decisions, router, scores, out or Path("ope_log.csv"), config)
