"""How long work shows that it goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import Progress as Bar

Progress = Callable[[int, float, float | None], None]  # step, loss, validation score
console = Console()
SHOWN_FILES = 500  # fewer are read at once


def file_progress(paths: Sequence[Path]) -> Iterator[Path]:
    """The same paths, with a bar on a terminal where they are many."""
    with Bar(
        console=console,
        transient=True,
        disable=not console.is_terminal or len(paths) < SHOWN_FILES,
    ) as bar:
        yield from bar.track(paths, description="reading files")


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
