"""The TFLite Micro interpreter (package tflite_micro): the reference of record."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quantize.errors import ModelError
from quantize.tflite.reader import parse_model


class TfliteMicro:
    """One model in the TFLite Micro interpreter."""

    def __init__(self, model: bytes, *, preserve_tensors: bool = False) -> None:
        from tflite_micro import runtime

        config = runtime.InterpreterConfig
        kind = config.kPreserveAllTensors if preserve_tensors else config.kAllocationRecording
        self._outputs = len(parse_model(model).outputs)
        arena = max(1 << 20, 20 * len(model))
        try:
            self._interpreter: Any = runtime.Interpreter.from_bytes(
                model, arena_size=arena, intrepreter_config=kind
            )
        except RuntimeError as error:
            raise ModelError(f"TFLite Micro refuses the model: {error}") from error

    def run(self, inputs: Sequence[npt.NDArray[np.int8]]) -> list[npt.NDArray[np.int8]]:
        """One inference: input tensors in the model's order -> output tensors."""
        for index, value in enumerate(inputs):
            self._interpreter.set_input(value, index)
        self._interpreter.invoke()
        return [np.array(self._interpreter.get_output(i)) for i in range(self._outputs)]

    def tensor(self, index: int) -> npt.NDArray[np.int8]:
        """Tensor `index` after the last run; needs preserve_tensors."""
        return np.array(self._interpreter.GetTensor(index, 0)["tensor_data"])

    def arena_bytes(self) -> int:
        """The arena that the interpreter reports to have used, in bytes."""
        report = _captured_stderr(self._interpreter.print_allocations)
        match = re.search(r"Arena allocation total\D+(\d+)", report)
        if match is None:
            raise ModelError(f"TFLite Micro reported no arena size; it printed {report[:200]!r}")
        return int(match.group(1))


def _captured_stderr(function: Any) -> str:
    """What `function` writes to the process's standard error, from C++ as well."""
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as capture:
        os.dup2(capture.fileno(), 2)
        try:
            function()
        finally:
            os.dup2(saved, 2)
            os.close(saved)
        capture.seek(0)
        return capture.read().decode("utf-8", "replace")
