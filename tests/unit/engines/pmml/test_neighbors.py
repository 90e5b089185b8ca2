"""NearestNeighborModel: neighbors, scoring methods, ties, targets, ids (PMML 4.4, Nearest Neighbors)."""

from __future__ import annotations

import numpy as np
import pytest

from model_serving.core.errors import ModelRejected
from model_serving.engines.pmml.evaluator.models import neighbors
from tests.pmml_documents import document, score

NUMBERS = {"x": "double", "y": "double"}
CLASSES = {"x": "double", "y": "string: a b"}


def knn(
    rows: str,
    attributes: str = 'functionName="regression"',
    count: int = 2,
    fields: str = "x y",
    kind: str = "distance",
    measure: str = "<euclidean/>",
    more: str = "",
) -> str:
    """Returns a model. Rows stand between bars, each with the values of the fields; ``-`` is no value."""
    names = fields.split()
    table = "".join(
        "<row>"
        + "".join(
            f"<d:{name}>{value}</d:{name}>"
            for name, value in zip(names, row.split(), strict=True)
            if value != "-"
        )
        + "</row>"
        for row in rows.split("|")
    )
    columns = "".join(f'<InstanceField field="{name}" column="d:{name}"/>' for name in names)
    return (
        f'<NearestNeighborModel xmlns:d="urn:data" numberOfNeighbors="{count}" {attributes}>{{schema}}{more}'
        f"<TrainingInstances><InstanceFields>{columns}</InstanceFields>"
        f"<InlineTable>{table}</InlineTable></TrainingInstances>"
        f'<ComparisonMeasure kind="{kind}">{measure}</ComparisonMeasure>'
        '<KNNInputs><KNNInput field="x"/></KNNInputs></NearestNeighborModel>'
    )


CLASSIFIES = 'functionName="classification"'


@pytest.mark.parametrize(
    ("method", "right"),
    [
        ("average", (1 + 2 + 6) / 3),
        ("median", 2),
        ("weightedAverage", (1 / 1.5 + 2 / 0.5 + 6 / 2.5) / (1 / 1.5 + 1 / 0.5 + 1 / 2.5)),
    ],
)
def test_numbers(method: str, right: float) -> None:
    attributes = f'functionName="regression" continuousScoringMethod="{method}" threshold="0.5"'
    model = knn("0 1|1 2|3 6|90 7", attributes, count=3)
    assert score(document(model, NUMBERS), [{"x": 1}]).result.tolist() == [pytest.approx(right)]


def test_votes_and_their_shares() -> None:
    found = score(document(knn("0 a|1 b|2 b|90 a", CLASSIFIES, count=3), CLASSES), [{"x": 1}])
    assert found.labels == ["b"]
    assert found.outputs["probability_a"].tolist() == [pytest.approx(1 / 3)]
    assert found.outputs["probability_b"].tolist() == [pytest.approx(2 / 3)]


def test_weighted_votes() -> None:
    attributes = f'{CLASSIFIES} categoricalScoringMethod="weightedMajorityVote" threshold="0.5"'
    found = score(document(knn("0 a|2 b|3 b", attributes, count=3), CLASSES), [{"x": 0}])
    # 1 / 0.5 against 1 / 2.5 + 1 / 3.5
    assert found.labels == ["a"]
    assert found.outputs["probability_a"].tolist() == [pytest.approx(2 / (2 + 0.4 + 1 / 3.5))]


def test_the_more_frequent_class_wins_on_ties() -> None:
    found = score(document(knn("0 a|1 b|9 b", CLASSIFIES), CLASSES), [{"x": 0.2}])
    assert found.labels == ["b"]


def test_the_smaller_class_wins_on_ties_of_frequent_classes() -> None:
    found = score(document(knn("0 b|1 a", CLASSIFIES), CLASSES), [{"x": 0.2}])
    assert found.labels == ["a"]


def test_the_first_of_instances_that_are_as_near_counts() -> None:
    rows = "|".join(f"{place % 2} {place}" for place in range(40))
    found = score(document(knn(rows, count=3), NUMBERS), [{"x": 0}, {"x": 1}])
    assert found.result.tolist() == [pytest.approx((0 + 2 + 4) / 3), pytest.approx((1 + 3 + 5) / 3)]


