"""What the pages of results share: the templates' rules and one style, page.css."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

STYLE = Path(__file__).parent / "templates" / "page.css"


def environment(*folders: Path) -> Environment:
    """Templates of `folders`, which may include page.css. All text is escaped, a gap an error."""
    return Environment(
        loader=FileSystemLoader([*folders, STYLE.parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
