"""The offline twin of the labelling model: a classifier on text features, no key."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from dacr.estimates.features.text import hashed_counts
from dacr.live.domain_labels import label_of_family

# A few requests of each kind, so that it works without any data; `--data` teaches it much more.
_EXAMPLES = {
    "math": (
        "A shop sells 12 apples for 3 dollars. How much do 20 apples cost?",
        "Solve the equation 3x + 5 = 20 for x.",
        "She has 15 marbles, gives away 4 and buys twice as many. How many marbles are left in total?",
        "What is the derivative of x squared times sine of x?",
    ),
    "code": (
        "Write a Python function that returns the longest common prefix of a list of strings.",
        "def add(a, b): Fix the bug in this code so that assert add(1, 2) == 3 passes.",
        "How do I sort a dictionary by value in JavaScript?",
        "Your code should pass these tests: assert is_prime(7) == True",
    ),
    "knowledge_qa": (
        "Which of the following is the capital of Australia? A) Sydney B) Canberra C) Perth D) Hobart",
        "Who discovered penicillin, and in which year?",
        "Which statement about the cell membrane is correct? A. B. C. D.",
        "In contract law, what is consideration?",
    ),
    "commonsense": (
        "Choose the most plausible ending: She puts the cake in the oven and then",
        "The trophy does not fit into the suitcase because it is too big. What is too big?",
        "Fill in the blank with the right option: Maria was kinder than Laura because _ helped strangers.",
        "A man climbs a ladder with a bucket of paint. What happens next?",
    ),
    "dialogue_chat": (
        "Hi, how are you today? Let's talk about travelling.",
        "Pretend to be a pirate and chat with me.",
        "Write a friendly email that thanks a colleague for her help.",
        "Compose an engaging travel blog post about a trip to Hawaii.",
    ),
    "reasoning": (
        "All bloops are razzies and all razzies are lazzies. Are all bloops lazzies?",
        "Three people stand in a row. Ann is left of Bob, Bob is left of Cem. Who is in the middle?",
        "If it rains the street is wet. The street is not wet. What follows? Think step by step.",
        "Which conclusion follows logically from the premises?",
    ),
    "summarization": (
        "Summarize the following article in two sentences.",
        "Give a title for this abstract.",
        "Write a short summary of the meeting notes below.",
        "Condense this text to its main points: tl;dr",
    ),
    "translation": (
        "Translate the following sentence from English to German.",
        "How do you say good morning in Japanese?",
        "Translate to French: The weather is nice today.",
        "Give the English translation of this Spanish text.",
    ),
    "rag": (
        "Answer the question using only the context below. Context: [1] [2] Question:",
        "According to the provided documents, when was the company founded? Cite the passage.",
        "Based on the retrieved passages, answer or say that the context does not tell.",
        "Use the following search results to answer the query.",
    ),
}
_SURE_ENOUGH = 0.2


def local_labels(
    questions: Sequence[str], taught: Sequence[str] = (), taught_domains: Sequence[str] = ()
) -> list[tuple[str, float]]:
    """Label questions by a logistic regression on hashed TF-IDF counts; "other" where no label is likely.

    Parameters
    ----------
    taught, taught_domains : sequence of str
        Further questions with their benchmark domains, of which those with a known family are learnt.

    Returns
    -------
    (label, probability) per question.
    """
    texts = [text for examples in _EXAMPLES.values() for text in examples]
    labels = [label for label, examples in _EXAMPLES.items() for _ in examples]
    for text, domain in zip(taught, taught_domains, strict=True):
        label = label_of_family(domain)
        if label is not None:
            texts.append(text)
            labels.append(label)
    counts = hashed_counts(texts)
    terms = np.flatnonzero(counts.getnnz(axis=0))  # most of the hash buckets are empty
    model = make_pipeline(
        TfidfTransformer(sublinear_tf=True), LogisticRegression(C=10.0, class_weight="balanced", max_iter=300)
    )
    model.fit(counts[:, terms], labels)
    p = model.predict_proba(hashed_counts(questions)[:, terms])
    best = p.argmax(axis=1)
    names = [str(model.classes_[k]) if row[k] >= _SURE_ENOUGH else "other" for row, k in zip(p, best, strict=True)]
    return list(zip(names, p.max(axis=1).tolist(), strict=True))
