"""The TFLite Micro interpreter (package tflite_micro): the reference of record."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from model.quiet import captured_stderr
from quantize.errors import ModelError
from quantize.tflite.reader import parse_model
from quantize.tflite.rewrite import rewritten, sliced

MAX_ACTIVATIONS = 64 << 20  # bytes of the interpreter's arena for tensors that are computed


@dataclass(frozen=True, slots=True, kw_only=True)
class InterpreterArena:
    """What the interpreter reports to have used of its arena, in bytes."""

    total: int
    head: int  # tensors that are computed, and scratch
    variables: int  # variable tensors, of the rest

    @property
    def least(self) -> int:
        """What it needs at least on a core of 32 bits: the rest is at most pointers, which halve
        there (tensor and operator structs, quantisation, what kernels have prepared)."""
        tensors = self.head + self.variables
        return tensors + (self.total - tensors) // 2


class TfliteMicro:
    """One model in the TFLite Micro interpreter.

    A file that it refuses is tried again in its own words: without the operators that folding has
    evaluated, which it may lack, and with SLICE for a STRIDED_SLICE of five dimensions.
    """

    def __init__(self, model: bytes, *, preserve_tensors: bool = False) -> None:
        from tflite_micro import runtime

        config = runtime.InterpreterConfig
        kind = config.kPreserveAllTensors if preserve_tensors else config.kAllocationRecording
        graph = parse_model(model)
        self._outputs = len(graph.outputs)
        self._starts_once = any(t.initial is not None for t in graph.variables)
        activations = sum(t.bytes for t in graph.tensors if t.data is None)
        arena = (1 << 20) + 20 * len(model) + min(activations, MAX_ACTIVATIONS)
        self.told = ""  # what was done to the file before it took it
        changes = {
            f"{graph.folded} operators of constants evaluated": graph.folded or graph.resized,
            "shapes computed": graph.resized,
            "STRIDED_SLICE of five dimensions as SLICE": sliced(graph),
        }
        changed = ", ".join(what for what, applies in changes.items() if applies)
        tries = [""] if not graph.resized and not sliced(graph) else []
        for told in [*tries, *([changed] if changed else [])]:
            file = rewritten(model, graph) if told else model  # only where the file is refused
            self._start = functools.partial(
                runtime.Interpreter.from_bytes, file, arena_size=arena, intrepreter_config=kind
            )
            try:
                self._interpreter: Any = self._start()
            except Exception as error:  # its Python half follows every offset of the file unchecked
                failed = error
            else:
                self.told = told
                return
        what = "" if isinstance(failed, RuntimeError) else f"{type(failed).__name__}: "
        raise ModelError(f"TFLite Micro refuses the model: {what}{failed}") from failed

    def run(self, inputs: Sequence[npt.NDArray[np.int8]]) -> list[npt.NDArray[np.int8]]:
        """One inference: input tensors in the model's order -> output tensors."""
        for index, value in enumerate(inputs):
            self._interpreter.set_input(value, index)
        self._interpreter.invoke()
        return [np.array(self._interpreter.get_output(i)) for i in range(self._outputs)]

    def reset(self) -> None:
        """Give every variable its first value.

        The interpreter's own reset clears what CALL_ONCE has assigned and does not run it again,
        which leaves a state that no model starts in: such a model is started anew.
        """
        if self._starts_once:
            self._interpreter = self._start()
        else:
            self._interpreter.reset()

    def tensor(self, index: int) -> npt.NDArray[np.int8]:
        """Tensor `index` after the last run; needs preserve_tensors."""
        return np.array(self._interpreter.GetTensor(index, 0)["tensor_data"])

    def arena(self) -> InterpreterArena:
        """How much of its arena the interpreter has used, here, with pointers of 64 bits."""
        with captured_stderr() as report:
            self._interpreter.print_allocations()

        def found(what: str, otherwise: str | None = None) -> int:
            match = re.search(rf"{what}\D+(\d+)", report.text)
            if match is None and otherwise is None:
                raise ModelError(f"TFLite Micro reported no {what!r}, but: {report.text[:200]!r}")
            return int(match.group(1) if match else otherwise or "")

        return InterpreterArena(
            total=found("Arena allocation total"),
            head=found("Arena allocation head"),
            variables=found("variable buffer data' used", "0"),
        )
