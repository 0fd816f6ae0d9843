"""Convolutions whose rows are widened once, as nn_conv_2d_rows_s8 (nn_rows.h)."""

from __future__ import annotations

from dataclasses import dataclass

from quantize.lowering.base import LoweredStep
from quantize.lowering.packing import ahead_of, small_sizes
from quantize.ops.base import CCall, CConstant
from quantize.ops.conv_2d import ConvParams
from quantize.reference import Step
from quantize.timings import Cost

KERNEL = "nn_conv_2d_rows_s8"
FOUR = 4  # pixels or tiles at a time, each of another quarter of a row


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What columns of slots hold and how they become outputs."""

    load: str
    products: str = "nn_channels_s8"
    columns: int  # of slots
    slot_words: int
    beside_bytes: int  # what the loader keeps
    spare: int  # rows: more cost scratch, fewer cost moves
    groups: int  # of four, in a row
    group_columns: int = 1  # from one to the next
    group_pixels: int = 1  # of outputs
    quarter: int = 0
    words: int = 0  # of a pixel


def rows_step(
    step: Step,
    p: ConvParams,
    rows: Rows,
    quad: tuple[dict[str, str], CConstant],
    form: str,
    cost: Cost,
) -> LoweredStep | None:
    """The step as a call of the kernel; `quad` are the fields and the stream of its nn_quad_t. None
    where a size has no room in an nn_conv_rows_t."""
    sizes = small_sizes(p)
    if sizes is None or rows.slot_words >= 1 << 16:
        return None
    kernel_h, channels = p.window.kernel[0], p.output_shape[3]
    slots = rows.columns * kernel_h + rows.spare
    column_words = kernel_h * rows.slot_words
    fields, stream = quad
    call = CCall(
        function=KERNEL,
        params_type="nn_conv_rows_t",
        params=sizes
        | {
            "columns.count": str(rows.columns),
            "columns.step_bytes": str(4 * column_words),
            "quarter": str(rows.quarter),
            "widen.words": str(rows.words),
            "widen.gap_bytes": str(4 * (column_words - rows.slot_words)),
            "widen.back_bytes": str(4 * rows.words - p.input_shape[3]),
            "slot_words": str(rows.slot_words),
            "slots": str(slots),
            "spare": str(rows.spare),
            "beside_bytes": str(rows.beside_bytes),
            "groups": str(rows.groups),
            "group_words": str(rows.group_columns * column_words),
            "group_bytes": str(rows.group_pixels * channels),
            "stride_bytes": str(p.output_shape[2] // FOUR * channels),
            "load": rows.load,
            "products": rows.products,
        }
        | fields,
        constants=(stream,),
        scratch_bytes=4 * slots * rows.slot_words + rows.beside_bytes,
    )
    ahead = ahead_of(p, p.output_shape[2], kernel_h)
    return LoweredStep(
        step=step,
        calls=(call,),
        in_place=(0,) if ahead == 0 else (),
        ahead_bytes=ahead,
        requantisation=form,
        cost=cost,
    )
