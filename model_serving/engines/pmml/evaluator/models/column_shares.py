"""Reads the distributions of a tree's nodes from columns (PMML 4.4, TreeModel: ScoreDistribution)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from model_serving.engines.pmml.evaluator.models.column_trees import read_numbers, read_texts
from model_serving.engines.pmml.evaluator.reading import Unsupported, number

if TYPE_CHECKING:
    from collections.abc import Callable

    from model_serving.engines.pmml.evaluator.batch import Mask, Rows
    from model_serving.engines.pmml.evaluator.models.column_trees import ColumnTree
    from model_serving.engines.pmml.evaluator.symbols import Numbers

__all__ = ["Shares", "read_shares"]


@dataclass(frozen=True, slots=True, eq=False)
class Shares:
    """The S shares of some nodes, and the G nodes that have any.

    Attributes:
        owners: the place of each share's node among the nodes, shape (S,).
        values: the classes, shape (S,).
        weights: the probabilities, or the recordCounts of nodes without, shape (S,).
        confidences: the confidences, shape (S,).
        has_confidence: which shares have one, shape (S,).
        groups: the places of the nodes with shares, shape (G,).
        winners: the class with the greatest recordCount in each, the first on ties, shape (G,).
    """

    owners: Rows
    values: Numbers
    weights: Numbers
    confidences: Numbers
    has_confidence: Mask
    groups: Rows
    winners: Numbers


def read_shares(tree: ColumnTree, ranks: Rows, read_class: Callable[[str], float]) -> Shares | None:
    """Reads the shares of the nodes with these ranks, which rise. Returns None if there are none.

    Raises:
        Unsupported: a share has no weight, or one that is no share.
    """
    place = np.full(len(tree.nodes), -1)
    place[ranks] = np.arange(len(ranks))
    owners = place[tree.share_owners]
    shares, owners = tree.shares[owners >= 0], owners[owners >= 0]
    if not len(shares):
        return None
    classes, found = read_texts(tree.columns, tree.columns.column("value")[shares], read_class, np.nan)
    starts = np.flatnonzero(np.diff(owners, prepend=-1))
    sizes = np.diff(starts, append=len(shares))
    given = tree.columns.sets[shares] & tree.columns.bits("probability") != 0
    by_probability = np.repeat(given[starts], sizes)
    weights = np.empty(len(shares))
    for attribute, chosen in (("probability", by_probability), ("recordCount", ~by_probability)):
        weights[chosen] = _numbers(tree, shares[chosen], attribute, is_required=True)
    if not ((weights >= 0.0) & (weights < np.inf)).all():
        wrong = weights[~((weights >= 0.0) & (weights < np.inf))][0]
        raise Unsupported(f"a ScoreDistribution with the weight {wrong:g}")
    counts = _numbers(tree, shares, "recordCount", is_required=False)
    has_count = tree.columns.column("recordCount")[shares] >= 0
    values = np.array(classes)[found]
    return Shares(
        owners,
        values,
        weights,
        _numbers(tree, shares, "confidence", is_required=False),
        tree.columns.column("confidence")[shares] >= 0,
        owners[starts],
        _winners(np.where(has_count, counts, weights), values, starts, sizes),
    )


def _winners(counts: Numbers, values: Numbers, starts: Rows, sizes: Rows) -> Numbers:
    """Returns the class with the greatest count above zero in each group, the first on ties, NaN for none."""
    counts = np.where(counts > 0.0, counts, 0.0)
    greatest = np.maximum.reduceat(counts, starts)
    is_greatest = np.flatnonzero((counts == np.repeat(greatest, sizes)) & (counts > 0.0))
    group = np.repeat(np.arange(len(starts)), sizes)
    won, first = np.unique(group[is_greatest], return_index=True)
    made = np.full(len(starts), np.nan)
    made[won] = values[is_greatest[first]]
    return made


def _numbers(tree: ColumnTree, shares: Rows, attribute: str, *, is_required: bool) -> Numbers:
    """Returns an attribute that is a number, NaN where there is none and it is not required.

    Raises:
        Unsupported: as ``number`` does.
    """
    texts = tree.columns.column(attribute)[shares]
    found = read_numbers(tree.columns, texts)
    doubtful = np.isnan(found) if is_required else np.isnan(found) & (texts >= 0)
    for share in shares[doubtful].tolist():
        number(tree.columns.element(share), attribute)  # says what is wrong with it, if anything is
    return found
