"""``Apply``: built-in functions, functions that the document defines, and what becomes of missing results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model_serving.engines.pmml.evaluator.expressions import (
    arithmetic,
    calls,
    comparisons,
    conditions,
    dates,
    formats,
    texts,
)
from model_serving.engines.pmml.evaluator.expressions.compiler import EXPRESSIONS
from model_serving.engines.pmml.evaluator.expressions.compiler import compile_expression as compile_argument
from model_serving.engines.pmml.evaluator.expressions.missing import treated
from model_serving.engines.pmml.evaluator.reading import Unsupported, children, required

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.expressions.operands import Builtin
    from model_serving.engines.pmml.evaluator.scope import Expression, Scope

__all__ = ["BUILT_IN", "compile_expression"]

BUILT_IN: Mapping[str, Builtin] = {
    **arithmetic.FUNCTIONS,
    **comparisons.FUNCTIONS,
    **conditions.FUNCTIONS,
    **texts.FUNCTIONS,
    **dates.FUNCTIONS,
    **formats.FUNCTIONS,
}
"""The built-in functions of PMML 4.4 by name, and ``expit``, which some documents use without defining it."""

_ATTRIBUTES = frozenset({"function", "mapMissingTo", "defaultValue", "invalidValueTreatment"})


def compile_expression(element: Element, scope: Scope) -> Expression:
    """Reads an ``Apply``.

    Raises:
        Unsupported: the function is not known, or it does not take these arguments.
    """
    parts = children(element, _ATTRIBUTES, EXPRESSIONS)
    name = required(element, "function")
    is_defined = name in scope.program.functions
    builtin = None if is_defined else BUILT_IN.get(name.removeprefix("x-"))
    if builtin is None and not is_defined:
        raise Unsupported(f"the function '{name}', which is neither built in nor defined in the document")
    arguments = [compile_argument(part, scope) for part in parts]
    if builtin is None:
        return treated(element, arguments, lambda given: calls.call(name, given, scope), scope.program)
    if not builtin.least <= len(arguments) <= builtin.most:
        raise Unsupported(f"the function '{name}' with {len(arguments)} arguments")
    build = builtin.build
    try:
        return treated(element, arguments, lambda given: build(given, scope.program), scope.program)
    except Unsupported as error:
        advice = _advice_on(parts, scope) or error.advice
        raise Unsupported(f"{error}, in the function '{name}'", advice) from None


def _advice_on(arguments: Sequence[Element], scope: Scope) -> str:
    """Returns what to do about a Constant that stands for a parameter, as SAS writes it, "" without one."""
    for argument in arguments:
        name = argument.text or ""
        if argument.tag == "Constant" and scope.program.calling and scope.find(name) is not None:
            return f"write FieldRef with field '{name}' in the place of the Constant, as it is a parameter"
    return ""
