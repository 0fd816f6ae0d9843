"""Read a .tflite file into a Graph. The file is untrusted: everything is checked here, once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model.files import read_bounded
from quantize.errors import ModelError, UnsupportedOperator
from quantize.ops import OPS
from quantize.scheme import QuantParams
from quantize.tflite.constants import EVALUATED, fold_constants
from quantize.tflite.external_buffers import is_external
from quantize.tflite.flatbuffer import Table, root_table
from quantize.tflite.float_tables import make_tables
from quantize.tflite.graph import Graph, Operator, Tensor
from quantize.tflite.schema import OPERATOR_NAMES, TENSOR_TYPES
from quantize.tflite.signatures import VECTOR, Signature
from quantize.tflite.variables import FOLDED, fold_variables

MAX_FILE_BYTES = 64 << 20
MAX_SUBGRAPHS = 16
MAX_TENSORS = 4096  # of one subgraph
MAX_OPERATORS = 1024
MAX_ENDS = 1024  # inputs or outputs of a signature
MAX_RANK = 6  # of TFLite Micro's shapes
MAX_ELEMENTS = 1 << 26
MAX_SCALE = 2.0**64
MAX_SCALES = 1 << 17  # of all tensors together
MAX_INT4 = 1 << 23  # elements of all tensors together, because each is unpacked on its own
FEATURES_ENTRY = "tinyproof.features"  # of the metadata
MAX_FEATURES_BYTES = 1 << 16
UNUSED = (0,)  # shape of what the converter writes for an LSTM's intermediate tensors
_ZERO_POINTS = {
    "int4": (-8, 7),
    "int8": (-128, 127),
    "uint8": (0, 255),
    "int16": (-32768, 32767),
}


@dataclass(slots=True)
class _File:
    """What is known of all subgraphs together."""

    buffers: list[Table]
    codes: list[tuple[str, int]]
    scales: int = 0
    unpacked: int = 0  # int4 values
    variables: dict[tuple[bytes | None, bytes], int] = field(default_factory=dict)


def read_file(path: Path) -> bytes:
    """A whole file; ModelError when it cannot be read or is larger than any model may be."""
    try:
        data = read_bounded(path, MAX_FILE_BYTES + 1)
    except OSError as error:
        told = f"cannot be read: {error.strerror}; give the path of an existing file"
        raise ModelError(f"{path}: {told}") from error
    if len(data) > MAX_FILE_BYTES:
        raise ModelError(
            f"{path}: expected at most {MAX_FILE_BYTES:,} bytes, got more; give a smaller file"
        )
    return data


def read_model(path: Path) -> Graph:
    """Read and validate the .tflite file at `path`.

    Raises ModelError for a file that is missing, too large, damaged or hostile, and
    UnsupportedOperator for an operator code that TFLite does not define.
    """
    return parse_model(read_file(path), str(path))


def parse_model(data: bytes, path: str = "model") -> Graph:
    """Validate the bytes of a .tflite file; see read_model."""
    graph = make_tables(fold_constants(fold_variables(parse_subgraphs(data, path), path), path))
    if not graph.operators:
        raise ModelError(
            f"{path}: no output needs an operator: each is an input as it comes; "
            "give outputs that operators compute"
        )
    return graph


def parse_subgraphs(data: bytes, path: str = "model") -> list[Graph]:
    """All subgraphs as they stand in the file, nothing folded; raises as read_model does."""
    model = root_table(data, b"TFL3", path)
    subgraphs = model.tables(2, "subgraphs", MAX_SUBGRAPHS)
    if not subgraphs:
        raise ModelError(f"{path}: no subgraphs; the file is damaged")
    buffers = model.tables(4, "buffers", 2 * MAX_TENSORS)
    if not buffers:
        raise ModelError(f"{path}: no buffers; the file is damaged")
    _check_metadata(model)
    codes = [_operator_code(t) for t in model.tables(1, "operator_codes", 1024)]
    file = _File(buffers=buffers, codes=codes)
    graphs = [_read_subgraph(table, file) for table in subgraphs]
    _check_order(graphs[0], path)
    return graphs


def _read_subgraph(table: Table, file: _File) -> Graph:
    tensors = _read_tensors(table, file)
    operators = tuple(
        _read_operator(op, index, file, len(tensors))
        for index, op in enumerate(table.tables(3, "operators", MAX_OPERATORS))
    )
    return Graph(
        tensors=tensors,
        operators=operators,
        inputs=_indices(table, 1, "inputs", len(tensors)),
        outputs=_indices(table, 2, "outputs", len(tensors)),
    )


def read_features(data: bytes, path: str = "model") -> str | None:
    """The front end that the model was trained with, as the quantise step wrote it; else None."""
    model = root_table(data, b"TFL3", path)
    buffers = model.tables(4, "buffers", 2 * MAX_TENSORS)
    for table in model.tables(6, "metadata", 64):
        if table.string(0, "name") == FEATURES_ENTRY:
            number = table.integer(1, "u32")
            if number >= len(buffers):
                raise ModelError(f"{table.path}: buffer {number}; the file has {len(buffers)}")
            text = buffers[number].array(0, "u8", "data", MAX_FEATURES_BYTES).tobytes()
            return text.decode("utf-8", "replace")
    return None


def _check_metadata(model: Table) -> None:
    """What we do not use, but the interpreter and quantize.tflite.rewrite follow."""
    for table in model.tables(6, "metadata", 64):
        name = table.string(0, "name")
        if not name:
            raise ModelError(f"{table.path}: metadata without a name; the file is damaged")
        if name == "OFFLINE_MEMORY_ALLOCATION":
            raise ModelError(
                f"{table.path}: an offline memory plan is not supported; export without one"
            )
    for signature in model.tables(7, "signature_defs", MAX_SUBGRAPHS):
        for slot, side in enumerate(("inputs", "outputs")):
            signature.tables(slot, side, MAX_ENDS)
    model.array(5, "i32", "metadata_buffer", MAX_TENSORS)
    model.string(3, "description")


def _read_tensors(graph: Table, file: _File) -> tuple[Tensor, ...]:
    tensors = []
    for index, table in enumerate(graph.tables(0, "tensors", MAX_TENSORS)):
        tensors.append(_read_tensor(table, index, file.buffers))
        file.unpacked += tensors[-1].elements if tensors[-1].dtype == "int4" else 0
        if file.unpacked > MAX_INT4:
            raise ModelError(f"{table.path}: more than {MAX_INT4} int4 values; use a smaller model")
        quant = tensors[-1].quant
        file.scales += len(quant.scale) if quant else 0
        if file.scales > MAX_SCALES:
            raise ModelError(f"{table.path}: more than {MAX_SCALES} scales; quantise per tensor")
    return tuple(tensors)


def _read_tensor(table: Table, index: int, buffers: list[Table]) -> Tensor:
    shape = tuple(int(d) for d in table.array(0, "i32", "shape", MAX_RANK))
    code = table.integer(1, "i8")
    if code not in TENSOR_TYPES:
        raise ModelError(f"{table.path}: element type {code} is not one that TFLite defines")
    dtype_name, dtype = TENSOR_TYPES[code]
    if any(d < 1 for d in shape) and shape != UNUSED:
        raise _no_elements(table.path, shape)
    if math.prod(shape) > MAX_ELEMENTS:
        raise ModelError(f"{table.path}: shape {list(shape)}: more than {MAX_ELEMENTS} elements")
    free = bool((table.array(7, "i32", "shape_signature", MAX_RANK).astype(np.int64) < 0).any())
    if table.table(6, "sparsity") is not None:
        raise ModelError(f"{table.path}: sparse tensors are not supported; export it dense")
    table.tables(9, "variant_tensors", 0)
    variable = bool(table.integer(5, "bool"))
    data = _constant(table, shape, dtype_name, dtype, buffers)
    if variable and data is not None:
        raise ModelError(f"{table.path}: a variable tensor with a first value is not supported")
    quant = _read_quantisation(table, dtype_name, shape, constant=data is not None)
    name = table.string(3, "name")
    return Tensor(
        index=index,
        name=name,
        dtype=dtype_name,
        shape=shape,
        quant=quant,
        data=data,
        variable=variable,
        free=free,
    )


def _no_elements(where: str, shape: tuple[int, ...]) -> ModelError:
    return ModelError(
        f"{where}: shape {list(shape)}: every dimension must be at least 1; "
        "export the model with a fixed batch size of 1 and no dynamic dimensions"
    )


def _constant(
    table: Table,
    shape: tuple[int, ...],
    dtype_name: str,
    dtype: np.dtype | None,
    buffers: list[Table],
) -> npt.NDArray[np.generic] | None:
    number = table.integer(2, "u32")
    if number >= len(buffers):
        raise ModelError(f"{table.path}: buffer {number}; the file has {len(buffers)}")
    if is_external(buffers[number]):
        raise ModelError(
            f"{buffers[number].path}: its data lie behind the FlatBuffer, where TFLite Micro does "
            "not look; read the file with quantize.tflite.files.model_bytes, which brings them in"
        )
    raw = buffers[number].array(0, "u8", "data", MAX_FILE_BYTES)
    if raw.size == 0:
        return None
    if dtype is None:
        raise ModelError(f"{table.path}: constants of type {dtype_name} are not supported")
    elements = math.prod(shape)
    if dtype_name == "int4" and elements > MAX_INT4:
        raise ModelError(f"{table.path}: {elements} int4 values, at most {MAX_INT4}")
    expected = (elements + 1) // 2 if dtype_name == "int4" else elements * dtype.itemsize
    if raw.size != expected:
        raise ModelError(
            f"{table.path}: its data has {raw.size} bytes; shape {list(shape)} of {dtype_name} "
            f"needs {expected}"
        )
    if dtype_name == "int4":
        return _unpacked(raw.view(np.int8))[:elements].reshape(shape)
    return raw.view(dtype.newbyteorder("<")).reshape(shape)  # no copy: tensors may share bytes


def _unpacked(raw: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """int4 values as int8: two of each byte, the first from its low half."""
    return np.stack([np.left_shift(raw, 4) >> 4, raw >> 4], axis=-1).reshape(-1)


def _read_quantisation(
    table: Table, dtype_name: str, shape: tuple[int, ...], *, constant: bool
) -> QuantParams | None:
    quant = table.table(4, "quantization")
    if quant is None:
        return None
    for slot, bound in enumerate(("min", "max")):
        quant.array(slot, "f32", bound, MAX_SCALES)
    if quant.table(5, "details") is not None:
        raise ModelError(f"{quant.path}: a quantisation of its own kind is not supported")
    scale = [float(s) for s in quant.array(2, "f32", "scale", MAX_SCALES)]
    zero = [int(z) for z in quant.array(3, "i64", "zero_point", MAX_SCALES)]
    if not zero and dtype_name not in _ZERO_POINTS:
        zero = [0] * len(scale)  # a bias; for others TFLite Micro would forget the scale
    axis = quant.integer(6)
    if not scale:
        return None
    if len(zero) != len(scale):
        raise ModelError(f"{quant.path}: {len(scale)} scales but {len(zero)} zero points")
    if any(not 0 <= s < MAX_SCALE or (s == 0 and not constant) for s in scale):
        raise ModelError(
            f"{quant.path}: every scale must be finite, above 0 (of a constant, it may be 0) and "
            f"below {MAX_SCALE:g}"
        )
    low, high = _ZERO_POINTS.get(dtype_name, (0, 0))
    for z in zero:
        if not low <= z <= high:
            raise ModelError(
                f"{quant.path}: zero point {z} of {dtype_name}: expected {low} to {high}"
            )
    if len(shape) == 1:
        axis = 0  # TFLite Micro does not look at it, and converters have written others
    if len(scale) > 1 and (not 0 <= axis < len(shape) or shape[axis] != len(scale)):
        raise ModelError(
            f"{quant.path}: {len(scale)} scales along axis {axis} of shape {list(shape)}"
        )
    return QuantParams(scale=tuple(scale), zero_point=tuple(zero), axis=axis)


def _operator_code(table: Table) -> tuple[str, int]:
    code = max(table.integer(0, "i8"), table.integer(3))
    version = table.integer(2, "i32", 1)
    if not 0 <= code < len(OPERATOR_NAMES):
        raise UnsupportedOperator(
            f"{table.path}: operator code {code} version {version} is not supported"
        )
    name = OPERATOR_NAMES[code]
    custom = table.string(1, "custom_code") if name == "CUSTOM" else ""
    return (f"CUSTOM {custom[:40]!r}" if custom else name), version


def _read_operator(table: Table, index: int, file: _File, tensor_count: int) -> Operator:
    number = table.integer(0, "u32")
    if number >= len(file.codes):
        raise ModelError(f"{table.path}: operator code {number}; the file has {len(file.codes)}")
    name, version = file.codes[number]
    signature = _signature(name)
    holder = _options_table(table, name, signature)
    options = _read_options(holder, signature)
    if name == "VAR_HANDLE":
        options["variable"] = _variable_number(table, holder, file)
    table.array(5, "u8", "custom_options", MAX_FILE_BYTES)
    table.array(7, "u8", "mutating_variable_inputs", MAX_ENDS)
    if table.table(12, "builtin_options_2") is not None:
        raise ModelError(f"{table.path}: {name} with options of StableHLO is not supported")
    _indices(table, 8, "intermediates", tensor_count)
    op = Operator(
        index=index,
        name=name,
        version=version,
        inputs=_indices(table, 1, "inputs", tensor_count, optional=True),
        outputs=_indices(table, 2, "outputs", tensor_count),
        options=options,
    )
    _check_counts(op, signature, table.path)
    return op


def _signature(name: str) -> Signature | None:
    """Of an operator that we compile or fold; None of one that is refused later."""
    spec = OPS.get(name)
    return spec.signature if spec else FOLDED.get(name) or EVALUATED.get(name)


def _variable_number(table: Table, holder: Table | None, file: _File) -> int:
    """The number of a variable. TFLite Micro finds it by comparing both strings as C does."""
    container = holder.c_string(0, "container") if holder else None
    name = holder.c_string(1, "shared_name") if holder else None
    if name is None:
        raise ModelError(f"{table.path}: VAR_HANDLE without a name; the file is damaged")
    if any((known is None) != (container is None) for known, _ in file.variables):
        raise ModelError(
            f"{table.path}: VAR_HANDLE with a container beside one without; the file is hand-made"
        )
    return file.variables.setdefault((container, name), len(file.variables))


def _options_table(table: Table, name: str, signature: Signature | None) -> Table | None:
    """The operator's table of options; None when the interpreter takes defaults."""
    holder = table.table(4, "builtin_options")
    kind = table.integer(3, "u8")
    if holder is not None and signature and signature.table not in (0, kind):
        raise ModelError(
            f"{table.path}: {name} has options of type {kind}, expected {signature.table}; "
            "the file is damaged or hand-made"
        )
    return holder


