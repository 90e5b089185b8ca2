"""Writes a PMML forest of many megabytes that is as fast to score as a small one: few trees, but deep."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

__all__ = ["write_forest"]

# For each field the range of its split values, which is about the range in the sample records.
_FIELDS = {
    "fixed acidity": (5.0, 14.0),
    "volatile acidity": (0.15, 1.2),
    "residual sugar": (1.0, 6.0),
    "chlorides": (0.02, 0.3),
    "free sulfur dioxide": (2.0, 50.0),
    "total sulfur dioxide": (8.0, 180.0),
    "pH": (2.8, 3.9),
    "sulphates": (0.35, 1.6),
    "alcohol": (8.5, 14.0),
}
_LABELS = ("3", "4", "5", "6", "7", "8")


def write_forest(path: Path, *, trees: int, depth: int, seed: int) -> None:
    """Writes a classification forest by majority vote, about 110 bytes × trees × 2^(depth + 1).

    Its trees are complete, so a record passes ``depth`` splits in each tree, as many as in a small forest
    with unbalanced trees.
    """
    numbers = random.Random(seed)
    with path.open("w", encoding="utf-8") as out:
        out.writelines(_document(numbers, trees, depth))


def _document(numbers: random.Random, trees: int, depth: int) -> Iterator[str]:
    schema = "".join(f'<MiningField name="{name}"/>' for name in _FIELDS)
    schema = f'<MiningSchema>{schema}<MiningField name="quality" usageType="target"/></MiningSchema>\n'
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<PMML version="4.3" xmlns="http://www.dmg.org/PMML-4_3">\n'
    yield f'<Header/>\n<DataDictionary numberOfFields="{len(_FIELDS) + 1}">\n'
    for name in _FIELDS:
        yield f'<DataField name="{name}" optype="continuous" dataType="double"/>\n'
    yield '<DataField name="quality" optype="categorical" dataType="string">'
    yield "".join(f'<Value value="{label}"/>' for label in _LABELS)
    yield f'</DataField>\n</DataDictionary>\n<MiningModel functionName="classification">\n{schema}'
    yield '<Segmentation multipleModelMethod="majorityVote">\n'
    for number in range(trees):
        yield f'<Segment id="{number}"><True/>\n<TreeModel functionName="classification" '
        yield f'splitCharacteristic="binarySplit">\n{schema}'
        yield from _node(numbers, "<True/>", depth)
        yield "</TreeModel></Segment>\n"
    yield "</Segmentation></MiningModel></PMML>\n"


def _node(numbers: random.Random, predicate: str, depth: int) -> Iterator[str]:
    yield f'<Node score="{numbers.choice(_LABELS)}">{predicate}'
    if depth:
        name = numbers.choice(tuple(_FIELDS))
        value = round(numbers.uniform(*_FIELDS[name]), 4)
        for operator in ("lessOrEqual", "greaterThan"):
            split = f'<SimplePredicate field="{name}" operator="{operator}" value="{value}"/>'
            yield from _node(numbers, split, depth - 1)
    yield "</Node>\n"
