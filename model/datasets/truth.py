"""What a source has to tell of its recordings besides samples: a class, labels, or numbers."""

from __future__ import annotations

from dataclasses import dataclass

from model.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """The kind of truth that a task learns; without `targets` and `separator` one class."""

    targets: tuple[str, ...] = ()  # names of the numbers of a regression
    of_window: str = "mean"  # of a number that varies in a window; or 'last'
    separator: str = ""  # between the labels that hold at once

    @property
    def kind(self) -> str:
        """The task that learns it."""
        if self.targets:
            return "regression"
        return "multilabel" if self.separator else "classification"


CLASSES = Truth()


def truth_of(recipe: Recipe) -> Truth:
    """What the recipe's task learns."""
    if recipe.task == "regression":
        assert recipe.regression is not None
        config = recipe.regression
        return Truth(targets=config.targets, of_window=config.of_window)
    if recipe.task == "multilabel":
        assert recipe.multilabel is not None
        return Truth(separator=recipe.multilabel.separator)
    return CLASSES
