"""Write a .tflite file as the C array that TFLite Micro programs use (g_model, g_model_len)."""

from __future__ import annotations

from model import __version__
from quantize.emit_c import byte_rows, render, safe_name


def emit_array(model: bytes, *, name: str, sha256: str, tflm_arena_bytes: int) -> dict[str, str]:
    """File name -> text of model_data.h and model_data.cc."""
    values: dict[str, object] = {
        "name": safe_name(name),
        "version": __version__,
        "sha256": sha256,
        "tflm_arena_bytes": tflm_arena_bytes,
        "data": byte_rows(model),
        "length": len(model),
    }
    return {file: render(file, **values) for file in ("model_data.h", "model_data.cc")}
