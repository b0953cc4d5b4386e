"""Which domain label of a request calibrators and routers see: ``--domain_info``."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dacr.core import files
from dacr.core.errors import UserError
from dacr.core.rng import generator
from dacr.replay.settings import WorldSettings
from dacr.replay.testbed import Testbed

Labels = NDArray[np.object_]
_MAX_ROW = 8000


def labels_for(settings: WorldSettings, bed: Testbed, x: NDArray[np.float32] | None) -> Labels | None:
    """Return the label of every query of the table, '' where it is not known; None for the table's own.

    * ``known``: the table's domain.
    * ``family``: the family of the domain alone.
    * ``inferred``: training queries have their family, test queries the one that their features look like.
    * ``llm``: labels from ``--domain_labels``, for training and test alike.
    * ``none``: training queries have their domain, test queries nothing.

    Parameters
    ----------
    x : (n_query, n_feature) float32 or None
        Needed for ``inferred``.
    """
    if settings.domain_info == "known":
        return None
    if settings.domain_info == "family":
        return bed.table.family
    if settings.domain_info == "llm":
        if settings.domain_labels is None:
            raise UserError("--domain_info llm needs --domain_labels FILE, from python scripts/label_domain_openai.py")
        return read_labels(settings.domain_labels, list(bed.table.qid))
    if settings.domain_info == "none":
        hidden = bed.table.domain.copy()
        hidden[bed.test] = ""
        return hidden
    assert x is not None
    return inferred(bed, x)


def inferred(bed: Testbed, x: NDArray[np.float32]) -> Labels:
    """Label test queries by a logistic regression of the family on the features, fitted on training queries."""
    from sklearn.linear_model import LogisticRegression  # here: it takes most of a second

    label = bed.table.family
    rows = bed.train
    if len(rows) > _MAX_ROW:
        rows = np.sort(generator("label rows").permutation(rows)[:_MAX_ROW])
    if len(set(label[rows])) == 1:
        label[bed.test] = label[rows[0]]
        return label
    model = LogisticRegression(max_iter=500, C=10.0).fit(x[rows], label[rows].astype(str))
    label[bed.test] = model.predict(x[bed.test]).astype(object)
    return label


def read_labels(path: Path, qids: Sequence[str], model: str | None = None) -> np.ndarray:
    """Return the label of each query as a domain name, '' where there is none: (n,) object.

    Parameters
    ----------
    model : str, optional
        Take the labels of this model; by default the file must hold those of one model only.

    Raises
    ------
    UserError
        No such file, labels of several models, or no label for any of the queries.
    """
    rows = files.read_jsonl(files.existing_file(path, made_by="python scripts/label_domain_openai.py"))
    models = sorted({str(row.get("model")) for row in rows})
    if model is None and len(models) > 1:
        raise UserError(f"{path} holds labels of several models ({', '.join(models)}); keep those of one")
    labels = {str(row["qid"]): str(row["label"]) for row in rows if model in (None, row.get("model"))}
    found = np.array([labels.get(str(qid), "") for qid in qids], dtype=object)
    if not (found != "").any():
        raise UserError(f"{path} labels none of these {len(found)} queries; label their stream first")
    return found
