"""A belief about which providers work now, from the outcomes that a caller saw.

Each provider is a hidden Markov chain of two states, sound and degraded, with a success rate in each. It
moves from one to the other at rates learnt from training episodes, whether it is called or not, so a
provider that was seen to fail is tried again after the time in which others have recovered. Reference:
Rabiner 1989, doi:10.1109/5.18626 (forward filter and Baum-Welch).
"""

from typing import Self

import numpy as np

from dacr.types import Floats, Ints

_ROUNDS = 60


class HealthFilter:
    """Forward filter of ``n_provider`` independent two-state chains.

    Attributes
    ----------
    start_ : (n_provider, 2) float
        Probability of (sound, degraded) at the first step.
    move_ : (n_provider, 2, 2) float
        move_[i, a, b]: probability of going from a to b in one step.
    rate_ : (n_provider, 2) float
        Success rate in each state.
    """

    def fit(self, outcomes: Ints) -> Self:
        """Fit by Baum-Welch (EM).

        Parameters
        ----------
        outcomes : (n_episode, n_step, n_provider) of 0 and 1
            What every provider would have answered, in training episodes.
        """
        y = np.moveaxis(np.asarray(outcomes, dtype=float), 2, 0)  # provider, episode, step
        n_provider = len(y)
        best = np.clip(y.mean(axis=1).max(axis=1), 0.6, 0.98)
        self.rate_ = np.column_stack([best, np.full(n_provider, 0.2)])
        self.start_ = np.tile([0.9, 0.1], (n_provider, 1))
        self.move_ = np.tile([[0.9, 0.1], [0.1, 0.9]], (n_provider, 1, 1))
        for _ in range(_ROUNDS):
            self._step_of_em(y)
        return self

    def _step_of_em(self, y: Floats) -> None:
        seen = np.where(y[..., None] > 0, self.rate_[:, None, None, :], 1 - self.rate_[:, None, None, :])
        n_step = y.shape[2]
        forward, backward = np.zeros_like(seen), np.ones_like(seen)
        for t in range(n_step):
            prior = self.start_[:, None, :] if t == 0 else np.einsum("pea,pab->peb", forward[:, :, t - 1], self.move_)
            joint = prior * seen[:, :, t]
            forward[:, :, t] = joint / joint.sum(axis=2, keepdims=True)
        pairs = np.zeros_like(self.move_)
        for t in range(n_step - 1, 0, -1):
            ahead = seen[:, :, t] * backward[:, :, t]
            back = np.einsum("pab,peb->pea", self.move_, ahead)
            joint = forward[:, :, t - 1, :, None] * self.move_[:, None] * ahead[:, :, None, :]
            pairs += (joint / joint.sum(axis=(2, 3), keepdims=True)).sum(axis=1)
            backward[:, :, t - 1] = back / back.sum(axis=2, keepdims=True)
        state = forward * backward
        state /= state.sum(axis=3, keepdims=True)
        # One pseudo-count each keeps a provider that never failed in training from being beyond doubt.
        self.start_ = (state[:, :, 0].sum(axis=1) + 0.5) / (y.shape[1] + 1.0)
        self.move_ = (pairs + 0.5) / (pairs.sum(axis=2, keepdims=True) + 1.0)
        self.rate_ = ((state * y[..., None]).sum(axis=(1, 2)) + 0.5) / (state.sum(axis=(1, 2)) + 1.0)

    def reset(self) -> None:
        """Begin an episode."""
        self.belief = self.start_.copy()

    def predict(self) -> Floats:
        """Return the success probability of each provider at the coming step: (n_provider,)."""
        return (self.belief * self.rate_).sum(axis=1)

    def update(self, provider: int | None, success: bool) -> None:
        """Take the outcome of one step (``None``: nobody was called), and move on to the next."""
        if provider is not None:
            likely = self.rate_[provider] if success else 1 - self.rate_[provider]
            self.belief[provider] *= likely
            self.belief[provider] /= self.belief[provider].sum()
        self.belief = np.einsum("pa,pab->pb", self.belief, self.move_)
