from dacr.data.prepare import prepare_routerbench
from dacr.data.table import load
from dacr.experiment.notebook.results import ExperimentResults, run
from dacr.experiment.settings import ExperimentSettings

__all__ = ["ExperimentResults", "ExperimentSettings", "load", "prepare", "run"]

__version__: str
prepare = prepare_routerbench
