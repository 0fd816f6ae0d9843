"""Keras networks whose converter leaves float between int8, built and converted elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from quantize.golden import make_golden, random_inputs
from quantize.manifest import compile_model
from quantize.reference import integer_bits
from quantize.tflite.reader import parse_model
from tests.host_c import HostModel

LAYERS = ("Activation('elu')", "LayerNormalization()", "UnitNormalization()")
CONVERT = """
import sys
import numpy as np
import tensorflow as tf
layers, lite = tf.keras.layers, tf.lite
tf.keras.utils.set_random_seed(1)
for number, text in enumerate(sys.argv[2:]):
    network = tf.keras.Sequential([
        tf.keras.Input(batch_shape=(1, 16, 8)), layers.Conv1D(8, 3),
        eval("layers." + text), layers.Flatten(), layers.Dense(4),
    ])
    converter = lite.TFLiteConverter.from_keras_model(network)
    converter.optimizations = [lite.Optimize.DEFAULT]
    windows = np.random.default_rng(0).normal(size=(50, 1, 16, 8)).astype(np.float32)
    converter.representative_dataset = lambda: ([w] for w in windows)
    converter.target_spec.supported_ops = [
        lite.OpsSet.TFLITE_BUILTINS_INT8, lite.OpsSet.TFLITE_BUILTINS]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    with open(f"{sys.argv[1]}/{number}.tflite", "wb") as file:
        file.write(converter.convert())
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keras")
    command = [sys.executable, "-c", CONVERT, str(folder), *LAYERS]
    keras_3 = {k: v for k, v in os.environ.items() if k != "TF_USE_LEGACY_KERAS"}
    subprocess.run(command, check=True, capture_output=True, timeout=300, env=keras_3)
    return folder


@pytest.mark.parametrize("number", range(len(LAYERS)), ids=LAYERS)
def test_a_network_of_keras_equals_tflite_micro(number: int, folder: Path, tmp_path: Path) -> None:
    model = (folder / f"{number}.tflite").read_bytes()
    graph = parse_model(model)
    assert "TABLE" in {op.name for op in graph.operators}
    golden = make_golden(model, random_inputs(graph, 20, number))
    host = HostModel(tmp_path, compile_model(model, golden, tmp_path, name="m", settings={}))
    for case in range(len(golden)):
        got, expected = host.run(golden.case_inputs(case))[0], golden.case_outputs(case)[0]
        assert integer_bits(got).tolist() == integer_bits(expected).tolist()