def test_many_pairs_are_compared_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbors, "_MOST_PAIRS", 7)
    found = score(document(knn("0 1|1 2|3 6|90 7", count=1), NUMBERS), [{"x": one} for one in (0, 4, 1, 80)])
    assert found.result.tolist() == [1, 6, 2, 7]


def test_a_record_without_values_has_no_neighbors() -> None:
    assert np.isnan(score(document(knn("0 1|1 2"), NUMBERS), [{"x": None}]).result).all()


def test_an_instance_without_a_target_gives_no_result_where_it_is_near() -> None:
    found = score(document(knn("0 1|1 -|9 4", count=1), NUMBERS), [{"x": 1}, {"x": 8}])
    assert np.isnan(found.result[0])
    assert found.result[1] == 4


def test_several_targets() -> None:
    fields = {"x": "double", "y": "double", "z": "double"}
    text = document(knn("0 1 10|1 2 20|9 4 40", fields="x y z"), fields)
    text = text.replace('<MiningField name="z"/>', '<MiningField name="z" usageType="target"/>')
    found = score(text, [{"x": 0}])
    assert found.result.tolist() == [1.5]
    assert found.outputs["z"].tolist() == [15]


def test_ids_by_rank_with_their_distances() -> None:
    output = "".join(
        f'<OutputField name="id{rank}" feature="entityId" rank="{rank}" dataType="integer"/>'
        f'<OutputField name="d{rank}" feature="affinity" rank="{rank}" dataType="double"/>'
        for rank in (1, 2)
    )
    attributes = 'functionName="clustering" instanceIdVariable="id"'
    model = knn("0 70|1 71|9 79", attributes, fields="x id", more=f"<Output>{output}</Output>")
    found = score(document(model, {"x": "double"}), [{"x": 2}, {"x": 9}])
    assert found.labels == ["71", "79"]
    assert found.outputs["id2"].tolist() == [70, 71]
    assert found.outputs["d1"].tolist() == [1, 0]
    assert found.outputs["d2"].tolist() == [2, 8]


def test_instances_pass_through_the_derived_fields() -> None:
    derived = (
        '<LocalTransformations><DerivedField name="double x" dataType="double" optype="continuous">'
        '<Apply function="*"><FieldRef field="x"/><Constant>2</Constant></Apply></DerivedField>'
        "</LocalTransformations>"
    )
    output = '<Output><OutputField name="d" feature="affinity" rank="1" dataType="double"/></Output>'
    model = knn("0 1|5 2", count=1, more=output + derived)
    model = model.replace('KNNInput field="x"', 'KNNInput field="double x"')
    found = score(document(model, NUMBERS), [{"x": 4}])
    assert found.result.tolist() == [2]
    assert found.outputs["d"].tolist() == [2]


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (knn("0 1", count=0), "numberOfNeighbors 0"),
        (knn("0 b"), "'b' of InstanceField 'y'"),
        (knn("0 1").replace('"d:x"', '"d:other"').replace("<d:x>0", "<d:x>b"), None),
        (
            knn("0 1", 'functionName="regression" continuousScoringMethod="weightedAverage"').replace(
                '"distance"><euclidean/>', '"similarity"><jaccard/>'
            ),
            "with a similarity",
        ),
        (knn("0 1").replace('field="x" column', 'field="w" column'), "KNNInput 'x'"),
    ],
)
def test_a_wrong_model_is_refused_by_name(model: str, why: str | None) -> None:
    if why is None:
        assert np.isnan(score(document(model, NUMBERS), [{"x": 1}]).result).all()
        return
    with pytest.raises(ModelRejected, match=why):
        score(document(model, NUMBERS), [{"x": 1}])


def test_no_instance_is_its_own_second_neighbor() -> None:
    # All are infinitely far away: they are neighbors all the same, each once.
    rows = [{"x": float("inf")}, {"x": 0.0}]
    assert score(document(knn("0 1|1 2|3 6", count=3), NUMBERS), rows).result.tolist() == [3.0, 3.0]


def test_too_few_instances_with_a_value_give_no_result() -> None:
    few = score(document(knn("0 1|- 2|3 6", count=2), NUMBERS), [{"x": 1.0}])
    many = score(document(knn("0 1|- 2|3 6", count=3), NUMBERS), [{"x": 1.0}, {"x": 2.0}])
    assert few.result.tolist() == [3.5]
    assert np.isnan(many.result).all()