def _read_options(holder: Table | None, signature: Signature | None) -> dict[str, int | float]:
    """The values of an operator's options, or their defaults; vectors are only checked."""
    options: dict[str, int | float] = {}
    for name, (slot, kind, default) in (signature.options if signature else {}).items():
        if kind == VECTOR:
            if holder is not None:
                holder.array(slot, "i32", name, MAX_RANK)
            continue
        value = holder.scalar(slot, kind, default) if holder is not None else default
        options[name] = float(value) if kind == "f32" else int(value)
    return options


def _check_counts(op: Operator, signature: Signature | None, where: str) -> None:
    if signature is None:
        return
    lists = (("inputs", op.inputs, signature.inputs), ("outputs", op.outputs, signature.outputs))
    for name, values, (minimum, maximum) in lists:
        if not minimum <= len(values) <= maximum:
            raise ModelError(
                f"{where}: {op.name} has {len(values)} {name}, expected {minimum} to {maximum}; "
                "the file is damaged or hand-made"
            )


def _indices(
    table: Table, slot: int, name: str, tensor_count: int, *, optional: bool = False
) -> tuple[int, ...]:
    values = tuple(int(v) for v in table.array(slot, "i32", name, 1024))
    lowest = -1 if optional else 0
    for value in values:
        if not lowest <= value < tensor_count:
            raise ModelError(
                f"{table.path}.{name}: tensor {value}; the file has tensors 0 to {tensor_count - 1}"
            )
    return values


