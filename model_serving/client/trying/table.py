"""A CSV file with a header, whose columns are not tied to a record type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from model_serving.client.errors import ClientError
from model_serving.client.record_cells import is_number
from model_serving.client.record_columns import Row, spelling
from model_serving.client.record_files import check_width, no_records, read_rows, wrong_line

__all__ = ["Table", "read_table"]

_TRUTHS = frozenset({"true", "false"})


@dataclass(frozen=True, slots=True)
class Table:
    """The lines of a CSV file below its header. ``columns`` are the names in the header, each once.

    ``places`` are the positions of the columns in a line. A column without a name, or with a name that was
    there before, is left out; ``left_out`` says which.
    """

    path: Path
    columns: tuple[str, ...]
    places: tuple[int, ...]
    rows: Sequence[Row]
    left_out: tuple[str, ...] = ()

    def find(self, name: str) -> str | None:
        """Returns the column with this name, or else one whose name differs only in case or separators."""
        if name in self.columns:
            return name
        return next((column for column in self.columns if spelling(column) == spelling(name)), None)

    def column(self, name: str) -> str:
        """Returns the column that ``find`` finds.

        Raises:
            ClientError: the file does not have the column.
        """
        found = self.find(name)
        if found is None:
            raise ClientError(
                f"{self.path} has no column '{name}' (it has {', '.join(self.columns)}): add it; "
                "a cell may be empty where the value is missing"
            )
        return found

    def cells(self, column: str) -> list[str]:
        """Returns the cells of a column, from top to bottom."""
        place = self.places[self.columns.index(column)]
        return [row.cells[place] for row in self.rows]

    def is_numeric(self, column: str) -> bool:
        """Whether most cells of a column that are not empty are numbers or truth values.

        Where a number is due, another cell is an error, not a reason to take the column for text.
        """
        filled = [cell.strip() for cell in self.cells(column) if cell.strip()]
        numbers = sum(is_number(cell) or cell.casefold() in _TRUTHS for cell in filled)
        return 2 * numbers >= len(filled)


def read_table(path: Path) -> Table:
    """Returns the lines of a CSV file with a header; the separator is found as ``publish-data`` does.

    Raises:
        ClientError: the file cannot be read, has no header, no line below it, or a line of another width.
    """
    first, *rows = read_rows(path, with_empty_cells=True)
    names = [cell.strip() for cell in first.cells]
    counted = [name for name in names if name] == [str(n) for n in range(sum(map(bool, names)))]
    if not any(names) or (any(map(is_number, names)) and not counted):
        raise ClientError(
            f"{path} has no header: its first line must name the columns, because the model finds its fields "
            "by their names"
        )
    if not rows:
        raise no_records(path)
    for row in rows:
        try:
            check_width(row, first)
        except ValueError as error:
            raise wrong_line(path, f"{row.line}", error) from error
    places = {name: place for place, name in reversed(list(enumerate(names))) if name}
    columns = sorted(places, key=lambda name: places[name])
    others = [f"'{name}' (again)" if name else "a column without a name" for name in names]
    left_out = [other for place, other in enumerate(others) if place not in places.values()]
    return Table(
        path, tuple(columns), tuple(places[name] for name in columns), rows, tuple(dict.fromkeys(left_out))
    )
