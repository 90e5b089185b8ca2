"""``InlineTable``: rows of texts within a document (PMML 4.4: Taxonomy)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model_serving.engines.pmml.evaluator.reading import Unsupported, children

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["column_name", "read_inline_table", "refuse_locators"]


def column_name(name: str) -> str:
    """Returns the name of a column without the prefix of a namespace, which exporters write or leave out."""
    return name.rpartition(":")[2]


def refuse_locators(element: Element) -> None:
    """Refuses an element with a ``TableLocator``: PMML does not say how a table outside is found.

    Raises:
        Unsupported: the element has one.
    """
    if any(part.tag == "TableLocator" for part in element):
        raise Unsupported(
            f"a TableLocator in {element.tag}, which says only that its rows are somewhere else",
            "write the rows into an InlineTable",
        )


def read_inline_table(table: Element) -> list[dict[str, str]]:
    """Returns the rows: the texts by the names of the columns, without the prefix of a namespace.

    Raises:
        Unsupported: the table has something else than rows.
    """
    rows = []
    for row in children(table, frozenset(), ("row",)):
        cells: dict[str, str] = {}
        for cell in row:
            cells[column_name(cell.tag)] = "".join(cell.itertext())
        rows.append(cells)
    return rows
