"""How long work shows that it goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress as Bar

Progress = Callable[[int, float, float | None], None]  # step, loss, validation score
console = Console()
SHOWN_ITEMS = 500  # fewer are done at once
T = TypeVar("T")


def item_progress(
    items: Sequence[T], title: str, work: int = 0, *, always: bool = False
) -> Iterator[T]:
    """The same items, with a bar on a terminal where they (or their `work`) are many, or always."""
    with Bar(
        console=console,
        transient=True,
        disable=not console.is_terminal or not (always or max(len(items), work) >= SHOWN_ITEMS),
    ) as bar:
        yield from bar.track(items, description=title)


@contextmanager
def training_progress(title: str, steps: int) -> Iterator[Progress]:
    """A progress bar on a terminal, a line at each validation elsewhere."""
    with Bar(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=steps)

        def advance(step: int, loss: float, score: float | None) -> None:
            bar.update(task, completed=step)
            if score is not None:
                text = f"{title} {step}/{steps}: loss {loss:.3f}, validation {score:.3f}"
                bar.update(task, description=text)
                if not console.is_terminal and step % (steps // 4 or 1) == 0:
                    console.print(text)

        yield advance
