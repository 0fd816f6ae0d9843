"""float.npz: what the float network that a model was made from answers to the golden cases."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model.files import write_arrays
from model.npz import read_arrays
from model.text import printable
from quantize.errors import ModelError
from quantize.golden import Golden

MAX_NETWORK = 200  # characters of the words that say which network it is
_TEXTS = ("model_sha256", "inputs_sha256", "network")


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatOutputs:
    """`outputs`: an array a model output, float32 [cases, *shape], in the int8 model's order."""

    outputs: tuple[npt.NDArray[np.float32], ...]
    network: str  # which network it is, in words
    model_sha256: str  # of the int8 model that is compared with it
    inputs_sha256: str  # of the golden inputs
    random_inputs: bool = False  # they are no data that the network was made for
    alarm_scores: npt.NDArray[np.float64] | None = None  # [cases] of a detector of anomalies,
    alarm_threshold: float | None = None  # whose decision is score > threshold

    def mismatch(self, golden: Golden) -> str | None:
        """Why these are not the float outputs of the golden cases; None where they are."""
        if self.model_sha256 != golden.model_sha256:
            return "float.npz belongs to another model"
        if self.inputs_sha256 != inputs_digest(golden):
            return "float.npz belongs to other golden cases"
        if [v.shape for v in self.outputs] != [v.shape for v in golden.outputs]:
            return "float.npz has outputs of other shapes than golden.npz"
        return None


def inputs_digest(golden: Golden) -> str:
    """SHA-256 of all golden inputs."""
    digest = hashlib.sha256()
    for values in golden.inputs:
        digest.update(f"{values.dtype} {values.shape}".encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def float_outputs(
    golden: Golden,
    outputs: tuple[npt.NDArray[np.floating], ...],
    network: str,
    *,
    random_inputs: bool = False,
    alarm_scores: npt.NDArray[np.float64] | None = None,
    alarm_threshold: float | None = None,
) -> FloatOutputs:
    """The outputs of `network`, brought to the shapes of the golden ones.

    Raises ModelError for values that are not finite, and for another number of elements.
    """
    shaped = []
    for index, (values, expected) in enumerate(zip(outputs, golden.outputs, strict=True)):
        if values.size != expected.size:
            raise ModelError(
                f"{network}: output {index} has the shape {list(values.shape)}, the int8 model's "
                f"cases have {list(expected.shape)}"
            )
        shaped.append(values.reshape(expected.shape).astype(np.float32))
        _check_finite(shaped[-1], f"{network}: output {index}")
    return FloatOutputs(
        outputs=tuple(shaped),
        network=printable(network)[:MAX_NETWORK],
        model_sha256=golden.model_sha256,
        inputs_sha256=inputs_digest(golden),
        random_inputs=random_inputs,
        alarm_scores=alarm_scores,
        alarm_threshold=alarm_threshold,
    )


def save_float_outputs(path: Path, floats: FloatOutputs) -> None:
    """Write float.npz."""
    arrays: dict[str, npt.NDArray[np.generic]] = {
        key: np.frombuffer(str(getattr(floats, key)).encode(), np.uint8) for key in _TEXTS
    }
    arrays["random_inputs"] = np.array([floats.random_inputs], np.uint8)
    arrays |= {f"output_{i}": values for i, values in enumerate(floats.outputs)}
    if floats.alarm_scores is not None:
        arrays["alarm_scores"] = floats.alarm_scores
        arrays["alarm_threshold"] = np.array([floats.alarm_threshold])
    write_arrays(path, arrays)


def load_float_outputs(path: Path) -> FloatOutputs:
    """Read float.npz; FileNotFoundError without it, ModelError when it is damaged."""
    try:
        arrays = read_arrays(path)
        texts = {k: arrays[k].astype(np.uint8).tobytes().decode() for k in _TEXTS}
        outputs = [
            arrays[f"output_{i}"] for i in range(sum(k.startswith("output_") for k in arrays))
        ]
        random_inputs = bool(arrays["random_inputs"].any())
        scores, limit = arrays.get("alarm_scores"), arrays.get("alarm_threshold")
        _check_arrays(outputs, scores, limit)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, ModelError) as error:
        raise ModelError(
            f"{path}: not the outputs of a float network: {error}; delete it, and run the step "
            "that quantises or imports the model again"
        ) from error
    return FloatOutputs(
        outputs=tuple(outputs),
        random_inputs=random_inputs,
        alarm_scores=scores,
        alarm_threshold=None if limit is None else float(limit[0]),
        **texts,
    )


def _check_arrays(
    outputs: list[npt.NDArray[np.generic]],
    scores: npt.NDArray[np.generic] | None,
    limit: npt.NDArray[np.generic] | None,
) -> None:
    """ValueError or ModelError for what save_float_outputs does not write."""
    cases = {len(v) if v.ndim else 0 for v in (*outputs, *([] if scores is None else [scores]))}
    if len(cases) != 1 or cases == {0}:
        raise ValueError("expected arrays with one row for each golden case")
    if any(values.dtype != np.float32 for values in outputs):
        raise ValueError("expected outputs of float32")
    if (scores is None) != (limit is None) or (limit is not None and limit.shape != (1,)):
        raise ValueError("expected alarm_scores and one alarm_threshold, or neither")
    if scores is not None and scores.ndim != 1:
        raise ValueError("expected one of alarm_scores a case")
    for values in (*outputs, *(v for v in (scores, limit) if v is not None)):
        _check_finite(values, "an array")


def _check_finite(values: npt.NDArray[np.generic], what: str) -> None:
    if not np.isfinite(values).all():
        raise ModelError(
            f"{what} has values that are infinite or not a number; a network that gives such "
            "values cannot be compared with"
        )
