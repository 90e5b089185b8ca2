"""ClusteringModel: measures, comparisons, missing values, ids and ranks (PMML 4.4, Clustering)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, log, nan, sqrt
from typing import Any

import numpy as np
import pytest

from model_serving.core.errors import ModelRejected
from tests.pmml_documents import document, score

FIELDS = {"x": "double", "z": "double"}


def clustering(
    measure: str,
    centers: str = "0 0|3 4",
    kind: str = "distance",
    inputs: str = '<ClusteringField field="x"/><ClusteringField field="z"/>',
    more: str = "",
    ids: tuple[str, ...] = (),
    output: str = "",
) -> str:
    """Returns a model with clusters at the centers, which stand between bars."""
    clusters = "".join(
        f"<Cluster{f' id={ids[place]!r}' if ids else ''} name='n{place}'>"
        f"<Array type='real'>{center}</Array></Cluster>"
        for place, center in enumerate(centers.split("|"))
    )
    return (
        f'<ClusteringModel functionName="clustering" modelClass="centerBased" numberOfClusters="2">{{schema}}'
        f'{output}<ComparisonMeasure kind="{kind}">{measure}</ComparisonMeasure>{inputs}{more}{clusters}'
        "</ClusteringModel>"
    )


def affinities(*names: str) -> str:
    """Returns an output with the affinity of each cluster."""
    fields = "".join(
        f'<OutputField name="a{name}" feature="clusterAffinity" value="{name}" dataType="double"/>'
        for name in names
    )
    return f"<Output>{fields}</Output>"


def first_affinity(measure: str, rows: Sequence[Mapping[str, Any]], **parts: Any) -> list[float]:
    text = document(clustering(measure, output=affinities("1"), **parts), FIELDS)
    return score(text, rows).outputs["a1"].tolist()


@pytest.mark.parametrize(
    ("measure", "right"),
    [
        ("<euclidean/>", sqrt(9 + 16)),
        ("<squaredEuclidean/>", 25),
        ("<chebychev/>", 4),
        ("<cityBlock/>", 7),
        ('<minkowski p-parameter="3"/>', (27 + 64) ** (1 / 3)),
    ],
)
def test_distances(measure: str, right: float) -> None:
    assert first_affinity(measure, [{"x": 3, "z": -4}]) == [pytest.approx(right)]


BINARY = (
    '<binarySimilarity c00-parameter="1" c01-parameter="1" c10-parameter="2" c11-parameter="3" '
    'd00-parameter="1" d01-parameter="3" d10-parameter="4" d11-parameter="1"/>'
)


@pytest.mark.parametrize(
    ("measure", "right"),
    [
        # Against 1 0. The first digit of a cell is the record's value, the second the cluster's.
        ("<simpleMatching/>", [0.5, 1.0, 0.0, 0.5]),
        ("<jaccard/>", [0.5, 1.0, 0.0, 0.0]),
        ("<tanimoto/>", [1 / 3, 1.0, 0.0, 1 / 3]),
        (BINARY, [(3 + 2) / (1 + 4), (3 + 1) / (1 + 1), (2 + 1) / (4 + 3), (1 + 1) / (3 + 1)]),
    ],
)
def test_similarities_of_binary_fields(measure: str, right: list[float]) -> None:
    rows = [{"x": 1, "z": 1}, {"x": 1, "z": 0}, {"x": 0, "z": 1}, {"x": 0, "z": 0}]
    found = first_affinity(measure, [*rows, {"x": 2, "z": 0}, {"x": 1}], kind="similarity", centers="1 0|0 1")
    assert found[:4] == pytest.approx(right)
    assert np.isnan(found[4:]).all()


def test_the_greatest_similarity_wins() -> None:
    text = document(clustering("<jaccard/>", kind="similarity", centers="1 0|1 1"), FIELDS)
    assert score(text, [{"x": 1, "z": 1}, {"x": 1, "z": 0}]).labels == ["2", "1"]


@pytest.mark.parametrize(
    ("function", "right"),
    [
        ('compareFunction="absDiff"', 2),
        ('compareFunction="gaussSim" similarityScale="3"', exp(-log(2) * 4 / 9)),
        ('compareFunction="delta"', 1),
        ('compareFunction="equal"', 0),
    ],
)
def test_compare_functions_and_weights(function: str, right: float) -> None:
    inputs = f'<ClusteringField field="x" fieldWeight="10" {function}/><ClusteringField field="z"/>'
    assert first_affinity("<cityBlock/>", [{"x": 2, "z": 5}], inputs=inputs) == [
        pytest.approx(10 * right + 5)
    ]


def test_a_table_compares_declared_values() -> None:
    table = "<Comparisons><Matrix><Array>0 7</Array><Array>1 0</Array></Matrix></Comparisons>"
    model = clustering(
        "<cityBlock/>",
        centers="b|a",
        inputs=f'<ClusteringField field="c" compareFunction="table">{table}</ClusteringField>',
        output=affinities("1", "2"),
    )
    found = score(document(model, {"c": "string: a b"}), [{"c": "a"}, {"c": "b"}])
    # The row of the table is that of the record's value.
    assert found.outputs["a1"].tolist() == [7, 0]
    assert found.outputs["a2"].tolist() == [0, 1]


def test_text_is_compared_by_delta() -> None:
    inputs = '<ClusteringField field="c" compareFunction="delta"/>'
    model = clustering("<squaredEuclidean/>", centers="a|b", inputs=inputs)
    found = score(document(model, {"c": "string"}), [{"c": "b"}, {"c": "a"}, {"c": "other"}, {"c": None}])
    assert found.labels == ["2", "1", "1", ""]


def test_missing_values_are_left_out_and_the_sum_is_scaled_up() -> None:
    rows: list[dict[str, Any]] = [{"x": 3, "z": None}, {"x": None, "z": None}]
    assert first_affinity("<squaredEuclidean/>", rows) == [pytest.approx(18), pytest.approx(nan, nan_ok=True)]
    weights = "<MissingValueWeights><Array type='real'>1 3</Array></MissingValueWeights>"
    assert first_affinity("<euclidean/>", rows[:1], more=weights) == [pytest.approx(sqrt(9 * 4))]


def test_a_record_without_values_belongs_nowhere() -> None:
    found = score(document(clustering("<euclidean/>"), FIELDS), [{}, {"x": 3, "z": 4}])
    assert found.labels == ["", "2"]
    assert np.isnan(found.result[0])


def test_ids_are_texts_and_the_first_wins_on_ties() -> None:
    model = clustering("<euclidean/>", centers="1 0|-1 0|9 9", ids=("left", "right", "far"))
    found = score(document(model, FIELDS), [{"x": 0, "z": 0}, {"x": 8, "z": 8}])
    assert found.labels == ["left", "far"]
    assert found.result.tolist() == [0, 2]


def test_ranks() -> None:
    output = "".join(
        f'<OutputField name="id{rank}" feature="entityId" rank="{rank}" dataType="integer"/>'
        f'<OutputField name="a{rank}" feature="affinity" rank="{rank}" dataType="double"/>'
        for rank in (1, 2, 3, 4)
    )
    model = clustering("<squaredEuclidean/>", "0 0|1 0|4 0", output=f"<Output>{output}</Output>")
    found = score(document(model, FIELDS), [{"x": 3, "z": 0}]).outputs
    assert [found[f"id{rank}"][0] for rank in (1, 2, 3)] == [3, 2, 1]
    assert [found[f"a{rank}"][0] for rank in (1, 2, 3)] == [1, 4, 9]
    assert np.isnan([found["id4"][0], found["a4"][0]]).all()


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (clustering("<euclidean/>").replace("centerBased", "distributionBased"), "distributionBased"),
        (clustering("<euclidean/>", centers="1 2 3"), "3 values for 2 fields"),
        (clustering("<euclidean/>", ids=("a", "a")), "two Clusters of one id"),
        (clustering("<euclidean/>", centers="0 b"), "'b' is not a number"),
        (clustering("<jaccard/>"), "the similarity jaccard"),
        (clustering("<euclidean/>", kind="similarity"), "the distance euclidean"),
        (clustering('<minkowski p-parameter="0"/>'), "p-parameter 0"),
        (clustering("<euclidean/>", inputs=""), "without a field to compare"),
        (
            clustering("<euclidean/>", more="<MissingValueWeights><Array>1</Array></MissingValueWeights>"),
            "1 MissingValueWeights for 2 fields",
        ),
    ],
)
def test_a_wrong_model_is_refused_by_name(model: str, why: str) -> None:
    with pytest.raises(ModelRejected, match=why):
        score(document(model, FIELDS), [{"x": 1, "z": 1}])


@pytest.mark.parametrize("feature", ["entityId", "affinity"])
def test_ranks_begin_with_1(feature: str) -> None:
    output = f'<Output><OutputField name="o" feature="{feature}" rank="0" dataType="double"/></Output>'
    with pytest.raises(ModelRejected, match="rank 0 of OutputField 'o'"):
        score(document(clustering("<euclidean/>", output=output), FIELDS), [{"x": 1, "z": 1}])


def test_text_has_no_differences() -> None:
    model = clustering("<euclidean/>", centers="a|b", inputs='<ClusteringField field="c"/>')
    with pytest.raises(ModelRejected, match="'c', which is text"):
        score(document(model, {"c": "string"}), [{"c": "a"}])
