"""Decides what the outputs of a TensorFlow or ONNX model mean: one rule for both.

The label is, in this order: an output of text with one column, an output of whole numbers with one column.
Among several of a kind it is one whose classes the model states, else one whose name says label or class (one
that also says "predict" before the others), else the first. An output of whole numbers alone is a label only
if its classes or its name say so. What only repeats an input, such as a record's key or the true label, or is
the same for every record, such as a version, is neither label nor result beside other outputs.

The result is taken from, in this order:

1. the output, or the column, that ``result_output`` names: its value, or the index of its greatest column;
2. the label: the number that it spells where all classes spell numbers, else its index among the classes;
3. the only output, the only output of floats, or the only one of these whose name is in ``_RESULT_NAMES``.

Otherwise the model is refused, and the refusal names the outputs. ``output`` ARGMAX asks for the index, VALUE
for the value. The other columns are the named outputs: ``probability_<class>`` where an output has a column
for each class, else ``name`` and ``name[0]``, ``name[1]``, ...
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from model_serving.core.errors import ModelRejected
from model_serving.core.messages import OutputRule
from model_serving.engines.results import column_names, resolve_rule, spelled_number

__all__ = ["OutputPlan", "TensorOutput", "plan_outputs", "results_among"]

_RESULT_NAMES = ("probabilities", "predictions", "prediction", "outputs", "output", "Score.output")
"""Names of results that many exporters give; the last one is ML.NET's."""

_LABEL_NAME = re.compile("label|class", re.IGNORECASE)
_PREDICTED_NAME = re.compile("predict", re.IGNORECASE)
_SCORE_NAMES = (re.compile("prob", re.IGNORECASE), re.compile("score", re.IGNORECASE))
_MOST_LISTED = 12


@dataclass(frozen=True, slots=True)
class TensorOutput:
    """An output of a model, by its short name.

    ``columns`` is the number of values for each record, None while it is not known. ``classes`` are, for an
    output of labels, all the labels that it can give, in the order in which an index counts them, and for
    an output of numbers, what each of its columns stands for; empty where the model does not state them.
    ``computed``: it is more than what an input was given, and not the same for every record.
    """

    name: str
    columns: int | None
    is_float: bool = True
    is_text: bool = False
    classes: tuple[str, ...] = ()
    computed: bool = True


@dataclass(frozen=True, slots=True)
class OutputPlan:
    """What the outputs of a model mean.

    Args:
        outputs: the outputs that are read, in the order of the tensors; all have a number of columns.
        label: the place of the output with the labels, None when there is none.
        numbers: what each label's result is; None when the result is not the label's or is what it spells.
        source: the place and the rule of the output that gives the result, and the column (-1: by the rule);
            None when the label gives it.
        names: for each output the names of its columns in ``Scores.outputs``; empty for a label.
        classes: the labels that the model can give, empty where it does not state them.
        result: what the result is, in words.
        notes: warnings, a sentence each.
    """

    outputs: tuple[TensorOutput, ...]
    label: int | None
    numbers: dict[str, float] | None
    source: tuple[int, OutputRule, int] | None
    names: tuple[tuple[str, ...], ...]
    classes: tuple[str, ...]
    result: str
    notes: tuple[str, ...] = ()


def results_among(outputs: Collection[TensorOutput], result_output: str) -> list[TensorOutput]:
    """Returns the outputs that a result may come from: those that are computed, and the one asked for."""
    computed = [output for output in outputs if output.computed or output.name == result_output]
    return computed or list(outputs)


def plan_outputs(outputs: Sequence[TensorOutput], rule: OutputRule, result_output: str) -> OutputPlan:
    """Decides what the outputs mean, by the rules of this module.

    Args:
        outputs: the outputs that can be read, in the model's order; all have a number of columns.
        rule: the message's ``output``.
        result_output: the message's ``result_output``; empty: not given.

    Raises:
        ModelRejected: it is not clear which output gives the result, or the rule does not fit it.
    """
    computed = [place for place, output in enumerate(outputs) if output.computed]
    computed = computed or list(range(len(outputs)))
    label = _label_among(outputs, computed)
    classes = _classes_of(outputs, computed, label)
    names = _names(outputs, computed, label, classes)
    plan = OutputPlan(tuple(outputs), label, None, None, names, classes, "")
    if result_output:
        return _chosen(plan, rule, result_output)
    if label is not None:
        return _by_label(plan, label, rule)
    return _by_numbers(plan, _only_result(outputs, computed), rule)


def _label_among(outputs: Sequence[TensorOutput], places: Sequence[int]) -> int | None:
    for is_text in (True, False):
        found = [
            place
            for place in places
            if outputs[place].columns == 1
            and outputs[place].is_text == is_text
            and not outputs[place].is_float
        ]
        telling = [place for place in found if outputs[place].classes]
        named = [place for place in telling or found if _LABEL_NAME.search(outputs[place].name)]
        predicted = [place for place in named if _PREDICTED_NAME.search(outputs[place].name)]
        for candidates in (predicted, named, telling, found if is_text or len(places) > 1 else []):
            if candidates:
                return candidates[0]
    return None


def _classes_of(outputs: Sequence[TensorOutput], places: Sequence[int], label: int | None) -> tuple[str, ...]:
    """The classes in the order of the columns, where a model states them in two orders."""
    stated = {outputs[place].classes for place in places if outputs[place].classes and place != label}
    of_label = outputs[label].classes if label is not None else ()
    if len(stated) == 1 and (not of_label or set(of_label) == set(next(iter(stated)))):
        return stated.pop()
    return of_label


