"""Functions that a document defines, and expressions that are built on each other (PMML 4.4, Functions)."""

from __future__ import annotations

import pytest

from model_serving.engines.pmml.evaluator.compiler import compile_document
from model_serving.engines.pmml.evaluator.reading import Unsupported
from model_serving.engines.pmml.xml_tree import read_xml
from tests.pmml_expressions import FAILS, apply, constant, document, ref, value, values

ONE = constant("1", "double")


def define(name: str, parameters: str, body: str, data_type: str = "") -> str:
    said = f' dataType="{data_type}"' if data_type else ""
    fields = "".join(
        '<ParameterField name="{}"{}/>'.format(
            one.partition(":")[0], f' dataType="{one.partition(":")[2]}"' if ":" in one else ""
        )
        for one in parameters.split()
    )
    return f'<DefineFunction name="{name}" optype="continuous"{said}>{fields}{body}</DefineFunction>'


def derived(name: str, body: str) -> str:
    return f'<DerivedField name="{name}" optype="continuous" dataType="double">{body}</DerivedField>'


def test_arguments_take_the_place_of_parameters() -> None:
    before = define("minus", "a b", apply("-", "a", "b"))
    assert value(apply("minus", "x", "y"), x=5.0, y=2.0, before=before) == 3.0
    assert value(apply("minus", "y", apply("+", "x", ONE)), x=5.0, y=2.0, before=before) == -4.0


def test_parameters_and_results_have_types() -> None:
    before = define("half", "a:integer", apply("/", "a", constant("2", "integer")))
    assert value(apply("half", "s"), s="7", before=before) == 3.0
    assert value(apply("half", "s"), s="7.5", before=before) == FAILS
    before = define("single", "a", ref("a"), "float")
    assert value(apply("single", "x"), x=0.1, before=before) == 0.10000000149011612


def test_missing_arguments_and_treatments_of_a_call() -> None:
    before = define("same", "a", ref("a"))
    assert values(apply("same", "x"), {}, {"x": 1.0}, before=before) == [None, 1.0]
    assert values(apply("same", "x", mapMissingTo="4"), {}, {"x": 1.0}, before=before) == [4.0, 1.0]
    assert values(apply("same", "x", defaultValue="5"), {}, {"x": 1.0}, before=before) == [5.0, 1.0]


def test_a_branch_within_a_function_cannot_make_other_records_fail() -> None:
    before = define("safe", "a", apply("if", apply("greaterThan", "a", constant("0")), apply("ln", "a"), ONE))
    assert values(apply("safe", "x"), {"x": 1.0}, {"x": -1.0}, before=before) == [0.0, 1.0]


@pytest.mark.parametrize(
    ("before", "named"),
    [
        (define("f", "a", apply("f", "a")), "'f', which calls itself"),
        (define("f", "a", apply("g", "a")) + define("g", "a", apply("f", "a")), "which calls itself"),
        (define("f", "a b", ref("a")), "'f' with 1 arguments"),
        (define("f", "a", ref("x")), "'x'"),
        (define("f", "a", ref("a") + ref("a")), "without one expression"),
    ],
)
def test_a_function_that_cannot_be_called_is_refused(before: str, named: str) -> None:
    with pytest.raises(Unsupported, match=named):
        value(apply("f", "x"), x=1.0, before=before)


def test_equal_calls_are_compiled_once() -> None:
    twice = "".join(
        define(f"f{level}", "a", apply("+", apply(f"f{level - 1}", "a"), apply(f"f{level - 1}", "a")))
        for level in range(1, 31)
    )
    before = twice + define("f0", "a", ref("a"))
    assert value(apply("f30", "x"), x=1.0, before=before) == 2.0**30
    compiled = compile_document(read_xml(document(apply("f30", "x"), before=before), 10_000_000).root)
    compiled.node.scope.field("d")
    assert compiled.program.slots < 100


