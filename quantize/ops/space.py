"""SPACE_TO_DEPTH and SPACE_TO_BATCH_ND with their inverses: blocks of the plane moved elsewhere."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from quantize.ops.base import check_shape, int_constant, malformed, refuse
from quantize.ops.copy import (
    Move,
    Rearrangement,
    copy_spec,
    dense_strides,
    moved_input,
    rearrangement,
    single_output,
)
from quantize.ops.rules import Without
from quantize.tflite.graph import Graph, Operator, Tensor
from quantize.tflite.signatures import NO_OPTIONS, Options, signature

TYPES = ("int8", "float32")
MAX_BLOCK = 256


def _inverse(move: Move) -> Move:
    return Move(
        count=move.count,
        input_stride=move.output_stride,
        output_stride=move.input_stride,
        input_offset=move.output_offset,
        output_offset=move.input_offset,
    )


def _depth_ends(graph: Graph, op: Operator) -> tuple[Tensor, Tensor, int]:
    source = moved_input(graph, op, 0, TYPES)
    target = single_output(graph, op, source)
    block = int(op.options["block_size"])
    if len(source.shape) != 4 or block < 1:
        raise malformed(op, f"input {list(source.shape)} with blocks of {block}")
    return source, target, block


def _plane_to_depth(plane: tuple[int, ...], block: int) -> Move:
    """[n, h * block, w * block, c] to [n, h, w, block * block * c]."""
    n, height, width, c = plane
    line = width * c
    return Move(
        count=(n, height // block, block, width // block, block * c),
        input_stride=(height * line, block * line, line, block * c, 1),
        output_stride=(height * line, block * line, block * c, block * block * c, 1),
    )


def prepare_space_to_depth(graph: Graph, op: Operator) -> Rearrangement:
    """Check a SPACE_TO_DEPTH."""
    source, target, block = _depth_ends(graph, op)
    n, height, width, c = source.shape
    if height % block or width % block:
        raise malformed(op, f"{height} x {width} is not a multiple of {block}")
    check_shape(op, target, (n, height // block, width // block, c * block * block))
    return rearrangement(op, [target], [(0, 0, _plane_to_depth(source.shape, block))])


def prepare_depth_to_space(graph: Graph, op: Operator) -> Rearrangement:
    """Check a DEPTH_TO_SPACE."""
    source, target, block = _depth_ends(graph, op)
    n, height, width, c = source.shape
    if c % (block * block):
        raise malformed(op, f"{c} channels are not a multiple of {block * block}")
    check_shape(op, target, (n, height * block, width * block, c // (block * block)))
    return rearrangement(op, [target], [(0, 0, _inverse(_plane_to_depth(target.shape, block)))])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grid:
    """Block sizes and how far the plane lies inside the padded one: (before, after) by axis."""

    blocks: tuple[int, int]
    borders: tuple[tuple[int, int], tuple[int, int]]


def _grid(graph: Graph, op: Operator, rank: int) -> _Grid:
    """Inputs 1 and 2 of a tensor [n, h, w, c] or [n, h, c]."""
    if rank not in (3, 4):
        raise refuse(op, f"input has {rank} dimensions", "reshape it to 3 or 4")
    blocks, borders = int_constant(graph, op, 1), int_constant(graph, op, 2)
    if graph.input(op, 1).shape != (rank - 2,) or graph.input(op, 2).shape != (rank - 2, 2):
        raise malformed(op, f"{len(blocks)} blocks and {len(borders)} borders for {rank - 2} axes")
    if not all(1 <= b <= MAX_BLOCK for b in blocks) or min(borders) < 0:
        what = f"blocks {list(blocks)}, borders {list(borders)}"
        raise refuse(op, what, f"use blocks of 1 to {MAX_BLOCK} and no negative border")
    pairs = tuple(zip(borders[::2], borders[1::2], strict=True))
    if rank == 3:
        return _Grid(blocks=(blocks[0], 1), borders=(pairs[0], (0, 0)))
    return _Grid(blocks=(blocks[0], blocks[1]), borders=(pairs[0], pairs[1]))


def _wide(shape: tuple[int, ...]) -> tuple[int, ...]:
    """[n, h, c] as [n, h, 1, c]."""
    return shape if len(shape) == 4 else (*shape[:2], 1, shape[2])


def _shifts(block: int, before: int, size: int, cells: int) -> list[tuple[int, int, int, int]]:
    """Runs of shifts that see the same cells inside the plane: (first, count, first cell, cells).

    Cell i with shift s is index i * block + s - before of the plane.
    """

    def seen(shift: int) -> tuple[int, int]:
        first = max(-(-(before - shift) // block), 0)
        stop = min(-(-(before + size - shift) // block), cells)
        return first, stop - first

    groups = [(cells_seen, list(g)) for cells_seen, g in itertools.groupby(range(block), seen)]
    return [(g[0], len(g), first, count) for (first, count), g in groups if count > 0]


def _plane_to_batch(plane: tuple[int, ...], batched: tuple[int, ...], grid: _Grid) -> list[Move]:
    """From [n, h, w, c] to [block_h * block_w * n, cells_h, cells_w, c]."""
    n, height, width, c = plane
    block_h, block_w = grid.blocks
    before_h, before_w = grid.borders[0][0], grid.borders[1][0]
    p_n, p_h, p_w, _ = dense_strides(plane)
    b_n, b_h, b_w, _ = dense_strides(batched)
    rows = _shifts(block_h, before_h, height, batched[1])
    columns = _shifts(block_w, before_w, width, batched[2])
    return [
        Move(
            count=(shifts_h, shifts_w, n, cells_h, cells_w, c),
            input_stride=(p_h, p_w, p_n, block_h * p_h, block_w * p_w, 1),
            output_stride=(block_w * n * b_n, n * b_n, b_n, b_h, b_w, 1),
            input_offset=(cell_h * block_h + shift_h - before_h) * p_h
            + (cell_w * block_w + shift_w - before_w) * p_w,
            output_offset=(shift_h * block_w + shift_w) * n * b_n + cell_h * b_h + cell_w * b_w,
        )
        for shift_h, shifts_h, cell_h, cells_h in rows
        for shift_w, shifts_w, cell_w, cells_w in columns
    ]


def prepare_space_to_batch(graph: Graph, op: Operator) -> Rearrangement:
    """Check a SPACE_TO_BATCH_ND without padding."""
    source = moved_input(graph, op, 0, TYPES)
    target = single_output(graph, op, source)
    grid = _grid(graph, op, len(source.shape))
    plane = _wide(source.shape)
    if any(before or after for before, after in grid.borders):
        fix = (
            "TFLite Micro pads with uninitialised memory; convert with fixed shapes, batch_size=1, "
            "which makes it a dilated convolution, or put a PAD before the operator"
        )
        raise refuse(op, f"padding {[list(b) for b in grid.borders]}", fix)
    if plane[1] % grid.blocks[0] or plane[2] % grid.blocks[1]:
        raise malformed(op, f"{plane[1]} x {plane[2]} in blocks of {list(grid.blocks)}")
    cells = (plane[1] // grid.blocks[0], plane[2] // grid.blocks[1])
    batched = (plane[0] * grid.blocks[0] * grid.blocks[1], *cells, plane[3])
    rank3 = len(source.shape) == 3
    check_shape(op, target, (*batched[:2], batched[3]) if rank3 else batched)
    moves = _plane_to_batch(plane, batched, grid)
    return rearrangement(op, [target], [(0, 0, move) for move in moves])


def prepare_batch_to_space(graph: Graph, op: Operator) -> Rearrangement:
    """Check a BATCH_TO_SPACE_ND, with crops."""
    source = moved_input(graph, op, 0, TYPES)
    target = single_output(graph, op, source)
    grid = _grid(graph, op, len(source.shape))
    batched = _wide(source.shape)
    area = grid.blocks[0] * grid.blocks[1]
    sizes = [
        cells * block - sum(crop)
        for cells, block, crop in zip(batched[1:3], grid.blocks, grid.borders, strict=True)
    ]
    if batched[0] % area or min(sizes) < 1:
        what = f"{list(batched)} in blocks of {list(grid.blocks)} without {list(grid.borders)}"
        raise malformed(op, what)
    plane = (batched[0] // area, *sizes, batched[3])
    rank3 = len(source.shape) == 3
    check_shape(op, target, (*plane[:2], plane[3]) if rank3 else plane)
    moves = [_inverse(move) for move in _plane_to_batch(plane, batched, grid)]
    return rearrangement(op, [target], [(0, 0, move) for move in moves])


BLOCK_SIZE: Options = {"block_size": (0, "i32", 0)}
MIXES = Without(reason="channels become places, or places channels")
NOT_FOLLOWED = Without(reason="its channels stay channels, but no network has lost one here yet")

SPACE_TO_DEPTH = copy_spec(
    "SPACE_TO_DEPTH",
    2,
    signature(inputs=1, table=19, options=BLOCK_SIZE),
    prepare_space_to_depth,
    MIXES,
)
DEPTH_TO_SPACE = copy_spec(
    "DEPTH_TO_SPACE",
    2,
    signature(inputs=1, table=94, options=BLOCK_SIZE),
    prepare_depth_to_space,
    MIXES,
)
SPACE_TO_BATCH = copy_spec(
    "SPACE_TO_BATCH_ND",
    4,
    signature(inputs=3, table=25, options=NO_OPTIONS),
    prepare_space_to_batch,
    NOT_FOLLOWED,
)
BATCH_TO_SPACE = copy_spec(
    "BATCH_TO_SPACE_ND",
    4,
    signature(inputs=3, table=24, options=NO_OPTIONS),
    prepare_batch_to_space,
    NOT_FOLLOWED,
)
