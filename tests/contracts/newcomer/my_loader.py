"""Exam sheets: one row per question and model, graded from 0 to 20 points."""

from dacr.core.registry import loaders
from dacr.data.loaders.base import Loader, sample_rows

NAMES = {"exam_id": "qid", "question": "prompt", "subject": "domain", "llm": "model", "usd": "cost"}


@loaders.register("newcomer_loader")
class ExamSheets(Loader):
    """Columns ``exam_id, question, subject, llm, points, usd``."""

    known_by = ({"exam_id", "question", "llm", "points"},)

    def convert(self, frame):
        """Rename the columns and turn points into a share."""
        return frame.rename(columns=NAMES).assign(quality=frame["points"] / 20, response="").drop(columns="points")

    @classmethod
    def sample(cls):
        """Two questions and two models."""
        theirs = sample_rows(**{ours: name for name, ours in NAMES.items()})
        return theirs.assign(points=theirs["quality"] * 20).drop(columns=["quality", "response"])