def test_functions_that_grow_without_end_are_refused() -> None:
    before = define("f0", "a", ref("a")) + "".join(
        define(
            f"f{level}",
            "a",
            apply(
                "+",
                apply(f"f{level - 1}", apply("+", "a", ONE)),
                apply(f"f{level - 1}", apply("*", "a", ref("a"))),
            ),
        )
        for level in range(1, 31)
    )
    with pytest.raises(Unsupported, match="calls of functions"):
        value(apply("f30", "x"), x=1.0, before=before)


@pytest.mark.parametrize("levels", [10, 100, 500])
def test_nested_expressions(levels: int) -> None:
    made = '<Apply function="+">' * levels + ref("x") + f"{ONE}</Apply>" * levels
    assert values(made, {"x": 1.0}, {}) == [1.0 + levels, None]


def test_a_failure_deep_inside_counts_only_where_it_is_used() -> None:
    deep = '<Apply function="+">' * 100 + apply("ln", "x") + f"{ONE}</Apply>" * 100
    made = apply("if", apply("greaterThan", "x", constant("0")), deep, constant("-1"))
    assert values(made, {"x": 1.0}, {"x": -1.0}) == [100.0, -1.0]


@pytest.mark.parametrize("levels", [10, 100, 2_000])
def test_derived_fields_built_on_each_other_in_any_order(levels: int) -> None:
    fields = [derived("f0", ref("x"))]
    fields += [derived(f"f{level}", apply("+", f"f{level - 1}", ONE)) for level in range(1, levels)]
    last = ref(f"f{levels - 1}")
    assert value(last, x=1.0, before="".join(fields)) == float(levels)
    assert value(last, x=1.0, before="".join(reversed(fields))) == float(levels)


def test_functions_that_call_each_other_too_deep_are_refused() -> None:
    before = define("f0", "a", ref("a")) + "".join(
        define(f"f{level}", "a", apply("+", apply(f"f{level - 1}", "a"), ONE)) for level in range(1, 200)
    )
    with pytest.raises(Unsupported, match="deep"):
        value(apply("f199", "x"), x=1.0, before=before)
    assert value(apply("f25", "x"), x=1.0, before=before) == 26.0


def test_derived_fields_in_a_circle_are_refused() -> None:
    with pytest.raises(Unsupported, match="declared nowhere"):
        value(ref("p"), x=1.0, before=derived("p", ref("q")) + derived("q", ref("p")))


def test_a_constant_without_type_has_the_type_that_it_spells() -> None:
    assert value(apply("concat", constant("1"), constant("1.50"), constant("a")), "string") == "11.5a"
    assert value(apply("/", constant("7"), constant("2"))) == 3.0
    assert value(apply("/", constant("7.0"), constant("2"))) == 3.5


def test_a_missing_constant_is_missing() -> None:
    assert value('<Constant missing="true" dataType="double"/>') is None
    assert value(apply("isMissing", '<Constant missing="true"/>'), "boolean") == 1.0


def test_map_missing_to_of_a_field() -> None:
    assert values('<FieldRef field="x" mapMissingTo="3"/>', {}, {"x": 1.0}) == [3.0, 1.0]
    before = define("filled", "a", '<FieldRef field="a" mapMissingTo="3"/>')
    gone = '<Constant missing="true" dataType="double"/>'
    assert value(apply("filled", gone), before=before) == 3.0


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            apply("substring", "s", constant("1"), constant("WIDTH")),
            "which does not spell a value of type double",
        ),
        (apply("formatNumber", "s", constant("WIDTH")), "the pattern 'WIDTH'"),
    ],
)
def test_a_constant_that_stands_for_a_parameter_is_refused_with_advice(body: str, text: str) -> None:
    before = define("cut", "WIDTH s", body)
    with pytest.raises(Unsupported, match=text) as caught:
        value(apply("cut", constant("3"), "x"), "string", x=12.0, before=before)
    assert caught.value.advice == (
        "write FieldRef with field 'WIDTH' in the place of the Constant, as it is a parameter"
    )
