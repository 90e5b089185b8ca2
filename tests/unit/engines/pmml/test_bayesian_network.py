"""BayesianNetworkModel (PMML 4.4: Bayesian Network)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from random import Random
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from model_serving.core.errors import ModelRejected
from tests.naive_pmml.network import posterior
from tests.pmml_documents import document, score

Values = Sequence[str]
YES_NO: Values = ("no", "yes")


def shares(values: Values, probabilities: Sequence[float]) -> str:
    return "".join(
        f'<ValueProbability value="{value}" probability="{share!r}"/>'
        for value, share in zip(values, probabilities, strict=True)
    )


def parent_values(parents: dict[str, str]) -> str:
    return "".join(f'<ParentValue parent="{name}" value="{value}"/>' for name, value in parents.items())


def root(name: str, probabilities: Sequence[float], values: Values = YES_NO) -> str:
    return f'<DiscreteNode name="{name}">{shares(values, probabilities)}</DiscreteNode>'


def row(parents: dict[str, str], probabilities: Sequence[float], values: Values = YES_NO) -> str:
    inner = parent_values(parents) + shares(values, probabilities)
    return f"<DiscreteConditionalProbability>{inner}</DiscreteConditionalProbability>"


def node(name: str, *rows: str, derived: str = "") -> str:
    return f'<DiscreteNode name="{name}">{derived}{"".join(rows)}</DiscreteNode>'


def parameter(tag: str, expression: str) -> str:
    return f"<{tag}>{expression}</{tag}>"


def constant(value: float) -> str:
    return f'<Constant dataType="double">{value!r}</Constant>'


def normal(mean: str, variance: str) -> str:
    inner = parameter("Mean", mean) + parameter("Variance", variance)
    whole = f"<NormalDistributionForBN>{inner}</NormalDistributionForBN>"
    return f"<ContinuousDistribution>{whole}</ContinuousDistribution>"


def uniform(lower: float, upper: float) -> str:
    inner = parameter("Lower", constant(lower)) + parameter("Upper", constant(upper))
    whole = f"<UniformDistributionForBN>{inner}</UniformDistributionForBN>"
    return f"<ContinuousDistribution>{whole}</ContinuousDistribution>"


def measured(name: str, *distributions: tuple[dict[str, str], str]) -> str:
    inner = "".join(
        f"<ContinuousConditionalProbability>{parent_values(parents)}{distribution}"
        "</ContinuousConditionalProbability>"
        if parents
        else distribution
        for parents, distribution in distributions
    )
    return f'<ContinuousNode name="{name}">{inner}</ContinuousNode>'


def network(nodes: str, fields: dict[str, str], target: str, function: str = "classification") -> str:
    model = (
        f'<BayesianNetworkModel functionName="{function}" modelType="General" inferenceMethod="Other">'
        "{schema}"
        f"<BayesianNetworkNodes>{nodes}</BayesianNetworkNodes></BayesianNetworkModel>"
    )
    return document(model, fields, target)


# Rain makes the sprinkler unlikely, and both make the grass wet.
SPRINKLER = (
    root("rain", [0.8, 0.2])
    + node("sprinkler", row({"rain": "no"}, [0.6, 0.4]), row({"rain": "yes"}, [0.99, 0.01]))
    + node(
        "wet",
        *(
            row({"sprinkler": sprinkler, "rain": rain}, [1 - share, share])
            for sprinkler, rain, share in [
                ("no", "no", 0.0),
                ("no", "yes", 0.8),
                ("yes", "no", 0.9),
                ("yes", "yes", 0.99),
            ]
        ),
    )
)
FIELDS = dict.fromkeys(("rain", "sprinkler", "wet"), "string: no yes")


def test_an_unknown_node_is_summed_over() -> None:
    found = score(
        network(SPRINKLER, FIELDS, "rain"), [{"wet": "yes"}, {"wet": "yes", "sprinkler": "yes"}, {}]
    )
    wet = 0.2 * (0.99 * 0.8 + 0.01 * 0.99)
    dry = 0.8 * 0.4 * 0.9
    both = 0.2 * 0.01 * 0.99
    right = [wet / (wet + dry), both / (both + dry), 0.2]
    np.testing.assert_allclose(found.outputs["probability_yes"], right)
    np.testing.assert_allclose(found.outputs["probability_no"], 1 - np.array(right))
    assert found.labels == ["no", "no", "no"]


def test_values_that_exclude_each_other_give_no_result_and_say_so() -> None:
    text = network(SPRINKLER, FIELDS, "rain").replace('"0.8"', '"1.0"').replace('"0.2"', '"0.0"')
    text = text.replace('probability="0.01"', 'probability="0.0"')
    found = score(text, [{"wet": "yes", "sprinkler": "no"}, {"wet": "yes", "sprinkler": "yes"}])
    assert found.labels == ["", "no"]
    assert found.why is not None
    assert found.why(0) == "its values exclude each other, or one of them is not a value of its node"


NUMBERS = {"kind": "string: a b", "x": "double", "z": "double"}
KINDS = root("kind", [0.5, 0.5], ("a", "b"))


def test_a_number_tells_its_parent() -> None:
    x = measured(
        "x",
        ({"kind": "a"}, normal(constant(0), constant(1))),
        ({"kind": "b"}, normal(constant(2), constant(1))),
    )
    found = score(network(KINDS + x, NUMBERS, "kind"), [{"x": 1.0}, {"x": 3.0}, {"x": 1000.0}, {}])
    np.testing.assert_allclose(found.outputs["probability_b"], [0.5, 1 / (1 + np.exp(-4)), 1, 0.5])


def test_a_continuous_target_is_a_mean() -> None:
    mean = '<Apply function="*"><Constant dataType="double">3</Constant><FieldRef field="z"/></Apply>'
    x = measured("x", ({"kind": "a"}, normal(mean, constant(1))), ({"kind": "b"}, uniform(10, 20)))
    z = measured("z", ({}, uniform(0, 9)))
    text = network(KINDS + x + z, NUMBERS, "x", "regression")
    found = score(text, [{"kind": "a", "z": 2}, {"kind": "b", "z": 2}, {"z": 2}, {"kind": "a"}])
    np.testing.assert_allclose(found.result, [6, 15, 10.5, np.nan])


def test_a_derived_field_decides_between_the_tables() -> None:
    derived = (
        '<DerivedField name="high" dataType="string" optype="categorical"><Discretize field="x">'
        '<DiscretizeBin binValue="low"><Interval closure="openOpen" rightMargin="5"/></DiscretizeBin>'
        '<DiscretizeBin binValue="high"><Interval closure="closedOpen" leftMargin="5"/></DiscretizeBin>'
        "</Discretize></DerivedField>"
    )
    nodes = KINDS + node(
        "q",
        *(
            row({"high": high, "kind": kind}, [1 - share, share])
            for high, kind, share in [
                ("low", "a", 0.1),
                ("low", "b", 0.3),
                ("high", "a", 0.6),
                ("high", "b", 0.8),
            ]
        ),
        derived=derived,
    )
    text = network(nodes, {**NUMBERS, "q": "string: no yes"}, "q")
    found = score(text, [{"x": 1, "kind": "a"}, {"x": 7, "kind": "b"}, {"x": 7}, {"kind": "a"}])
    np.testing.assert_allclose(found.outputs["probability_yes"], [0.1, 0.8, 0.7, np.nan])


def random_network(rng: Random) -> tuple[str, list[str], str, str]:
    """Returns the nodes, the discrete and the continuous ones' names, and the target."""
    names = [f"d{place}" for place in range(rng.randint(2, 6))]
    values = {name: [f"v{state}" for state in range(rng.randint(1, 3))] for name in names}
    made = ""

    def chances(count: int) -> list[float]:
        weights = [rng.choice([0.0, rng.random(), rng.random()]) + 1e-3 for _ in range(count)]
        return [weight / sum(weights) for weight in weights]

    for place, name in enumerate(names):
        parents = rng.sample(names[:place], rng.randint(0, min(2, place)))
        if not parents:
            made += root(name, chances(len(values[name])), values[name])
            continue
        made += node(
            name,
            *(
                row(dict(zip(parents, chosen, strict=True)), chances(len(values[name])), values[name])
                for chosen in product(*(values[one] for one in parents))
            ),
        )
    for name in ("x", "z"):
        parents = rng.sample(names, rng.randint(0, 2))
        mean = constant(rng.uniform(-1, 1))
        if name == "z":
            mean = f'<Apply function="+">{mean}<FieldRef field="x"/></Apply>'
        made += measured(
            name,
            *(
                (dict(zip(parents, chosen, strict=True)), normal(mean, constant(rng.uniform(0.5, 2))))
                for chosen in product(*(values[one] for one in parents))
            ),
        )
    target = rng.choice([*names, "z"])
    return made, names, target, "regression" if target == "z" else "classification"


