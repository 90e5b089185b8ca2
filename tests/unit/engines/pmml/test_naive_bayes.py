"""NaiveBayesModel: counts, distributions and the threshold (PMML 4.4, Naive Bayes)."""

from __future__ import annotations

from math import exp, pi, sqrt

import numpy as np
import pytest

from model_serving.core.errors import ModelRejected
from tests.pmml_documents import document, score

FIELDS = {"c": "string: a b", "x": "double", "k": "integer", "y": "string: n p"}


def counts(n: float, p: float) -> str:
    return (
        f'<TargetValueCounts><TargetValueCount value="n" count="{n}"/>'
        f'<TargetValueCount value="p" count="{p}"/></TargetValueCounts>'
    )


def pairs(name: str, derived: str = "", **values: tuple[float, float]) -> str:
    inner = "".join(
        f'<PairCounts value="{value}">{counts(*two)}</PairCounts>' for value, two in values.items()
    )
    return f'<BayesInput fieldName="{name}">{derived}{inner}</BayesInput>'


def stats(name: str, n: str, p: str) -> str:
    return (
        f'<BayesInput fieldName="{name}"><TargetValueStats><TargetValueStat value="n">{n}</TargetValueStat>'
        f'<TargetValueStat value="p">{p}</TargetValueStat></TargetValueStats></BayesInput>'
    )


def bayes(inputs: str, threshold: float = 0.001, output: str = counts(30, 70)) -> str:
    return document(
        f'<NaiveBayesModel functionName="classification" threshold="{threshold}">{{schema}}'
        f"<BayesInputs>{inputs}</BayesInputs>"
        f'<BayesOutput fieldName="y">{output}</BayesOutput></NaiveBayesModel>',
        FIELDS,
    )


def normal(mean: float, variance: float) -> str:
    return f'<GaussianDistribution mean="{mean}" variance="{variance}"/>'


def density(x: float, mean: float, variance: float) -> float:
    return exp(-((x - mean) ** 2) / (2 * variance)) / sqrt(2 * pi * variance)


def share(n: float, p: float) -> float:
    return p / (n + p)


CATEGORIES = pairs("c", a=(12, 28), b=(18, 0))


def test_a_likelihood_is_a_share_of_the_counts_of_its_class() -> None:
    found = score(bayes(CATEGORIES), [{"c": "a"}, {"c": "b"}, {"c": None}])
    right = [share(30 * 12 / 30, 70), share(30 * 18 / 30, 70 * 0.001), share(30, 70)]
    np.testing.assert_allclose(found.outputs["probability_p"], right)
    assert found.labels == ["p", "n", "p"]


def test_a_threshold_of_zero_makes_a_class_impossible() -> None:
    found = score(bayes(CATEGORIES, 0), [{"c": "b"}, {"c": "a"}])
    np.testing.assert_allclose(found.outputs["probability_p"], [0, share(12, 70)])


def test_densities_of_numbers_are_multiplied_and_not_below_the_threshold() -> None:
    text = bayes(CATEGORIES + stats("x", normal(1, 4), normal(3, 0.25)))
    found = score(text, [{"c": "a", "x": 2}, {"c": None, "x": 9}, {"c": "a", "x": None}])
    right = [
        share(12 * density(2, 1, 4), 70 * density(2, 3, 0.25)),
        share(30 * 0.001, 70 * 0.001),
        share(12, 70),
    ]
    np.testing.assert_allclose(found.outputs["probability_p"], right)


def test_likelihoods_that_vanish_as_numbers_still_compare() -> None:
    text = bayes(stats("x", normal(0, 1), normal(1, 1)), 0)
    found = score(text, [{"x": 1e3}, {"x": -1e3}])
    assert found.labels == ["p", "n"]
    np.testing.assert_allclose(found.outputs["probability_p"], [1, 0])


def test_poisson_distributions_count() -> None:
    text = bayes(stats("k", '<PoissonDistribution mean="2"/>', '<PoissonDistribution mean="5"/>'))
    found = score(text, [{"k": 3}, {"k": None}])
    right = [share(30 * exp(-2) * 8 / 6, 70 * exp(-5) * 125 / 6), share(30, 70)]
    np.testing.assert_allclose(found.outputs["probability_p"], right)


def test_a_number_may_be_made_discrete() -> None:
    derived = (
        '<DerivedField optype="categorical" dataType="string"><Discretize field="x">'
        '<DiscretizeBin binValue="low"><Interval closure="openOpen" rightMargin="5"/></DiscretizeBin>'
        '<DiscretizeBin binValue="high"><Interval closure="closedOpen" leftMargin="5" rightMargin="9"/>'
        "</DiscretizeBin></Discretize></DerivedField>"
    )
    text = bayes(pairs("x", derived, low=(10, 30), high=(20, 40)))
    found = score(text, [{"x": 1}, {"x": 5}, {"x": 9}, {"x": None}])
    right = [share(10, 30), share(20, 40), share(30, 70), share(30, 70)]
    np.testing.assert_allclose(found.outputs["probability_p"], right)


def test_inputs_of_numbers_may_stand_in_an_extension() -> None:
    extended = f"<Extension>{stats('x', normal(1, 1), normal(3, 1))}</Extension>"
    found = score(bayes(CATEGORIES + extended), [{"c": "a", "x": 3}])
    assert found.outputs["probability_p"][0] == pytest.approx(
        share(12 * density(3, 1, 1), 70 * density(3, 3, 1))
    )


def test_a_record_that_no_class_can_have_has_no_result() -> None:
    found = score(bayes(pairs("c", a=(12, 28), b=(0, 0)), 0), [{"c": "b"}, {"c": "a"}])
    assert found.labels == ["", "p"]
    assert np.isnan(found.result[0])


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (bayes(""), "BayesInput"),
        (bayes(pairs("q", a=(1, 1))), "'q'"),
        (bayes(pairs("c")), "PairCounts"),
        (bayes(stats("c", normal(0, 1), normal(0, 1))), "'c'"),
        (bayes(stats("x", normal(0, 0), normal(0, 1))), "variance"),
        (bayes(stats("x", normal(0, 1), '<PoissonDistribution mean="2"/>')), "one distribution"),
        (bayes(stats("x", normal(0, 1), "<UniformDistribution/>")), "UniformDistribution"),
        (bayes(CATEGORIES, -1), "threshold"),
        (bayes(CATEGORIES, output=""), "TargetValueCounts"),
    ],
)
def test_what_is_wrong_is_refused_by_name(text: str, named: str) -> None:
    with pytest.raises(ModelRejected, match=named):
        score(text, [{"x": 1, "c": "a"}])
