"""The table of what a record gets that ends in a node of a tree."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element

import numpy as np

from model_serving.engines.pmml.evaluator.models.column_shares import Shares, read_shares
from model_serving.engines.pmml.evaluator.models.column_trees import read_numbers, read_texts
from model_serving.engines.pmml.evaluator.models.tree_nodes import SHARE_ATTRIBUTES
from model_serving.engines.pmml.evaluator.reading import Unsupported, children, decimal, number, required

if TYPE_CHECKING:
    from model_serving.engines.pmml.evaluator.batch import Rows
    from model_serving.engines.pmml.evaluator.models.column_trees import ColumnTree
    from model_serving.engines.pmml.evaluator.symbols import Numbers, Symbols
    from model_serving.engines.pmml.evaluator.targets import Target
    from model_serving.engines.pmml.xml_columns import XmlColumns

__all__ = ["Ends"]


class Ends:
    """The answers of the nodes in which records may end. The first end, 0, is that there is no answer.

    A score is a number (32 bits if ``single``), or the value of a class. A node without a score has the class
    with the greatest recordCount (PMML 4.4, TreeModel: ScoreDistribution).
    """

    def __init__(self, target: Target, *, classifies: bool, single: bool, keeps_ids: bool = True) -> None:
        """Creates the table. Without ``keeps_ids`` it cannot tell the ids of the nodes."""
        self._keeps_ids = keeps_ids
        self._target = target
        self._classifies = classifies
        self._single = single
        self._scores = array("d", [np.nan])
        self._ids: list[str | None] = [None]
        self._classes: dict[str, float] = {}
        self._places, self._values, self._shares = array("q"), array("d"), array("d")
        self._confidences: list[tuple[int, float, float]] = []
        self._counts = array("d", [0.0])

    def __len__(self) -> int:
        return len(self._scores)

    def add_nothing(self) -> int:
        """Adds an end without an answer and returns its place."""
        self._scores.append(np.nan)
        self._counts.append(0.0)
        if self._keeps_ids:
            self._ids.append(None)
        return len(self._scores) - 1

    def add(self, element: Element, shares: list[Element], number_in_tree: int) -> int:
        """Adds a node and returns its place.

        Raises:
            Unsupported: the score or the distribution is not of the target's type.
        """
        attributes = element.attrib
        place = len(self._scores)
        text = attributes.get("score")
        winner = self._add_shares(place, shares) if shares and self._classifies else np.nan
        if text is None:
            self._scores.append(winner)
        elif self._classifies:
            self._scores.append(self._class(text))
        else:
            self._scores.append(self._number(text))
        if self._keeps_ids:
            self._ids.append(attributes.get("id") or str(number_in_tree))
        count = attributes.get("recordCount")
        self._counts.append(np.nan if count is None else number(element, "recordCount"))
        return place

    def add_columns(self, tree: ColumnTree, ranks: Rows) -> None:
        """Adds nodes of a tree in columns, by their ranks in it, in rising order (see ``add``)."""
        columns, nodes = tree.columns, tree.nodes[ranks]
        base = len(self._scores)
        texts = columns.column("score")[nodes]
        if self._classifies:
            before = len(self._classes)
            classes, found = read_texts(columns, texts, self._class, np.nan)
            scores = np.array(classes)[found]
            shares = read_shares(tree, ranks, self._class)
            self._put_in_order(before, scores, shares)
            if shares is not None:
                said = texts[shares.groups] >= 0
                scores[shares.groups] = np.where(said, scores[shares.groups], shares.winners)
                self._add_columns_of_shares(shares, base)
        else:
            scores = self._numbers(columns, texts)
        self._scores.frombytes(scores.tobytes())
        if self._keeps_ids:
            ids, found = read_texts(columns, columns.column("id")[nodes], str, "")
            self._ids += [
                ids[place] or str(rank + 1)
                for place, rank in zip(found.tolist(), ranks.tolist(), strict=True)
            ]
        texts = columns.column("recordCount")[nodes]
        counts = read_numbers(columns, texts)
        for text in set(texts[np.isnan(counts) & (texts >= 0)].tolist()):
            # It says what is wrong with it, if anything is.
            number(Element("Node", {"recordCount": columns.texts[text]}), "recordCount")
        self._counts.frombytes(counts.tobytes())

    def _put_in_order(self, before: int, scores: Numbers, shares: Shares | None) -> None:
        """Puts the classes from a place on into the order of ``add``: a node's shares, then its score.

        An index of a class that the target does not declare counts in this order.
        """
        new = list(self._classes.items())[before:]
        if len(new) < 2 or all(value in self._target.values for _, value in new):
            return

        def first(value: float) -> tuple[int, int]:
            is_score = scores == value
            found = [(2 * int(is_score.argmax()) + 1, 0)] if is_score.any() else []
            is_share = None if shares is None else shares.values == value
            if shares is not None and is_share is not None and is_share.any():
                share = int(is_share.argmax())
                found.append((2 * int(shares.owners[share]), share))
            return min(found)

        new.sort(key=lambda item: first(item[1]))
        self._classes = dict([*list(self._classes.items())[:before], *new])

    def _add_columns_of_shares(self, shares: Shares, base: int) -> None:
        places = shares.owners + base
        self._places.frombytes(places.astype(np.int64).tobytes())
        self._values.frombytes(shares.values.tobytes())
        self._shares.frombytes(shares.weights.tobytes())
        given = np.flatnonzero(shares.has_confidence)
        self._confidences += zip(
            places[given].tolist(),
            shares.values[given].tolist(),
            shares.confidences[given].tolist(),
            strict=True,
        )

    @property
    def scores(self) -> Numbers:
        """The score of each end, NaN for none, shape (ends,)."""
        return np.array(self._scores)  # a copy: the array may still grow

    @property
    def counts(self) -> Numbers:
        """The recordCount of each end, NaN where the node has none, shape (ends,)."""
        return np.array(self._counts)

    def ids(self, symbols: Symbols) -> Numbers:
        """The codes of the nodes' ids, shape (ends,)."""
        return np.array([np.nan if one is None else symbols.code(one) for one in self._ids])

    @property
    def classes(self) -> tuple[float, ...]:
        """The classes: those that the target declares, then others that nodes name."""
        if not self._classifies:
            return ()
        return tuple(dict.fromkeys((*self._target.values, *self._classes.values())))

    def shares(self, classes: tuple[float, ...]) -> Numbers | None:
        """Returns the probabilities, shape (classes, ends), NaN for ends without a distribution.

        None when no node has a distribution.
        """
        if not self._places:
            return None
        made = np.full((len(classes), len(self)), np.nan)
        rows = {value: row for row, value in enumerate(classes)}
        made[:, np.unique(self._places)] = 0.0
        np.add.at(made, ([rows[value] for value in self._values], self._places), self._shares)
        with np.errstate(invalid="ignore", divide="ignore"):
            shares: Numbers = made / made.sum(axis=0)
        return shares

    def confidences(self, classes: tuple[float, ...]) -> Numbers | None:
        """Returns the confidences that the document gives, shape (classes, ends); None when it gives none."""
        if not self._confidences:
            return None
        made = np.full((len(classes), len(self)), np.nan)
        for place, value, confidence in self._confidences:
            made[classes.index(value), place] = confidence
        return made

    def _numbers(self, columns: XmlColumns, texts: Rows) -> Numbers:
        numbers = read_numbers(columns, texts)
        for text in set(texts[np.isnan(numbers) & (texts >= 0)].tolist()):
            self._number(columns.texts[text])  # says what is wrong with it, if anything is
        return numbers.astype(np.float32).astype(np.float64) if self._single else numbers

    def _number(self, text: str) -> float:
        try:
            value = decimal(text)
        except ValueError:
            raise Unsupported(f"score '{text}' of Node, which is not a number") from None
        return float(np.float32(value)) if self._single else value

    def _class(self, text: str) -> float:
        value = self._classes.get(text)
        if value is None:
            value = self._classes[text] = self._target.class_value(text)
        return value

    def _add_shares(self, place: int, shares: list[Element]) -> float:
        """Adds a distribution and returns the class with the greatest count, the first one on ties."""
        by_probability = "probability" in shares[0].attrib
        winner, greatest = np.nan, 0.0
        for share in shares:
            attributes = share.attrib
            if not attributes.keys() <= SHARE_ATTRIBUTES or len(share):
                children(share, SHARE_ATTRIBUTES)
            value = self._class(required(share, "value"))
            weight = number(share, "probability" if by_probability else "recordCount")
            if not 0.0 <= weight < np.inf:
                raise Unsupported(f"a ScoreDistribution with the weight {weight:g}")
            self._places.append(place)
            self._values.append(value)
            self._shares.append(weight)
            count = number(share, "recordCount", weight)
            if count > greatest:
                winner, greatest = value, count
            if "confidence" in attributes:
                self._confidences.append((place, value, number(share, "confidence")))
        return winner
