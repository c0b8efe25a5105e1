"""GitHub-flavoured Markdown: texts that cannot break a table, grids, lists of notes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def escape(text: str, *, stars: bool = False) -> str:
    """A text for a cell or a line: what would end it, or start a cell, is taken literally.

    stars: asterisks too, which would be emphasis.
    """
    text = text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
    return text.replace("*", "\\*") if stars else text


def row(cells: Iterable[str]) -> str:
    """A line of a table, of cells that are escaped."""
    return f"| {' | '.join(cells)} |"


def grid(lines: Sequence[Sequence[str]], texts: int, *, stars: bool = False) -> list[str]:
    """Lines of a table, heads first, padded to columns that can be read as they are.

    texts: so many of its columns are texts, to the left; the others numbers, to the right. stars:
    see `escape`.

    Example:
        >>> print(*grid([["task", "score"], ["a|b", "0.5"]], texts=1), sep="\\n")
        | task | score |
        | ---- | ----: |
        | a\\|b | 0.5   |
    """
    cells = [[escape(cell, stars=stars) for cell in line] for line in lines]
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    rule = ["-" * width if i < texts else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    return [
        row(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        for line in (cells[0], rule, *cells[1:])
    ]


def bullets(lines: Iterable[str], *, stars: bool = False) -> list[str]:
    """Texts as a list. stars: see `escape`."""
    return [f"- {escape(line, stars=stars)}" for line in lines]
