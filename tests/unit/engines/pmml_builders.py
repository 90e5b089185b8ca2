"""PMML documents for tests: builders of parts, and random trees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model_serving.core.engine import RecordSchema

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

SCHEMA = RecordSchema("Sample", ("a", "b", "n"), ("colour", "shape"))
COLOURS = ("red", "white", "rosé")
CLASSES = ("3", "4", "5", "6", "7")

FIELDS = {
    "a": '<DataField name="a" optype="continuous" dataType="double"/>',
    "b": '<DataField name="b" optype="continuous" dataType="float"/>',
    "n": '<DataField name="n" optype="continuous" dataType="integer"/>',
    "colour": '<DataField name="colour" optype="categorical" dataType="string">'
    + "".join(f'<Value value="{colour}"/>' for colour in COLOURS)
    + "</DataField>",
    "shape": '<DataField name="shape" optype="categorical" dataType="string"/>',
}


def numeric_target(data_type: str = "double") -> str:
    return f'<DataField name="y" optype="continuous" dataType="{data_type}"/>'


def class_target(labels: Sequence[str] = CLASSES, data_type: str = "string") -> str:
    values = "".join(f'<Value value="{label}"/>' for label in labels)
    return f'<DataField name="y" optype="categorical" dataType="{data_type}">{values}</DataField>'


def mining(
    names: Sequence[str] = tuple(FIELDS), target: str | None = "y", extra: dict[str, str] | None = None
) -> str:
    """Returns a MiningSchema; ``extra`` has more attributes for some fields."""
    fields = "".join(f'<MiningField name="{name}" {(extra or {}).get(name, "")}/>' for name in names)
    if target:
        fields += f'<MiningField name="{target}" usageType="target"/>'
    return f"<MiningSchema>{fields}</MiningSchema>"


def document(model: str, target: str, fields: dict[str, str] | None = None) -> bytes:
    dictionary = "".join(({**FIELDS, **(fields or {})}).values())
    return (
        f'<PMML version="4.4"><Header/><DataDictionary>{dictionary}{target}</DataDictionary>{model}</PMML>'
    ).encode()


def tree(
    node: str,
    *,
    function: str = "classification",
    attributes: str = "",
    schema: str | None = None,
    output: str = "",
) -> str:
    schema = mining() if schema is None else schema
    return f'<TreeModel functionName="{function}" {attributes}>{schema}{output}{node}</TreeModel>'


def ensemble(method: str, trees: Sequence[str], *, function: str = "classification", rest: str = "") -> str:
    segments = "".join(
        f'<Segment id="{index}" weight="{0.5 + 0.25 * index}"><True/>{each}</Segment>'
        for index, each in enumerate(trees)
    )
    return (
        f'<MiningModel functionName="{function}">{mining()}{rest}'
        f'<Segmentation multipleModelMethod="{method}">{segments}</Segmentation></MiningModel>'
    )


def simple(field: str, operator: str, value: object) -> str:
    return f'<SimplePredicate field="{field}" operator="{operator}" value="{value}"/>'


class RandomTrees:
    """Random trees with every predicate. ``classes`` is None for trees that predict numbers."""

    def __init__(
        self,
        rng: np.random.Generator,
        classes: Sequence[str] | None,
        *,
        shares: bool = True,
        ids: bool = False,
    ) -> None:
        self._rng = rng
        self._classes = classes
        self._shares = shares
        self._ids = ids
        self._nodes = 0

    def node(self, depth: int, predicate: str = "<True/>") -> str:
        self._nodes += 1
        name = f"n{self._nodes}"
        children = []
        default = ""
        if depth and (self._rng.random() < 0.9 or depth > 2):
            predicates = self._split()
            first = self._nodes + 1
            children = [self.node(depth - 1, each) for each in predicates]
            if self._rng.random() < 0.7:
                default = f' defaultChild="n{first}"'
        identity = f' id="{name}"' if self._ids else ""
        score, shares = self._says()
        return f"<Node{identity}{default}{score}>{predicate}{shares}{''.join(children)}</Node>"

    def _says(self) -> tuple[str, str]:
        rng = self._rng
        if self._classes is None:
            return (f' score="{rng.normal():.6g}"' if rng.random() < 0.97 else ""), ""
        score = f' score="{rng.choice(self._classes)}"'
        counts = rng.integers(0, 4, len(self._classes))
        counts[0] += 1
        return score, "".join(
            f'<ScoreDistribution value="{label}" recordCount="{count}"/>'
            for label, count in zip(self._classes, counts, strict=True)
            if count
        )

    def _split(self) -> list[str]:
        rng = self._rng
        kind = rng.integers(6)
        if kind <= 1:
            field, value = rng.choice(["a", "b", "n"]), round(float(rng.normal()), 2)
            pair = [("lessOrEqual", "greaterThan"), ("lessThan", "greaterOrEqual")][int(rng.integers(2))]
            pair = pair if rng.random() < 0.5 else pair[::-1]
            return [simple(field, pair[0], value), simple(field, pair[1], value)]
        if kind == 2:
            return [self._simple(), "<True/>"]
        return [self.predicate(2) for _ in range(int(rng.integers(1, 4)))]

    def _simple(self) -> str:
        rng = self._rng
        kind = rng.integers(8)
        if kind == 0:
            field = rng.choice(list(FIELDS))
            return (
                f'<SimplePredicate field="{field}" operator="{rng.choice(["isMissing", "isNotMissing"])}"/>'
            )
        if kind == 1:
            return simple("colour", str(rng.choice(["equal", "notEqual"])), rng.choice([*COLOURS, "green"]))
        if kind == 2:
            return simple(
                "shape", str(rng.choice(["equal", "notEqual"])), rng.choice(["round", "square", "flat"])
            )
        if kind == 3:
            field, words = [("colour", "red rosé"), ("shape", "round flat")][int(rng.integers(2))]
            operator = rng.choice(["isIn", "isNotIn"])
            return (
                f'<SimpleSetPredicate field="{field}" booleanOperator="{operator}">'
                f'<Array n="2" type="string">{words}</Array></SimpleSetPredicate>'
            )
        if kind == 4:
            operator = rng.choice(["isIn", "isNotIn"])
            return (
                f'<SimpleSetPredicate field="n" booleanOperator="{operator}">'
                '<Array n="3" type="int">-1 0 2</Array></SimpleSetPredicate>'
            )
        operators = ["lessThan", "lessOrEqual", "greaterThan", "greaterOrEqual", "equal", "notEqual"]
        field, operator = rng.choice(["a", "b", "n"]), str(rng.choice(operators))
        return simple(field, operator, round(float(rng.normal()), int(rng.integers(3))))

    def predicate(self, depth: int, *, top: bool = True) -> str:
        rng = self._rng
        if not depth or rng.random() < 0.5:
            return "<False/>" if rng.random() < 0.03 else self._simple()
        operator = rng.choice(["and", "or", "surrogate"] if top else ["and", "or"])
        parts = [self.predicate(depth - 1, top=False) for _ in range(int(rng.integers(2, 4)))]
        return f'<CompoundPredicate booleanOperator="{operator}">{"".join(parts)}</CompoundPredicate>'
