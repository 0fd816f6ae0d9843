"""A .tflite file with its folded operators replaced by constants, and with all shapes known.

It is for an oracle that cannot do that: TFLite Micro has no REDUCE_PROD and no TILE, and no shapes
but those in the file; it runs what is left of a model that computes its shapes.
"""

from __future__ import annotations

import flatbuffers
import numpy as np
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from quantize.errors import ModelError
from quantize.tflite.graph import Graph


def without_folded(model: bytes, graph: Graph) -> bytes:
    """`model`, of which `graph` was read, without the operators whose outputs are constants there.

    Tensors keep their numbers. Raises ModelError for a file that the schema's own code cannot read.
    """
    try:
        file = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
        main = file.subgraphs[0]
        main.operators = [
            op for op in main.operators if not all(_known(graph, int(i)) for i in op.outputs)
        ]
        for index, tensor in enumerate(main.tensors):
            tensor.shape = np.array(graph.tensors[index].shape, np.int32)
            data = graph.tensors[index].data
            stored = file.buffers[tensor.buffer].data
            if data is not None and (stored is None or not len(stored)):
                buffer = schema.BufferT()
                buffer.data = np.frombuffer(data.tobytes(), np.uint8)
                file.buffers.append(buffer)
                tensor.buffer = len(file.buffers) - 1
        builder = flatbuffers.Builder(len(model) + 1024)
        builder.Finish(file.Pack(builder), b"TFL3")
        return bytes(builder.Output())
    except Exception as error:  # it follows every offset of the file unchecked
        raise ModelError(f"the model cannot be written anew: {error!r}") from error


def _known(graph: Graph, index: int) -> bool:
    return graph.tensors[index].data is not None
