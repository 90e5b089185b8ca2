"""Reads trees whose nodes are in columns (see ``xml_columns``), all nodes at once.

Predicates that compare a number with a threshold are read in columns too; they are nearly all of those in
large forests. Any other predicate is kept as an element. Trees with other parts than these are left to the
module ``trees``, which also says what is wrong with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from model_serving.engines.pmml.evaluator.models.tree_nodes import NODE_ATTRIBUTES, SHARE_ATTRIBUTES
from model_serving.engines.pmml.evaluator.predicates import PREDICATES
from model_serving.engines.pmml.evaluator.reading import decimal, plain_decimals

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from model_serving.engines.pmml.evaluator.batch import Mask, Rows
    from model_serving.engines.pmml.evaluator.models.bounds import Bounds
    from model_serving.engines.pmml.evaluator.scope import Field
    from model_serving.engines.pmml.evaluator.symbols import Numbers
    from model_serving.engines.pmml.xml_columns import XmlColumns

__all__ = ["ALWAYS_TRUE", "OTHER", "ColumnTree", "read_column_tree", "read_numbers", "read_texts"]

_OPERATORS = {"lessOrEqual": 0, "greaterThan": 1, "lessThan": 2, "greaterOrEqual": 3}
"""The numbers of an operator and its opposite differ in the last bit: it is set if the high way is true."""

ALWAYS_TRUE, OTHER = 4, 5
"""Predicates that are no comparisons. Those of comparisons are the numbers of their operators."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, eq=False)
class ColumnTree:
    """The N nodes of a tree, in the document's order.

    Attributes:
        columns: the elements. All places of elements and texts are places in it.
        nodes: the places of the Node elements, shape (N,).
        above: the rank of the node around each one among these, -1 for the root, shape (N,).
        predicates: the places of the nodes' predicates, shape (N,).
        kinds: what the predicates are, shape (N,): an operator's number, ``ALWAYS_TRUE`` or ``OTHER``.
        fields: the fields that are compared.
        ranks: for comparisons the place of the field among these, shape (N,).
        thresholds: for comparisons the greatest value that goes the low way, shape (N,).
        bounds: for comparisons the place of the number's text, shape (N,).
        shares: the places of the ScoreDistribution elements, shape (S,).
        share_owners: the ranks of the nodes that they are in, shape (S,).
    """

    columns: XmlColumns
    nodes: Rows
    above: Rows
    predicates: Rows
    kinds: Rows
    fields: Sequence[Field]
    ranks: Rows
    thresholds: Numbers
    bounds: Rows
    shares: Rows
    share_owners: Rows


def read_column_tree(columns: XmlColumns, bounds: Bounds) -> ColumnTree | None:
    """Reads the tree below a Node. Returns None if it has parts that are not known here.

    Raises:
        Unsupported: a field is declared nowhere.
    """
    tags, parents = columns.tags, columns.parents
    is_node = tags == columns.tag_names.find("Node")
    nodes = np.flatnonzero(is_node)
    if not len(nodes) or nodes[0] or (columns.sets[nodes] & ~columns.bits(*NODE_ATTRIBUTES)).any():
        return None
    rank = np.full(len(tags) + 1, -1)  # the last one is for the root, around which nothing is
    rank[nodes] = np.arange(len(nodes))
    above = rank[parents[nodes]]
    parts = np.flatnonzero(~is_node)
    parts = parts[rank[parents[parts]] >= 0]
    is_predicate = np.isin(tags[parts], [columns.tag_names.find(name) for name in PREDICATES])
    is_share = tags[parts] == columns.tag_names.find("ScoreDistribution")
    tests, shares = parts[is_predicate], parts[is_share]
    has_parts = np.zeros(len(tags), dtype=bool)
    has_parts[parents[1:]] = True
    owners = rank[parents[tests]]
    if (above[1:] < 0).any() or not (is_predicate | is_share).all() or len(owners) != len(nodes):
        return None
    predicates = np.full(len(nodes), -1)
    predicates[owners] = tests
    if (predicates < 0).any() or has_parts[shares].any() or not _are_shares(columns, shares):
        return None
    kinds, fields, ranks, thresholds, texts = _comparisons(columns, predicates, ~has_parts, bounds)
    return ColumnTree(
        columns,
        nodes,
        above,
        predicates,
        kinds,
        fields,
        ranks,
        thresholds,
        texts,
        shares,
        rank[parents[shares]],
    )


