"""What is read off the prompts of a table, each once: questions, their words, features, near-duplicates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dacr.core import memory
from dacr.core.background import one_thread
from dacr.core.cache import Cache
from dacr.estimates.features.near_duplicates import N_HASH, nearest, signatures
from dacr.estimates.features.question import questions_of
from dacr.estimates.features.text import TextFeatures, compact, counts_of
from dacr.estimates.features.words import in_blocks
from dacr.types import Floats, Ints


@dataclass
class Prompts:
    """Prompts of one split.

    Parameters
    ----------
    prompt : (n_query,) object
    train, test : (n,) int
        Rows of the training and of the test part.
    given : (n_query, n_feature) float32, optional
        Features that replace the project's own.
    progress : callable
        Is told what is being done.
    """

    prompt: NDArray[np.object_]
    train: Ints
    test: Ints
    given: NDArray[np.float32] | None
    cache: Cache
    progress: Callable[[str], None]

    @cached_property
    def x(self) -> NDArray[np.float32]:
        """Features of every query, fitted on the training part: (n_query, n_feature)."""
        return self._read["x"].astype(np.float32, copy=False) if self.given is None else self.given

    @property
    def question_chars(self) -> Ints:
        """Characters of each question: (n_query,)."""
        return self._read["question_chars"]

    def questions(self, rows: Ints) -> list[str]:
        """Return the question in the prompt of each row, cut from it once for whoever asks: (n,)."""
        uncut = rows[self._questions[rows] == None]  # noqa: E711 (element by element)
        self._questions[uncut] = questions_of(self.prompt[uncut])
        return list(self._questions[rows])

    def nearest(self) -> tuple[Floats, Ints]:
        """Return how similar the nearest training question of each test row is, and which: (n_test,) each.

        See :func:`~dacr.estimates.features.near_duplicates.nearest_in_training`.
        """
        minima = self._read["minima"]
        return nearest(minima[self.train], minima[self.test])

    @cached_property
    def _questions(self) -> NDArray[np.object_]:
        return np.full(len(self.prompt), None, dtype=object)

    @cached_property
    def _read(self) -> dict[str, np.ndarray]:
        own = self.given is None

        def compute() -> dict[str, np.ndarray]:
            self.progress("features")
            questions = self.questions(np.arange(len(self.prompt)))
            chars = np.array([len(question) for question in questions])
            minima, counts, done = np.empty((len(questions), N_HASH), dtype=np.uint32), [], 0
            for words in in_blocks(questions):
                minima[done : done + len(words)] = signatures(words)
                counts += [compact(counts_of(words))] if own else []
                done += len(words)
            read = {"question_chars": chars, "minima": minima}
            if own:
                # One thread for linear algebra: a sum split over threads rounds differently.
                with one_thread():
                    features = TextFeatures().fit(counts, self.train)
                    rows = [features.transform(counts.pop(0)) for _ in range(len(counts))]  # each is given up
                memory.release()
                read["x"] = np.concatenate(rows)
            return read

        parts = {"prompts": self.prompt, "train": self.train, "params": vars(TextFeatures()), "own": own}
        found = self.cache.get("features", parts, compute)
        memory.release()  # words are many small pieces
        return found