def _names(
    outputs: Sequence[TensorOutput], places: Sequence[int], label: int | None, classes: tuple[str, ...]
) -> tuple[tuple[str, ...], ...]:
    names = [() if output.is_text else column_names(output.name, output.columns or 1) for output in outputs]
    if label is not None:
        names[label] = ()
    by_class = tuple(f"probability_{name}" for name in classes)
    scores = [
        place
        for place in places
        if len(classes) > 1
        and outputs[place].is_float
        and outputs[place].columns == len(classes)
        and names[place]
    ]
    telling = [place for place in scores if outputs[place].classes == classes]
    named = [[place for place in scores if name.search(outputs[place].name)] for name in _SCORE_NAMES]
    # ML.NET gives one probability of two classes, and the inputs of its classifier as an output of their own.
    is_single = any(
        outputs[place].columns == 1 and _SCORE_NAMES[0].search(outputs[place].name) for place in places
    )
    for candidates in (telling, *named, scores if label is not None and not is_single else []):
        if candidates:
            names[candidates[0]] = by_class
            return tuple(names)
    singles = [place for place in places if outputs[place].is_float and outputs[place].columns == 1]
    # skl2onnx writes an output for each class with zipmap="columns", with the class at the end of its name.
    by_name = [outputs[place].name.endswith(name) for place, name in zip(singles, classes, strict=False)]
    if len(classes) > 1 and len(singles) == len(classes) and all(by_name):
        for place, name in zip(singles, by_class, strict=True):
            names[place] = (name,)
    return tuple(names)


def _chosen(plan: OutputPlan, rule: OutputRule, wanted: str) -> OutputPlan:
    for place, output in enumerate(plan.outputs):
        if output.name == wanted:
            if place == plan.label:
                return _by_label(plan, place, rule)
            if output.is_text:
                raise ModelRejected(
                    f"result_output names '{wanted}', which is text, but a result is a number: "
                    f"choose another of {_listed(plan.outputs)}"
                )
            return _by_numbers(plan, place, rule)
    for place, names in enumerate(plan.names):
        if wanted in names and rule is not OutputRule.ARGMAX:
            source = (place, OutputRule.VALUE, names.index(wanted))
            return replace(plan, source=source, result=f"the value of {wanted}")
    raise ModelRejected(
        f"result_output names '{wanted}', which is not an output of the model: "
        f"choose one of {_listed(plan.outputs)}"
    )


def _by_label(plan: OutputPlan, place: int, rule: OutputRule) -> OutputPlan:
    label = plan.outputs[place]
    spelled = [spelled_number(name) for name in plan.classes]
    are_numbers = None not in spelled if plan.classes else not label.is_text
    if rule is OutputRule.VALUE and not are_numbers:
        words = (
            f"'{next(name for name in plan.classes if spelled_number(name) is None)}'"
            if plan.classes
            else "text"
        )
        raise ModelRejected(f"output VALUE needs labels that spell numbers, not {words}: use ARGMAX")
    if are_numbers and rule is not OutputRule.ARGMAX:
        return replace(plan, result=f"the number that the label ({label.name}) spells")
    if plan.classes:
        numbers = {name: float(index) for index, name in enumerate(plan.classes)}
        return replace(
            plan, numbers=numbers, result=f"the index of the label ({label.name}) among the classes"
        )
    numeric = [
        at for at, output in enumerate(plan.outputs) if at != place and output.computed and not output.is_text
    ]
    if not numeric:
        raise ModelRejected(
            f"the model gives the label {label.name} and does not state its classes, so there is no number "
            "for it: export it with the probabilities too, or with labels that are whole numbers"
        )
    by_scores = _by_numbers(plan, _only_result(plan.outputs, numeric), rule)
    note = (
        f"The model does not state the classes of {label.name}, so the result is taken from another output."
    )
    return replace(by_scores, notes=(*by_scores.notes, note))


def _by_numbers(plan: OutputPlan, place: int, rule: OutputRule) -> OutputPlan:
    output = plan.outputs[place]
    resolved = resolve_rule(rule, output.columns or 0)
    names = plan.names
    if output.columns == 1 and len(plan.outputs) == 1:
        names = ((),)
    if resolved is OutputRule.VALUE:
        result = f"the value of {output.name}"
    else:
        result = (
            f"the index of the greatest of the {output.columns} columns of {output.name}, the first on ties"
        )
    return replace(plan, source=(place, resolved, -1), names=names, result=result)


def _only_result(outputs: Sequence[TensorOutput], places: Sequence[int]) -> int:
    numeric = [(place, outputs[place]) for place in places if not outputs[place].is_text]
    floats = [(place, output) for place, output in numeric if output.is_float]
    telling = [(place, output) for place, output in floats if output.name in _RESULT_NAMES]
    for candidates in (numeric, floats, telling):
        if len(candidates) == 1:
            return candidates[0][0]
    if not numeric:
        raise ModelRejected("the model has no output of numbers: export it with one")
    raise ModelRejected(
        f"the model has the outputs {_listed([output for _, output in numeric])}: say in result_output which "
        "one gives the result"
    )


def _listed(outputs: Sequence[TensorOutput]) -> str:
    names = [output.name for output in outputs]
    more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
    return ", ".join(names[:_MOST_LISTED]) + more
