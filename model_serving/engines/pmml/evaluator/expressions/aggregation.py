"""``Aggregate`` and ``Lag``, which look at several records (PMML 4.4: Transformations): refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model_serving.engines.pmml.evaluator.reading import Unsupported

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from model_serving.engines.pmml.evaluator.scope import Expression, Scope

__all__ = ["compile_expression"]


def compile_expression(element: Element, scope: Scope) -> Expression:
    """Refuses an ``Aggregate`` or ``Lag``: a record that is scored alone does not have the values of others.

    Raises:
        Unsupported: always.
    """
    raise Unsupported(
        f"{element.tag} of the field '{element.get('field')}', which needs the values of several records",
        "compute the value where the records are made, and give it to the model as a field",
    )
