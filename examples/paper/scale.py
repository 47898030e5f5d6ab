"""How large each experiment is."""

from __future__ import annotations

from dataclasses import dataclass

from .samples import EXTRA_SETS

__all__ = ["Scale"]


@dataclass(frozen=True)
class Scale:
    """How much is computed.

    Attributes
    ----------
    curve_pairs : int
        Curves are made of the first victim and surrogate, then the other victims with that
        surrogate, then that victim with the other surrogates: of so many pairs, and of none where
        ``curve_seeds`` is 0.
    curve_strategies : tuple of str
        Where given, only these are followed in curves. All but the first stop below the whole pool,
        of which all ask the same rows. Default: all on the first pair, the main ones on others.
    extra_surrogates : int
        The first of them also learn from the sets that the paper lacks, and have their boundaries
        compared with the victim's.
    extra_sets : tuple of str
        Which of those sets.
    n_measured, n_pool : int, optional
        Test rows, and training rows: the attacker's pool. Default: all there are, as in the paper;
        and as many as ``n_measured``.
    n_random : int, optional
        Random inputs of each law. Default: as many as natural ones, as in the paper.
    small_surrogates : bool
        Whether CIFAR-100's surrogates are narrower than their sources say.
    """

    name: str
    seeds: int
    victim_steps: int
    table_steps: int
    curve_seeds: int
    curve_steps: int
    budgets: tuple[int, ...]
    width_seeds: int
    transfer_seeds: int = 1
    curve_pairs: int = 1
    curve_strategies: tuple[str, ...] = ()
    extra_surrogates: int = 1
    n_measured: int | None = None
    n_pool: int | None = None
    n_random: int | None = None
    n_transfer: int = 1000
    n_votes: int = 10_000
    batch_size: int = 128
    extra_sets: tuple[str, ...] = EXTRA_SETS
    small_surrogates: bool = False
