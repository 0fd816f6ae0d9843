"""Which array of a user's .npz is for which input of a network: never by a guess."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from quantize.errors import ModelError
from quantize.ops.base import Array

LABELS = "labels"  # the array that says which class each case is of
SHOWN = 10  # names of arrays in a message
_NUMBERED = re.compile(
    r"(?:(?:arr|input)_)?([0-9]{1,6})"
)  # numpy.savez(file, first, second), and ours


def paired(
    arrays: Iterable[str], inputs: Sequence[str], told: str, *, ordered: bool = True
) -> list[str]:
    """The arrays' names in the order of the inputs.

    One array for one input, else all of the inputs' names, else arr_0, arr_1 ... where the network
    has an order (`ordered`). Raises ModelError for anything else: an array that is given to the
    wrong input calibrates a wrong model without a message.
    """
    names = sorted(arrays)
    if len(names) == len(inputs) == 1:
        return names
    if names == sorted(inputs):
        return list(inputs)
    positions = {
        int(found[1]): name for name in names if (found := _NUMBERED.fullmatch(name)) is not None
    }
    numbered = len(names) == len(inputs) and sorted(positions) == list(range(len(inputs)))
    if numbered and ordered and not set(names) & set(inputs):
        return [positions[number] for number in range(len(inputs))]
    expected = listed(inputs) + (f" (and {LABELS}, if you like)" if LABELS not in inputs else "")
    if len(set(inputs)) < len(inputs):
        expected = f"{len(inputs)} arrays"  # names that do not tell one from another
    by_place = (
        f"; or arr_0 to arr_{len(inputs) - 1} for the inputs in this order" if ordered else ""
    )
    raise ModelError(
        f"{told}: arrays {listed(names)}; expected one for each input, with the input's name: "
        f"{expected}{by_place if len(inputs) > 1 else ''}"
    )


def labels_misfit(labels: Array, cases: int, classes: int) -> str:
    """Why labels are no classes of an output with `classes` values; empty where they are."""
    if labels.shape != (cases,) or labels.dtype.kind not in "iu":
        return f"{LABELS} are {labels.dtype} {list(labels.shape)}, expected one whole number a case"
    if classes == 1:
        return f"output 0 has one value, and {LABELS} are numbers of classes"
    if labels.min() < 0 or labels.max() >= classes:
        return (
            f"{LABELS} are {labels.min()} to {labels.max()}, output 0 has {classes} values; give 0 "
            f"to {classes - 1}"
        )
    return ""


def plain_name(name: str) -> str:
    """A tensor's name without what the converter puts around it."""
    return re.sub(r"^serving_default_|:\d+$", "", name)


def listed(names: Sequence[str]) -> str:
    """Some names for a message, cut where they are long or many."""
    shown = ", ".join(name[:60] for name in names[:SHOWN]) or "none"
    return shown + (f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else "")
