"""python -m tests.recipe_reference: write docs/RECIPE.md from the types of model/recipe.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from model.recipe_text import Table, tables

PAGE = Path(__file__).parents[1] / "docs" / "RECIPE.md"
HEAD = """# Every key of a recipe

Written by `python -m tests.recipe_reference` from the types of `model/recipe.py` and the rules of
`model/complete.py`. A recipe is a `.toml` file in the project's folder. These five lines are one:

```toml
[dataset.csv_folder]
folder = "data"
pattern = '(?P<label>[a-z]+)_(?P<group>[a-z]+)_[0-9]+\\.csv'
[dataset]
sample_rate_hz = 50.0
```

A key that is left out has the value of the column *without it*. What the data decide is looked up
at the first check and kept in `<recipe>.lock` beside the recipe, with the SHA-256 of the data: keep
that file with the recipe. When recordings were added or changed, `tinyproof check --accept` writes
it anew; until then a check refuses the other data. A table that is marked *on demand* is there
only when the recipe has it. `tinyproof new NAME --from FOLDER` writes a recipe with all that it
finds out; `tinyproof check` names all problems of a recipe at once.
"""


def page() -> str:
    """The page."""
    return HEAD + "".join(f"\n{part}\n" for table in tables() for part in _section(table))


def _section(table: Table) -> Iterator[str]:
    title = f"`[{table.path}]`" if table.path else "At the top"
    yield f"## {title}" + (", on demand" if table.optional else "")
    yield table.meaning
    if table.keys:
        rows = (
            f"| `{key.path.rpartition('.')[2]}` | {_cell(key.kind)} | {_cell(key.bounds)} | "
            f"{_cell(key.default) or '**must be there**'} | {_cell(key.meaning)} |"
            for key in table.keys
        )
        yield "\n".join(
            ["| key | type | bounds | without it | meaning |", "|---|---|---|---|---|", *rows]
        )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
