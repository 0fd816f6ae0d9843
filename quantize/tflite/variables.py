"""Resource variables of streaming models: CALL_ONCE, VAR_HANDLE, READ_VARIABLE, ASSIGN_VARIABLE.

They are folded before anything else sees the model: a variable becomes a variable tensor of the
graph, with the constants that CALL_ONCE's subgraph assigns as its first value. CALL_ONCE and
VAR_HANDLE are gone then, and the operators that remain are numbered anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from quantize.errors import ModelError, UnsupportedOperator
from quantize.tflite.graph import Graph, Operator, Tensor
from quantize.tflite.signatures import NO_OPTIONS, Signature

# the operators that are gone then
FOLDED: dict[str, Signature] = {
    "CALL_ONCE": Signature(
        inputs=(0, 0), outputs=(0, 0), table=103, options={"subgraph": (0, "i32", 0)}
    ),
    "VAR_HANDLE": Signature(inputs=(0, 0), outputs=(1, 1), table=111, options=NO_OPTIONS),
}
USERS = ("READ_VARIABLE", "ASSIGN_VARIABLE")
Numbers = dict[int, int]  # handle tensor -> variable, numbered by the reader


def fold_variables(graphs: Sequence[Graph], path: str) -> Graph:
    """The first subgraph with variable tensors in place of resource variables.

    Raises UnsupportedOperator for subgraphs that do more than assign constants once, before the
    variables are used, and ModelError for handles that lead nowhere.
    """
    main = graphs[0]
    first = _first_values(graphs, path)
    handles = _handles(main, f"{path}: operator")
    _check_handles(main, handles, path)
    tensors = list(main.tensors)
    places = {}
    for number in sorted(set(handles.values())):
        if (like := _like(main, handles, number, first, path)) is not None:
            places[number] = len(tensors)
            tensors.append(_variable(like, first.get(number), len(tensors), path))
    kept = [_placed(op, handles, places) for op in main.operators if op.name not in FOLDED]
    if not kept:
        raise ModelError(f"{path}: a model needs at least one operator that computes")
    return replace(
        main,
        tensors=tuple(tensors),
        operators=tuple(replace(op, index=index) for index, op in enumerate(kept)),
    )


def _first_values(graphs: Sequence[Graph], path: str) -> dict[int, Tensor]:
    """Variable -> the constant that the subgraphs of all CALL_ONCE leave in it."""
    values: dict[int, Tensor] = {}
    called, used = set(), False
    for op in graphs[0].operators:
        used |= op.name in USERS
        if op.name != "CALL_ONCE":
            continue
        where, number = f"{path}: operator {op.index} CALL_ONCE", int(op.options["subgraph"])
        if not 1 <= number < len(graphs):
            raise ModelError(f"{where}: subgraph {number}; the file has {len(graphs)}")
        if used:
            raise UnsupportedOperator(f"{where} follows a use of variables; put it in front")
        called.add(number)
        values |= _assigned(graphs[number], f"{path}: subgraph {number}")
    if left := set(range(1, len(graphs))) - called:
        raise UnsupportedOperator(
            f"{path}: no CALL_ONCE runs subgraph {min(left)}; export a single signature, without "
            "control flow"
        )
    return values


def _assigned(graph: Graph, where: str) -> Iterator[tuple[int, Tensor]]:
    """(variable, constant) of each assignment of an init subgraph."""
    for op in graph.operators:
        if op.name not in ("VAR_HANDLE", "ASSIGN_VARIABLE"):
            raise UnsupportedOperator(
                f"{where}, operator {op.index} {op.name}: a subgraph of CALL_ONCE may only assign "
                "constants to variables"
            )
    if graph.inputs or graph.outputs:
        raise UnsupportedOperator(f"{where}: a subgraph of CALL_ONCE has no inputs and outputs")
    handles = _handles(graph, f"{where}, operator")
    for op in graph.operators:
        if op.name == "ASSIGN_VARIABLE":
            value = graph.optional_input(op, 1)
            if op.inputs[0] not in handles or value is None or value.data is None:
                raise UnsupportedOperator(
                    f"{where}, operator {op.index} {op.name}: expected a handle of VAR_HANDLE and "
                    "a constant"
                )
            yield handles[op.inputs[0]], value


def _handles(graph: Graph, where: str) -> Numbers:
    """The outputs of VAR_HANDLE."""
    handles: Numbers = {}
    for op in graph.operators:
        if op.name == "VAR_HANDLE":
            tensor = graph.output(op)
            if op.version != 1 or tensor.dtype != "resource" or tensor.elements != 1:
                raise ModelError(
                    f"{where} {op.index} VAR_HANDLE version {op.version} gives {tensor.dtype} "
                    f"{list(tensor.shape)}; expected version 1 and one resource"
                )
            handles[tensor.index] = int(op.options["variable"])
    return handles


def _check_handles(graph: Graph, handles: Numbers, path: str) -> None:
    """READ_VARIABLE and ASSIGN_VARIABLE take a handle first, and nothing else takes one."""
    for op in graph.operators:
        given = [position for position, i in enumerate(op.inputs) if i in handles]
        if given != ([0] if op.name in USERS else []):
            raise ModelError(
                f"{path}: operator {op.index} {op.name} has handles of variables as inputs "
                f"{given}; READ_VARIABLE and ASSIGN_VARIABLE take one as input 0, others none"
            )
    if ends := handles.keys() & {*graph.inputs, *graph.outputs}:
        raise ModelError(f"{path}: tensor {min(ends)} is a handle and an end of the model")


def _like(
    graph: Graph, handles: Numbers, number: int, first: dict[int, Tensor], path: str
) -> Tensor | None:
    """The tensor whose type, shape and quantisation a variable has; None for one never used.

    TFLite Micro takes them from the first assignment that it prepares.
    """
    users = [op for op in graph.operators if op.name in USERS and handles[op.inputs[0]] == number]
    for op in users:
        if op.name == "ASSIGN_VARIABLE":
            return graph.input(op, 1)
    if users and number not in first:
        raise ModelError(
            f"{path}: operator {users[0].index} READ_VARIABLE reads a variable that nothing assigns"
        )
    return first.get(number) if users else None


def _variable(like: Tensor, first: Tensor | None, index: int, path: str) -> Tensor:
    if like.dtype == "int16" and like.quant is not None and any(like.quant.zero_point):
        raise UnsupportedOperator(f"{path}: an int16 variable needs zero point 0")
    if first is not None:
        same = first.quant is None or like.quant is None or first.quant == like.quant
        if first.dtype != like.dtype or first.shape != like.shape or not same:
            raise ModelError(
                f"{path}: a variable of {like.dtype} {list(like.shape)} is assigned "
                f"{first.dtype} {list(first.shape)} once; expected the same, equally quantised"
            )
    return Tensor(
        index=index,
        name=f"variable {index}",
        dtype=like.dtype,
        shape=like.shape,
        quant=like.quant,
        data=None,
        variable=True,
        shared=True,
        initial=None if first is None else first.data,
    )


def _placed(op: Operator, handles: Numbers, places: dict[int, int]) -> Operator:
    """READ_VARIABLE and ASSIGN_VARIABLE with the variable's tensor for the handle."""
    if op.name not in USERS:
        return op
    return replace(op, inputs=(places[handles[op.inputs[0]]], *op.inputs[1:]))
