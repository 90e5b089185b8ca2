"""Functions that a document defines: ``DefineFunction`` and its ``ParameterField`` (PMML 4.4: Functions).

A call is compiled into the function's expression, with the arguments in place of the parameters. Each
argument is computed once, and equal calls of a function are compiled and computed once: functions that call
functions, such as B-splines, would otherwise grow with each level.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from model_serving.engines.pmml.evaluator.data_types import read_kind
from model_serving.engines.pmml.evaluator.expressions.compiler import EXPRESSIONS, compile_whole
from model_serving.engines.pmml.evaluator.expressions.constants import Constant
from model_serving.engines.pmml.evaluator.expressions.missing import once
from model_serving.engines.pmml.evaluator.expressions.operands import as_kind
from model_serving.engines.pmml.evaluator.reading import Unsupported, children, required
from model_serving.engines.pmml.evaluator.scope import Field, Scope

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.scope import Expression, Program

__all__ = ["call"]


def call(name: str, arguments: Sequence[Expression], scope: Scope) -> Expression:
    """Returns the call of a function that the document defines.

    Raises:
        Unsupported: it takes other arguments, calls itself, or has a part that is not known.
    """
    program = scope.program
    definition = program.functions[name]
    parts = children(definition, {"name", "optype", "dataType"}, {"ParameterField", *EXPRESSIONS})
    parameters = [part for part in parts if part.tag == "ParameterField"]
    body = [part for part in parts if part.tag != "ParameterField"]
    if len(body) != 1:
        raise Unsupported(f"DefineFunction '{name}' without one expression")
    if len(parameters) != len(arguments):
        raise Unsupported(
            f"a call of the function '{name}' with {len(arguments)} arguments; it has {len(parameters)}"
        )
    if name in program.calling:
        raise Unsupported(f"the function '{name}', which calls itself")
    given = [
        _argument(parameter, argument, program)
        for parameter, argument in zip(parameters, arguments, strict=True)
    ]
    key = (name, *(_identity(one) for one in given))
    known = program.calls.get(key)
    if isinstance(known, Field):
        program.nesting.stand_on(known)
    if known is None:
        program.count_call()
        program.calling.append(name)
        try:
            known = program.calls[key] = _compiled(definition, body[0], parameters, given, program)
        finally:
            program.calling.pop()
    return known


def _argument(parameter: Element, argument: Expression, program: Program) -> Expression:
    children(parameter, {"name", "optype", "dataType", "displayName"})
    if parameter.get("dataType") is not None:
        argument = as_kind(argument, read_kind(parameter), program)
    return once(argument, program)


def _identity(argument: Expression) -> tuple[object, ...]:
    """Returns what is equal for arguments that always have equal values."""
    if isinstance(argument, Constant):
        value = argument.value
        return ("constant", argument.kind, value if value == value else None)
    return ("field", argument.slot) if isinstance(argument, Field) else (object(),)


def _compiled(
    definition: Element,
    body: Element,
    parameters: Sequence[Element],
    given: Sequence[Expression],
    program: Program,
) -> Expression:
    scope = Scope(program)
    for parameter, argument in zip(parameters, given, strict=True):
        name = required(parameter, "name")
        if isinstance(argument, Field):
            scope.declare_as(name, argument)
        else:
            scope.declare(program.field(name, argument.kind, argument))
    made = compile_whole(body, scope)
    if definition.get("dataType") is not None:
        made = as_kind(made, read_kind(definition), program)
    return once(made, program)