@pytest.mark.parametrize("seed", range(25))
def test_a_random_network_is_what_enumeration_says(seed: int) -> None:
    rng = Random(seed)
    nodes, names, target, function = random_network(rng)
    fields = {**dict.fromkeys(names, "string"), "x": "double", "z": "double"}
    text = network(nodes, fields, target, function)
    rows: list[dict[str, Any]] = [
        {name: rng.choice([None, "v0", "v0"]) for name in names}
        | {"x": rng.gauss(0, 1), "z": rng.choice([None, rng.gauss(0, 1)])}
        for _ in range(12)
    ]
    found = score(text, rows)
    plain = ET.fromstring(text.replace('xmlns="http://www.dmg.org/PMML-4_4" ', ""))
    element = plain.find("BayesianNetworkModel")
    assert element is not None
    for place, given in enumerate(rows):
        right = posterior(element, given, target)
        if isinstance(right, dict):
            for value, share in right.items():
                np.testing.assert_allclose(found.outputs[f"probability_{value}"][place], share, 1e-9, 1e-12)
        else:
            np.testing.assert_allclose(found.result[place], np.nan if right is None else right, rtol=1e-9)


def test_hidden_nodes_that_hang_together_too_much_are_refused() -> None:
    names = [f"d{place}" for place in range(24)]
    nodes = root("y", [0.5, 0.5]) + "".join(root(name, [0.5, 0.5]) for name in names)
    pairs = [(one, other) for one in names for other in names if one < other]
    for place, (one, other) in enumerate(pairs):
        rows = (row({one: a, other: b, "y": c}, [0.5, 0.5]) for a, b, c in product(YES_NO, repeat=3))
        nodes += node(f"e{place}", *rows)
    fields = {"y": "string", **{f"e{place}": "string" for place in range(len(pairs))}}
    with pytest.raises(ModelRejected, match="too many nodes have no value in any record"):
        score(network(nodes, fields, "y"), [{}])