def read_texts(
    columns: XmlColumns, places: Rows, read: Callable[[str], _T], absent: _T
) -> tuple[list[_T], Rows]:
    """Reads each different text once. Returns what they say, and the place of each among that.

    ``places`` are the places of the texts, -1 for none, for which ``absent`` stands.
    """
    texts, found = _different(columns, places)
    return [absent, *map(read, texts)], found


def _different(columns: XmlColumns, places: Rows) -> tuple[list[str], Rows]:
    """Returns the different texts at some places, and for each place the number of its text, 0 for none."""
    found = np.zeros(len(columns.texts) + 1, dtype=np.intp)
    found[places] = 1
    different = np.flatnonzero(found[:-1])
    found[different] = np.arange(1, len(different) + 1)
    found[-1] = 0
    texts = columns.texts
    return [texts[place] for place in different.tolist()], found[places]


def _are_shares(columns: XmlColumns, shares: Rows) -> bool:
    sets, value = columns.sets[shares], columns.bits("value")
    return not len(shares) or bool(
        value and not (sets & ~columns.bits(*SHARE_ATTRIBUTES)).any() and (sets & value).all()
    )


def _comparisons(
    columns: XmlColumns, predicates: Rows, is_empty: Mask, bounds: Bounds
) -> tuple[Rows, Sequence[Field], Rows, Numbers, Rows]:
    """Returns the last columns of a ``ColumnTree``, from ``kinds`` to ``bounds``."""
    tags, sets, is_empty = columns.tags[predicates], columns.sets[predicates], is_empty[predicates]
    kinds = np.full(len(predicates), OTHER)
    kinds[(tags == columns.tag_names.find("True")) & is_empty & (sets == 0)] = ALWAYS_TRUE
    ranks, thresholds = np.zeros(len(predicates), dtype=np.intp), np.full(len(predicates), np.nan)
    texts = np.full(len(predicates), -1)
    wanted = columns.bits("field", "operator", "value")
    is_simple = (tags == columns.tag_names.find("SimplePredicate")) & is_empty & (sets == wanted)
    simple = np.flatnonzero(is_simple)
    if wanted.bit_count() < 3 or not len(simple):
        return kinds, [], ranks, thresholds, texts
    operators = _of_texts(columns, "operator", predicates[simple], lambda text: _OPERATORS.get(text, OTHER))
    simple, operators = simple[operators != OTHER], operators[operators != OTHER]
    fields: list[Field] = []

    def field_rank(name: str) -> int:
        field = bounds.compared(name)
        if field is None:
            return -1
        fields.append(field)
        return len(fields) - 1

    found = _of_texts(columns, "field", predicates[simple], field_rank)
    simple, operators, found = simple[found >= 0], operators[found >= 0], found[found >= 0]
    texts[simple] = columns.column("value")[predicates[simple]]
    numbers = read_numbers(columns, texts[simple])
    is_single = np.array([field.kind.data_type == "float" for field in fields], dtype=bool)[found]
    numbers = np.where(is_single, numbers.astype(np.float32), numbers)
    ranks[simple], thresholds[simple] = found, numbers
    thresholds[simple] = np.where(operators >= 2, np.nextafter(numbers, -np.inf), numbers)
    kinds[simple] = np.where(np.isnan(numbers), OTHER, operators)
    return kinds, fields, ranks, thresholds, texts


def _of_texts(columns: XmlColumns, attribute: str, places: Rows, read: Callable[[str], int]) -> Rows:
    read_once, found = read_texts(columns, columns.column(attribute)[places], read, -1)
    return np.array(read_once)[found]


def read_numbers(columns: XmlColumns, places: Rows) -> Numbers:
    """Returns the numbers that texts spell, NaN where there is no text (-1) or it spells none."""
    made: Numbers = np.append(columns.numbers, np.nan)[places]
    unread = np.isnan(made) & (places >= 0)
    if unread.any():
        texts, found = _different(columns, places[unread])
        numbers = plain_decimals(texts)
        if numbers is None:
            numbers = np.array([_number(text) for text in texts], dtype=np.float64)
        made[unread] = np.concatenate(([np.nan], numbers))[found]
    return made


def _number(text: str) -> float:
    try:
        return decimal(text)
    except ValueError:
        return float("nan")
