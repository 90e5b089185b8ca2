"""Random PMML documents and records: what the standard allows, in sizes that a person can still read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

__all__ = ["CLASSES", "NUMBERS", "TEXTS", "random_document", "random_record"]

CLASSES = ("3", "7", "5")
NUMBERS = ("a", "b", "k")
"""The numeric input fields: a double, a float and an integer."""

TEXTS = ("c", "s")
"""The text input fields. ``c`` lists its values, ``s`` lists none."""

_COLOURS = ("red", "white", "ros é")
_SHAPES = ("round", "flat", "square")
_DERIVED = ("d0", "d1", "d2", "d3")
_BINS = ("low", "mid", "high")


def random_record(rng: Random, *, huge: bool) -> dict[str, float | str | None]:
    """Returns a record with ordinary, missing, undeclared, tied and, if asked for, huge values."""

    def number(whole: bool) -> float | None:
        kind = rng.random()
        if kind < 0.12:
            return None
        if kind < 0.3 or whole:
            return float(rng.randint(-3, 3))
        if kind < 0.36 and huge:
            return rng.choice([1e300, -1e300, math.inf, -math.inf, 1e-300])
        return round(rng.gauss(0, 2), rng.randint(0, 3))

    def text(listed: Sequence[str]) -> str | None:
        return None if rng.random() < 0.12 else rng.choice([*listed, *listed, "zzz"])

    return {
        "a": number(whole=False),
        "b": number(whole=False),
        "k": number(whole=True),
        "c": text(_COLOURS),
        "s": text(_SHAPES),
    }


def random_document(rng: Random, kind: str, *, classifies: bool) -> bytes:
    """Returns a document with a model of this kind (TreeModel, RegressionModel or MiningModel)."""
    return _Writer(rng, classifies).document(kind).encode()


class _Writer:
    """Writes one document."""

    def __init__(self, rng: Random, classifies: bool) -> None:
        self._rng = rng
        self._classifies = classifies
        self._nodes = 0
        self._numbers = list(NUMBERS)
        self._doubles = ["a", "k"]
        self._texts: list[tuple[str, tuple[str, ...]]] = [("c", _COLOURS), ("s", _SHAPES)]

    def document(self, kind: str) -> str:
        derived = self._derived_fields()
        where = self._rng.random() < 0.5
        dictionary = f"<TransformationDictionary>{derived}</TransformationDictionary>" if where else ""
        local = "" if where else f"<LocalTransformations>{derived}</LocalTransformations>"
        return (
            f'<PMML version="4.4"><Header/><DataDictionary>{self._data_fields()}</DataDictionary>'
            f"{dictionary}{self._model(kind, local, is_outer=True)}</PMML>"
        )

    def _data_fields(self) -> str:
        values = "".join(f'<Value value="{one}"/>' for one in _COLOURS)
        interval = '<Interval closure="closedOpen" leftMargin="-4" rightMargin="5"/>'
        marked = '<Value value="2" property="missing"/><Value value="-2" property="invalid"/>'
        target = (
            '<DataField name="y" optype="categorical" dataType="string">'
            + "".join(f'<Value value="{one}"/>' for one in CLASSES)
            + "</DataField>"
            if self._classifies
            else '<DataField name="y" optype="continuous" dataType="double"/>'
        )
        return (
            f'<DataField name="a" optype="continuous" dataType="double">{self._maybe(interval)}</DataField>'
            '<DataField name="b" optype="continuous" dataType="float"/>'
            f'<DataField name="k" optype="continuous" dataType="integer">{self._maybe(marked)}</DataField>'
            f'<DataField name="c" optype="categorical" dataType="string">{values}</DataField>'
            f'<DataField name="s" optype="categorical" dataType="string"/>{target}'
        )

    def _maybe(self, text: str, share: float = 0.4) -> str:
        return text if self._rng.random() < share else ""

    def _model(self, kind: str, local: str, *, is_outer: bool) -> str:
        rng = self._rng
        function = "classification" if self._classifies else "regression"
        schema = self._schema() if is_outer else _PLAIN_SCHEMA
        head = f'functionName="{function}"'
        targets = self._targets() if is_outer and not self._classifies else ""
        output = self._output() if is_outer else ""
        before = f"{schema}{output}{targets}{local}"
        if kind == "TreeModel":
            strategy = rng.choice(["none", "nullPrediction", "lastPrediction", "defaultChild"])
            last = rng.choice(["returnNullPrediction", "returnLastPrediction"])
            attributes = f'missingValueStrategy="{strategy}" noTrueChildStrategy="{last}"'
            return f"<TreeModel {head} {attributes}>{before}{self._node(rng.randint(1, 4))}</TreeModel>"
        if kind == "RegressionModel":
            return self._regression(head, before)
        return self._mining(head, before)

    def _schema(self) -> str:
        rng = self._rng
        made = ""
        for name in (*NUMBERS, *TEXTS):
            invalid = rng.choice(["returnInvalid", "asIs", "asMissing", "asMissing"])
            attributes = f'invalidValueTreatment="{invalid}"'
            if rng.random() < 0.25:
                replacement = {"c": "white", "s": "flat"}.get(name, "1")
                attributes += f' missingValueReplacement="{replacement}" missingValueTreatment="asValue"'
            if name == "a" and rng.random() < 0.4:
                outliers = rng.choice(["asMissingValues", "asExtremeValues"])
                attributes += f' outliers="{outliers}" lowValue="-2.5" highValue="3"'
            made += f'<MiningField name="{name}" {attributes}/>'
        return f'<MiningSchema>{made}<MiningField name="y" usageType="target"/></MiningSchema>'

    def _targets(self) -> str:
        rng = self._rng
        if rng.random() < 0.6:
            return ""
        attributes = rng.choice(
            ['min="-1"', 'max="2.5"', 'rescaleFactor="2" rescaleConstant="-1"', 'castInteger="round"']
        )
        default = self._maybe('<TargetValue defaultValue="4"/>')
        return f'<Targets><Target field="y" {attributes}>{default}</Target></Targets>'

    def _output(self) -> str:
        made = (
            '<OutputField name="predicted" feature="predictedValue" optype="continuous" dataType="double"/>'
        )
        twice = (
            '<OutputField name="twice" feature="transformedValue" optype="continuous" dataType="double">'
            '<Apply function="*"><FieldRef field="{}"/><Constant dataType="double">2</Constant></Apply>'
            "</OutputField>"
        )
        if not self._classifies:
            return f"<Output>{made}{twice.format('predicted')}</Output>"
        shares = "".join(
            f'<OutputField name="p{one}" feature="probability" value="{one}" optype="continuous" '
            'dataType="double"/>'
            for one in CLASSES
        )
        return f"<Output>{shares}{twice.format('p7')}</Output>"

    def _derived_fields(self) -> str:
        made = ""
        for name in _DERIVED:
            rng = self._rng
            if rng.random() < 0.3:
                expression, texts = self._text_expression()
                head = f'<DerivedField name="{name}" optype="categorical" dataType="string">'
                made += f"{head}{expression}</DerivedField>"
                self._texts.append((name, texts))
            else:
                kind = rng.choice(["double", "double", "float"])
                made += (
                    f'<DerivedField name="{name}" optype="continuous" dataType="{kind}">'
                    f"{self._number(3)}</DerivedField>"
                )
                self._numbers.append(name)
                if kind == "double":
                    self._doubles.append(name)
        return made

    def _text_expression(self) -> tuple[str, tuple[str, ...]]:
        rng = self._rng
        kind = rng.randint(0, 3)
        if kind == 0:
            bins = "".join(
                f'<DiscretizeBin binValue="{name}"><Interval closure="{closure}" {margins}/></DiscretizeBin>'
                for name, closure, margins in (
                    ("low", "openOpen", 'rightMargin="-1"'),
                    ("mid", "closedClosed", 'leftMargin="-1" rightMargin="1"'),
                    ("high", "openOpen", 'leftMargin="1" rightMargin="3"'),
                )
            )
            more = self._maybe('defaultValue="high"') + " " + self._maybe('mapMissingTo="mid"')
            return f'<Discretize field="{rng.choice(self._doubles)}" {more}>{bins}</Discretize>', _BINS
        if kind == 1:
            rows = "".join(
                f"<row><in>{one}</in><out>{other}</out></row>"
                for one, other in zip(_SHAPES, _BINS, strict=True)
                if rng.random() < 0.8
            )
            more = self._maybe('defaultValue="low"') + " " + self._maybe('mapMissingTo="mid"')
            pair = '<FieldColumnPair field="s" column="in"/>'
            table = f"{pair}<InlineTable>{rows}</InlineTable>"
            return f'<MapValues outputColumn="out" {more}>{table}</MapValues>', _BINS
        if kind == 2:
            then, other = (f'<Constant dataType="string">{one}</Constant>' for one in ("low", "high"))
            return f'<Apply function="if">{self._condition()}{then}{other}</Apply>', _BINS
        upper = '<Apply function="uppercase"><FieldRef field="s"/></Apply>'
        dash = '<Constant dataType="string">-</Constant>'
        bounds = "".join(f'<Constant dataType="integer">{one}</Constant>' for one in (1, 2))
        start = f'<Apply function="substring"><FieldRef field="c"/>{bounds}</Apply>'
        made = f'<Apply function="concat">{upper}{dash}{start}</Apply>'
        return made, tuple(f"{one.upper()}-re" for one in _SHAPES)

    def _number(self, depth: int) -> str:
        rng = self._rng
        if depth == 0 or rng.random() < 0.25:
            if rng.random() < 0.3:
                return f'<Constant dataType="double">{rng.choice([-1, 0, 0.5, 2, 10])}</Constant>'
            more = self._maybe(' mapMissingTo="1"', 0.2)
            return f'<FieldRef field="{rng.choice(self._doubles)}"{more}/>'
        kind = rng.randint(0, 6)
        if kind == 0:
            outliers = rng.choice(["asIs", "asMissingValues", "asExtremeValues"])
            more = self._maybe(' mapMissingTo="0.25"')
            return (
                f'<NormContinuous field="{rng.choice(self._doubles)}" outliers="{outliers}"{more}>'
                '<LinearNorm orig="-2" norm="-1"/><LinearNorm orig="0" norm="0"/>'
                '<LinearNorm orig="3" norm="0.5"/></NormContinuous>'
            )
        if kind == 1:
            name, texts = rng.choice(self._texts)
            more = self._maybe(' mapMissingTo="0.5"')
            return f'<NormDiscrete field="{name}" value="{rng.choice(texts)}"{more}/>'
        if kind == 2:
            two = self._number(depth - 1) + self._number(depth - 1)
            return f'<Apply function="if">{self._condition()}{two}</Apply>'
        if kind == 3:
            function = rng.choice(["min", "max", "sum", "avg", "median", "product"])
            return (
                f'<Apply function="{function}">{"".join(self._number(depth - 1) for _ in range(3))}</Apply>'
            )
        if kind == 4:
            function = rng.choice(["abs", "floor", "ceil", "round", "rint", "threshold"])
            second = self._number(0) if function == "threshold" else ""
            return f'<Apply function="{function}">{self._number(depth - 1)}{second}</Apply>'
        if kind == 5:
            inner = f'<Apply function="abs">{self._number(depth - 1)}</Apply>'
            plus = f'<Apply function="+">{inner}<Constant dataType="double">1</Constant></Apply>'
            return f'<Apply function="{rng.choice(["ln", "log10", "sqrt"])}">{plus}</Apply>'
        more = self._maybe(' mapMissingTo="-1"', 0.2)
        two = self._number(depth - 1) + self._number(depth - 1)
        return f'<Apply function="{rng.choice("+-*")}"{more}>{two}</Apply>'

    def _condition(self) -> str:
        rng = self._rng
        kind = rng.randint(0, 3)
        if kind == 0:
            field = f'<FieldRef field="{rng.choice(self._doubles)}"/>'
            return f'<Apply function="{rng.choice(["isMissing", "isNotMissing"])}">{field}</Apply>'
        if kind == 1:
            name, texts = rng.choice(self._texts)
            some = "".join(f'<Constant dataType="string">{one}</Constant>' for one in texts[:2])
            function = rng.choice(["isIn", "isNotIn"])
            field = f'<FieldRef field="{name}" mapMissingTo="{rng.choice(texts)}"/>'
            return f'<Apply function="{function}">{field}{some}</Apply>'
        if kind == 2:
            name, texts = rng.choice(self._texts)
            return (
                f'<Apply function="{rng.choice(["equal", "notEqual"])}"><FieldRef field="{name}"/>'
                f'<Constant dataType="string">{rng.choice(texts)}</Constant></Apply>'
            )
        function = rng.choice(["lessThan", "lessOrEqual", "greaterThan", "greaterOrEqual"])
        return f'<Apply function="{function}">{self._number(1)}{self._number(0)}</Apply>'

    def _predicate(self, depth: int = 2) -> str:
        rng = self._rng
        kind = rng.random()
        if depth and kind < 0.25:
            operator = rng.choice(["and", "or", "surrogate", "xor"])
            parts = "".join(self._predicate(depth - 1) for _ in range(rng.randint(2, 3)))
            return f'<CompoundPredicate booleanOperator="{operator}">{parts}</CompoundPredicate>'
        if kind < 0.3:
            return rng.choice(["<True/>", "<False/>"])
        if kind < 0.4:
            name = rng.choice([*self._numbers, *(name for name, _ in self._texts)])
            operator = rng.choice(["isMissing", "isNotMissing"])
            return f'<SimplePredicate field="{name}" operator="{operator}"/>'
        if kind < 0.6:
            name, texts = rng.choice(self._texts)
            if rng.random() < 0.5:
                operator = rng.choice(["equal", "notEqual"])
                return f'<SimplePredicate field="{name}" operator="{operator}" value="{rng.choice(texts)}"/>'
            items = " ".join(f'"{one}"' for one in rng.sample(texts, 2))
            array = f'<Array n="2" type="string">{items}</Array>'
            head = f'field="{name}" booleanOperator="{rng.choice(["isIn", "isNotIn"])}"'
            return f"<SimpleSetPredicate {head}>{array}</SimpleSetPredicate>"
        operators = ["lessThan", "lessOrEqual", "greaterThan", "greaterOrEqual", "equal", "notEqual"]
        value = rng.choice([rng.randint(-3, 3), round(rng.gauss(0, 1), 2)])
        name = rng.choice(self._numbers)
        if name == "k":
            value = int(value)
        return f'<SimplePredicate field="{name}" operator="{rng.choice(operators)}" value="{value}"/>'

    def _node(self, depth: int, predicate: str = "<True/>") -> str:
        rng = self._rng
        self._nodes += 1
        name = f"n{self._nodes}"
        children: list[str] = []
        chosen = ""
        if depth:
            names = []
            for _ in range(rng.randint(1, 3)):
                names.append(f"n{self._nodes + 1}")
                children.append(self._node(depth - 1, self._predicate()))
            chosen = f' defaultChild="{rng.choice(names)}"'
        score, shares = self._says()
        return f'<Node id="{name}" score="{score}"{chosen}>{predicate}{shares}{"".join(children)}</Node>'

    def _says(self) -> tuple[str, str]:
        rng = self._rng
        if not self._classifies:
            return f"{rng.gauss(0, 3):.4g}", ""
        counts = [rng.randint(0, 4) for _ in CLASSES]
        counts[rng.randrange(len(counts))] += 1
        best = CLASSES[max(range(len(counts)), key=counts.__getitem__)]
        return best, "".join(
            f'<ScoreDistribution value="{one}" recordCount="{count}"/>'
            for one, count in zip(CLASSES, counts, strict=True)
        )

    def _regression(self, head: str, before: str) -> str:
        rng = self._rng
        if not self._classifies:
            method = rng.choice(["none", "none", "logit", "exp", "softmax", "cauchit", "loglog", "cloglog"])
            tables = self._table("")
        else:
            method = rng.choice(["softmax", "softmax", "logit", "cauchit", "probit", "cloglog", "loglog"])
            classes = CLASSES if method == "softmax" else CLASSES[:2]
            tables = "".join(self._table(f' targetCategory="{one}"') for one in classes)
        return f'<RegressionModel {head} normalizationMethod="{method}">{before}{tables}</RegressionModel>'

    def _table(self, category: str) -> str:
        rng = self._rng
        parts = []
        for name in rng.sample(self._numbers, 2):
            power = rng.choice(["", "", ' exponent="2"'])
            parts.append(f'<NumericPredictor name="{name}"{power} coefficient="{rng.gauss(0, 0.3):.4f}"/>')
        name, texts = rng.choice(self._texts)
        parts += [
            f'<CategoricalPredictor name="{name}" value="{one}" coefficient="{rng.gauss(0, 1):.4f}"/>'
            for one in texts
        ]
        if rng.random() < 0.4:
            factors = "".join(f'<FieldRef field="{one}"/>' for one in rng.sample(self._numbers, 2))
            parts.append(f'<PredictorTerm coefficient="0.05">{factors}</PredictorTerm>')
        return (
            f'<RegressionTable intercept="{rng.gauss(0, 1):.4f}"{category}>{"".join(parts)}</RegressionTable>'
        )

    def _mining(self, head: str, before: str) -> str:
        rng = self._rng
        voting = ["majorityVote", "weightedMajorityVote", "average", "weightedAverage"]
        adding = ["average", "sum", "median", "max", "weightedAverage", "weightedSum"]
        method = rng.choice(["selectFirst", *(voting if self._classifies else adding)])
        segments = ""
        for index in range(rng.randint(1, 4)):
            kind = "TreeModel" if rng.random() < 0.7 else "RegressionModel"
            predicate = self._predicate() if rng.random() < 0.4 else "<True/>"
            weight = f' weight="{rng.choice([0.5, 1, 2])}"'
            segments += (
                f'<Segment id="{index}"{weight}>{predicate}{self._model(kind, "", is_outer=False)}</Segment>'
            )
        missing = rng.choice(["returnMissing", "skipSegment"])
        attributes = f'multipleModelMethod="{method}" missingPredictionTreatment="{missing}"'
        segmentation = f"<Segmentation {attributes}>{segments}</Segmentation>"
        return f"<MiningModel {head}>{before}{segmentation}</MiningModel>"


_PLAIN_SCHEMA = (
    "<MiningSchema>"
    + "".join(
        f'<MiningField name="{name}" invalidValueTreatment="asIs"/>' for name in (*NUMBERS, *TEXTS, *_DERIVED)
    )
    + '<MiningField name="y" usageType="target"/></MiningSchema>'
)
