"""A cascade after FrugalGPT whose judge also sees which of the earlier answers say the same."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from dacr.core.registry import routers
from dacr.estimates.answers.read import UNREAD
from dacr.routers.cascade import CascadeRouter
from dacr.routers.heard import heard
from dacr.routers.plans.base import same_answer
from dacr.types import Attempts, Estimates, Floats


@routers.register("cascade_agreement")
class CascadeAgreementRouter(CascadeRouter):
    """``cascade`` with two more features of an answer: could it be read, and how many earlier ones say the same?

    The scorer of FrugalGPT (Chen, Zaharia and Zou 2023, arXiv 2305.05176) with agreement as a feature. As ``cascade``
    it has no few-shot judge of its own: logistic regression takes the place of its fine-tuned DistilBERT.
    """

    needs_plans: ClassVar[bool] = True

    def _judge_features(self, requests: Estimates, tried: Sequence[Attempts]) -> Floats:
        answer = heard(tried)
        alike = [same_answer(answer[:, place], answer[:, -1]) for place in range(len(tried) - 1)]
        said = np.mean(alike, axis=0) if alike else np.zeros(len(answer))
        return np.column_stack([super()._judge_features(requests, tried), answer[:, -1] != UNREAD, said])