def _check_order(graph: Graph, path: str) -> None:
    """Every tensor is written once, and before it is read."""
    used = {i for op in graph.operators for i in (*op.inputs, *op.outputs) if i >= 0}
    for i in sorted(used | {*graph.inputs, *graph.outputs}):
        if graph.tensors[i].shape == UNUSED:
            raise _no_elements(f"{path}: tensor {i}", UNUSED)
    if not graph.inputs or not graph.outputs or not graph.operators:
        raise ModelError(f"{path}: a model needs at least one input, one output and one operator")
    if len(set(graph.inputs)) != len(graph.inputs):
        raise ModelError(f"{path}: the same tensor is listed twice among the inputs")
    known = {t.index for t in graph.tensors if t.data is not None or t.variable}
    ends = (*graph.inputs, *graph.outputs)
    if constant := [i for i in graph.outputs if graph.tensors[i].data is not None]:
        raise UnsupportedOperator(
            f"{path}: output tensor {constant[0]} is a constant, the same for every input; remove "
            "it from the model's outputs"
        )
    if stored := [i for i in ends if i in known]:
        what = "variable" if graph.tensors[stored[0]].variable else "constant"
        raise ModelError(f"{path}: tensor {stored[0]} is a {what} and an end of the model")
    known |= set(graph.inputs)
    for op in graph.operators:
        where = f"{path}: operator {op.index} {op.name}"
        if not op.outputs and _signature(op.name) is None:
            raise ModelError(f"{where}: no output")
        for i in op.inputs:
            if i >= 0 and i not in known:
                raise ModelError(f"{where}: reads tensor {i} before any operator has written it")
        for o in op.outputs:
            if o in known:
                raise ModelError(f"{where}: writes tensor {o}, which already has a value")
            known.add(o)
    if missing := [o for o in graph.outputs if o not in known]:
        raise ModelError(f"{path}: output tensor {missing[0]} is never written")
