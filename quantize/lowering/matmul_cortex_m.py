"""BATCH_MATMUL as nn_batch_matmul_packed_s8: two rows times two columns at a time."""

from __future__ import annotations

from dataclasses import replace

from quantize.lowering.base import LoweredStep
from quantize.ops.batch_matmul import BatchMatmulParams
from quantize.reference import Step
from quantize.tflite.graph import Graph
from quantize.timings import usual

SHIFTS = range(-22, 0)  # of the requantisation; codes << 22 leave room beside the product
LARGEST = 1 << 8  # below this is a value plus its offset
SMALLEST_BLOCK = 2  # columns


def lower_matmul(_graph: Graph, step: Step, scratch_budget_bytes: int) -> LoweredStep | None:
    """The packed kernel, with as many columns widened at a time as the scratch holds; None where
    it does not hold two, or the short rounding is not exact.

    Costs 0.81 instructions a MAC, 1.5 to 7 a value that is widened, rows once a block, and 9 an
    output.
    """
    p: BatchMatmulParams = step.params
    rows, columns = p.output_shape[-2:]
    quads = -(-p.depth // 4)
    # the rounding of a product below 2**30 by a factor below 1/2, with the code beside it
    exact = p.requant.shift in SHIFTS and p.depth * LARGEST**2 < 1 << 30
    block = min(columns + columns % 2, (scratch_budget_bytes // (8 * quads) - 2) // 2 * 2)
    if not exact or block < SMALLEST_BLOCK:
        return None
    (call,) = step.spec.calls(p)
    shift = -p.requant.shift
    fields = {f"matrices.{name}": value for name, value in call.params.items()}
    fields |= {
        "quads": str(quads),
        "block": str(block),
        "multiplier": str(p.requant.multiplier),
        "constant": str((1 << (shift - 1)) + (p.output_offset << shift)),
        "shift": str(shift),
    }
    packed = replace(
        call,
        function="nn_batch_matmul_packed_s8",
        params_type="nn_batch_matmul_packed_t",
        params=fields,
        scratch_bytes=8 * quads * (2 + block),
    )
    batches = step.spec.macs(p) // (rows * columns * p.depth)
    widened = p.depth * (columns + rows * -(-columns // block))
    each = 0.81 * rows * columns * p.depth + 4 * widened + 9 * rows * columns
    cost = usual(batches * each, "armv7em")
    return LoweredStep(step=step, calls=(packed,), in_place=(), requantisation="sign", cost=cost)