X_OF_HIDDEN = measured("x", ({}, normal('<FieldRef field="z"/>', constant(1))))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (network("", NUMBERS, "kind"), "without a DiscreteNode of its target"),
        (network(KINDS, NUMBERS, "x", "regression"), "without a ContinuousNode of its target"),
        (network(KINDS + KINDS, NUMBERS, "kind"), "two nodes 'kind'"),
        (network(KINDS.replace('"0.5"', '"1.5"'), NUMBERS, "kind"), "probability '1.5'"),
        (network(root("kind", [], ()), NUMBERS, "kind"), "without ValueProbability"),
        (
            network(SPRINKLER.replace(row({"rain": "yes"}, [0.99, 0.01]), ""), FIELDS, "wet"),
            "without probabilities for",
        ),
        (network(SPRINKLER + row({}, [1, 0]), FIELDS, "wet"), "DiscreteConditionalProbability"),
        (
            network(
                node("rain", *(row({"wet": one}, [0.5, 0.5]) for one in YES_NO))
                + node("wet", *(row({"rain": one}, [0.5, 0.5]) for one in YES_NO)),
                FIELDS,
                "wet",
            ),
            "the nodes rain, wet, of which each depends on another",
        ),
        (
            network(X_OF_HIDDEN + measured("z", ({}, uniform(0, 1))), NUMBERS, "z", "regression"),
            "ContinuousNode 'x', whose distribution depends on 'z'",
        ),
        (
            network(
                measured("x", ({}, uniform(0, 1))).replace("Uniform", "Triangular"),
                NUMBERS,
                "x",
                "regression",
            ),
            "the distribution TriangularDistributionForBN",
        ),
        (
            network(KINDS + measured("x", ({"kind": "a"}, uniform(0, 1))), NUMBERS, "kind"),
            "one distribution for all",
        ),
    ],
)
def test_what_cannot_be_inferred_is_refused_by_name(text: str, named: str) -> None:
    with pytest.raises(ModelRejected, match=named):
        score(text, [{}])
