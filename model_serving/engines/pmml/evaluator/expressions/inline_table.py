"""``InlineTable``: rows of texts within a document (PMML 4.4: Taxonomy)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from model_serving.engines.pmml.evaluator.reading import children

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["column_name", "read_inline_table"]


def column_name(name: str) -> str:
    """Returns the name of a column without the prefix of a namespace, which exporters write or leave out."""
    return name.rpartition(":")[2]


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
