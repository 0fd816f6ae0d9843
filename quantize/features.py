"""The recipe's front end as C."""

from __future__ import annotations

from dataclasses import asdict

from model import __version__
from model.features.design import FrontEnd, feature_text, recipe_front_end, state_bytes
from model.recipe import Recipe
from quantize.emit_c import c_rows, render, safe_name
from quantize.errors import ModelError
from quantize.inputs import input_requant
from quantize.tflite.graph import Graph
from quantize.tflite.reader import read_features


def emit_features(
    front_end: FrontEnd | None, graph: Graph, *, name: str, sample_rate_hz: float
) -> dict[str, str]:
    """File name -> text of model_features.h and, with a front end, model_features.c.

    Raises ModelError as input_requant does, and for a model whose input is not the feature frame.
    """
    values: dict[str, object] = {"name": safe_name(name), "version": __version__, "fe": front_end}
    if front_end is None:
        return {"model_features.h": render("model_features.h", **values)}
    tensor = graph.tensors[graph.inputs[0]]
    if tensor.elements != front_end.rows * front_end.columns:
        raise ModelError(
            f"the model's input has shape {list(tensor.shape)}, the front end makes "
            f"{front_end.rows} x {front_end.columns} features; run the quantise step again"
        )
    requant = input_requant(graph, front_end.feature_scale)
    assert tensor.quant is not None
    values |= {
        "requant": requant,
        "state_bytes": _state_bytes(front_end),
        "sample_rate_mhz": round(sample_rate_hz * 1000),
        "feature_scale": f"{front_end.feature_scale:g}",
        "input_scale": f"{tensor.quant.scale[0]:.9g}",
        "arrays": _arrays(front_end),
    }
    return {file: render(file, **values) for file in ("model_features.h", "model_features.c")}


def _state_bytes(fe: FrontEnd) -> str:
    """The macro of fe.h: pointers have another size on this computer."""
    if fe.spectrum is None:
        return f"FE_RAW_STATE_BYTES({fe.channels}u, {fe.window}u)"
    points, filters = fe.spectrum.points, fe.spectrum.filters
    if fe.kind == "spectral":
        return f"FE_SPECTRAL_STATE_BYTES({fe.channels}u, {fe.window}u, {points}u, {filters}u)"
    return f"FE_LOGMEL_STATE_BYTES({fe.frame}u, {points}u, {fe.rows}u, {fe.columns}u)"


def _arrays(fe: FrontEnd) -> list[dict[str, object]]:
    if fe.spectrum is None:
        return []
    tables = (
        ("window", "int16_t", fe.spectrum.window),
        ("twiddles", "int16_t", fe.spectrum.twiddles),
        ("weights", "uint16_t", fe.spectrum.weights),
        ("logarithm", "uint16_t", fe.spectrum.logarithm),
        *([] if fe.mean is None else [("mean", "int16_t", fe.mean)]),
    )
    return [
        {
            "symbol": symbol,
            "ctype": ctype,
            "count": table.size,
            "text": c_rows([str(v) for v in table.reshape(-1).tolist()]),
        }
        for symbol, ctype, table in tables
    ]


def compile_features(
    model: bytes, graph: Graph, recipe: Recipe | None, name: str
) -> tuple[dict[str, str], dict[str, object] | None]:
    """(emit_features of the model's front end, what the manifest says of it).

    A model that does not say which front end it was trained with was made elsewhere and has none.
    Raises ModelError as emit_features does, and when it says another one than the recipe's.
    """
    text = read_features(model) if recipe is not None else None
    if recipe is None or text is None:
        return emit_features(None, graph, name=name, sample_rate_hz=0.0), None
    if text != feature_text(recipe):
        raise ModelError(
            f"{recipe.name}: the model was made with another front end than the recipe's "
            "[features]; run the quantise step again"
        )
    front_end = recipe_front_end(recipe)
    rate = recipe.dataset.sample_rate_hz
    files = emit_features(front_end, graph, name=name, sample_rate_hz=rate)
    return files, _describe(front_end, graph)


def _describe(front_end: FrontEnd, graph: Graph) -> dict[str, object]:
    return {
        "kind": front_end.kind,
        "window": front_end.window,
        "hop": front_end.hop,
        "rows": front_end.rows,
        "columns": front_end.columns,
        "lsb": list(front_end.lsb),
        "feature_scale": front_end.feature_scale,
        "state_bytes": state_bytes(front_end),
        "input": asdict(input_requant(graph, front_end.feature_scale)),
    }
