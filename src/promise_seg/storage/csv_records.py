"""Read CSV files that this package wrote and other programs may have changed."""

import csv
from collections.abc import Iterable, Iterator


def records(lines: Iterable[str]) -> Iterator[dict[str, str]]:
    """Yield each row of a CSV by the names in its header.

    Raises:
        ValueError: if a row has more or fewer cells than the header, or the text is not a CSV.
    """
    reader = csv.DictReader(lines)
    try:
        for row in reader:
            surplus = len(row.pop(None, []))
            cells = [cell for cell in row.values() if cell is not None]
            if surplus or len(cells) < len(row):
                raise ValueError(
                    f"line {reader.line_num}: found {len(cells) + surplus} cells; expected the {len(row)} of the header"
                )
            yield row
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}") from error
