"""A compiled model serves only if it gives the evaluator's answers on all compared rows."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from model_serving.core.engine import Scores
from model_serving.core.errors import ScoringFailed
from model_serving.core.messages import ModelType
from model_serving.engines.pmml import engine as pmml
from model_serving.engines.pmml.compiled import agreement
from model_serving.engines.pmml.compiled.agreement import difference, probe_rows
from model_serving.engines.pmml.compiled.compiler import compile_pmml
from model_serving.engines.pmml.compiled.model import CompiledModel
from model_serving.engines.pmml.compiled.reading import NotCompiled
from model_serving.engines.pmml.gateway import GatewayLostError, PmmlGateway, current_gateway
from tests.unit.engines.pmml_builders import SCHEMA, class_target, document, simple, tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from model_serving.core.engine import Columns, LoadedModel

    Load = Callable[..., LoadedModel]

SHARE = '<ScoreDistribution value="{}" recordCount="4"/></Node>'
SPLIT = (
    f'<Node><True/><Node score="3">{simple("a", "lessThan", 1.5)}{SHARE.format(3)}'
    f'<Node score="4">{simple("a", "greaterOrEqual", 1.5)}{SHARE.format(4)}</Node>'
)
CONTENT = document(tree(SPLIT), class_target(("3", "4")))
MOVED = document(tree(SPLIT.replace("1.5", repr(np.nextafter(1.5, 2.0).item()))), class_target(("3", "4")))
ROWS = np.array([[value, 0.0, 0.0, "red", "x"] for value in (1.0, 2.0, np.nan)], dtype=object)


@pytest.fixture
def compiled(load: Load) -> CompiledModel:
    model = load(ModelType.PMML, CONTENT, schema=SCHEMA)
    assert isinstance(model, CompiledModel)
    return model


def same(scores: Scores) -> Scores:
    return Scores(
        scores.result.copy(),
        scores.labels and list(scores.labels),
        {name: values.copy() for name, values in scores.outputs.items()},
    )


def other_label(scores: Scores) -> Scores:
    return Scores(scores.result, ["5", *(scores.labels or ())[1:]], scores.outputs)


def other_result(scores: Scores) -> Scores:
    scores = same(scores)
    scores.result[3] *= 1 + 1e-8
    return scores


def no_result(scores: Scores) -> Scores:
    scores = same(scores)
    scores.result[5] = np.nan
    return scores


def other_output(scores: Scores) -> Scores:
    scores = same(scores)
    scores.outputs["probability_3"][2] += 1e-8
    return scores


def no_output(scores: Scores) -> Scores:
    return Scores(scores.result, scores.labels, dict(list(scores.outputs.items())[1:]))


def failure(_: Scores) -> Scores:
    raise ScoringFailed("no")


def rounding(scores: Scores) -> Scores:
    return Scores(scores.result * (1 + 1e-12), scores.labels, scores.outputs)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (same, None),
        (rounding, None),
        (other_label, "the class '4' instead of '5'"),
        (other_result, "other results"),
        (no_result, "other results"),
        (other_output, "other values of probability_3"),
        (no_output, "other outputs"),
        (failure, "an error where Java gives none, or the other way round"),
    ],
)
def test_every_difference_is_seen(
    compiled: CompiledModel, change: Callable[[Scores], Scores], found: str | None
) -> None:
    def evaluator(columns: Columns) -> Scores:
        return change(compiled.score(columns))

    assert difference(compiled.score, evaluator, compiled.inputs_of, 1000) == found


def test_both_may_fail(compiled: CompiledModel) -> None:
    def fails(_: Columns) -> Scores:
        raise ScoringFailed("no")

    assert difference(fails, fails, compiled.inputs_of, 50) is None


def test_a_threshold_that_is_the_next_number_is_seen(load: Load, compiled: CompiledModel) -> None:
    moved = load(ModelType.PMML, MOVED, schema=SCHEMA)
    assert difference(compiled.score, moved.score, compiled.inputs_of, 1000) == "the class '4' instead of '3'"


def test_rows_are_the_same_at_every_offer_and_of_every_kind(compiled: CompiledModel) -> None:
    rows = probe_rows(compiled.inputs_of)
    again = probe_rows(compiled.inputs_of)
    assert repr(rows.tolist()) == repr(again.tolist())
    a = rows[:, 0].astype(np.float64)
    below, above = np.nextafter(1.5, 1.0), np.nextafter(1.5, 2.0)
    assert {1.5, below, above, *agreement._HUGE} <= set(a.tolist())
    assert np.isnan(a).any()
    assert {"", "red", "white", "rosé", agreement._UNKNOWN_TEXT} == set(rows[:, 3].tolist())
    whole = rows[:, 2].astype(np.float64)
    assert (np.isnan(whole) | (whole == np.floor(whole))).all()


def test_a_slow_evaluator_is_asked_for_few_rows(
    compiled: CompiledModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agreement, "_SECONDS", 0.0)
    asked = []

    def evaluator(columns: Columns) -> Scores:
        asked.append(len(columns))
        return compiled.score(columns)

    assert difference(compiled.score, evaluator, compiled.inputs_of, 10) is None
    assert asked == [10, 10, 10, 10, 10]


class Wrong(CompiledModel):
    def score(self, columns: Columns) -> Scores:
        return other_label(super().score(columns))


def wrong_model(*arguments: object) -> CompiledModel:
    model = compile_pmml(*arguments)  # type: ignore[arg-type]
    model.__class__ = Wrong
    return model


def broken(*_: object) -> CompiledModel:
    raise IndexError("list index out of range")


def lost(*_: object) -> str:
    raise GatewayLostError("the Java process ended")


def not_compiled(*_: object) -> CompiledModel:
    raise NotCompiled("something new")


@pytest.mark.parametrize(
    ("what", "instead", "level", "text"),
    [
        (
            "compile_pmml",
            wrong_model,
            logging.WARNING,
            "because the compiled model gives the class '5' instead of '4'",
        ),
        (
            "compile_pmml",
            broken,
            logging.WARNING,
            "because the compiled model gives the error IndexError: list index out of range",
        ),
        (
            "difference",
            lost,
            logging.WARNING,
            "because the compiled model gives the error GatewayLostError: the Java process ended",
        ),
        ("compile_pmml", not_compiled, logging.INFO, "because it has something new"),
    ],
    ids=["wrong", "broken", "lost", "not compiled"],
)
def test_the_evaluator_scores_what_is_not_compiled_or_does_not_agree(
    load: Load,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    what: str,
    instead: object,
    level: int,
    text: str,
) -> None:
    monkeypatch.setattr(pmml, what, instead)
    with caplog.at_level(logging.INFO, pmml.__name__):
        model = load(ModelType.PMML, CONTENT, schema=SCHEMA)
    assert not isinstance(model, CompiledModel)
    assert [
        (record.levelno, record.getMessage()) for record in caplog.records if record.name == pmml.__name__
    ] == [(level, f"The PMML model 'model' is scored in Java, {text}")]
    assert model.score(ROWS).labels == ["3", "4", ""]


def test_java_forgets_a_model_that_is_compiled(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = type(current_gateway())
    loaded, released = [], []
    load_in_java = gateway.load

    def remember(self: PmmlGateway, text: str) -> Any:
        loaded.append(load_in_java(self, text))
        return loaded[-1]

    monkeypatch.setattr(gateway, "load", remember)
    monkeypatch.setattr(gateway, "release", lambda _, java: released.append(java))
    model = load(ModelType.PMML, CONTENT, schema=SCHEMA)
    assert isinstance(model, CompiledModel)
    assert [java is loaded[0] for java in released].count(True) == len(loaded) == 1
