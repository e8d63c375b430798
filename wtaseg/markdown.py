"""Tables as Markdown; those of results, with marks and notes, are in ``wtaseg.report``."""

from collections.abc import Iterable, Sequence


def table_lines(header: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> list[str]:
    """Lines of a table, whose cells are written as they are.

    Args:
        header: titles of the columns.
        rows: cells, as many as there are titles.
        texts: columns of text on the left; those after them hold numbers and are aligned to the right.
    """
    aligned = ['---'] * texts + ['---:'] * (len(header) - texts)
    return [_row(header), f'|{"|".join(aligned)}|', *map(_row, rows)]


def _row(cells: Sequence[str]) -> str:
    return f'| {" | ".join(cells)} |'
