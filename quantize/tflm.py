"""The TFLite Micro interpreter (package tflite_micro): the reference of record."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from model.quiet import captured_stderr
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
        with captured_stderr() as report:
            self._interpreter.print_allocations()
        match = re.search(r"Arena allocation total\D+(\d+)", report.text)
        if match is None:
            raise ModelError(f"TFLite Micro reported no arena size, but: {report.text[:200]!r}")
        return int(match.group(1))
