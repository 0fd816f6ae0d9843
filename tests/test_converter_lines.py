"""The lines that README gives for a Keras model, run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from host_tools.cli import main

ROOT = Path(__file__).parents[1]
BEFORE = """
import numpy as np, tensorflow as tf
keras = tf.keras
network = keras.Sequential([
    keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 3, activation="relu"),
    keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax"),
])
samples = np.random.default_rng(0).normal(size=(20, 8, 8, 1)).astype(np.float32)
"""
AFTER = """
made = tf.lite.Interpreter("model.tflite"); made.allocate_tensors()
(source,), (sink,) = made.get_input_details(), made.get_output_details()
for sample in samples:
    scale, zero = source["quantization"]
    codes = np.clip(np.round(sample[None] / scale) + zero, -128, 127).astype(np.int8)
    made.set_tensor(source["index"], codes); made.invoke()
    scale, zero = sink["quantization"]
    got = (made.get_tensor(sink["index"]).astype(float) - zero) * scale
    assert np.abs(got - network(sample[None]).numpy()).max() < 0.05, "not the same network"
"""


@pytest.mark.slow
def test_the_lines_give_a_model_that_is_proved(tmp_path: Path) -> None:
    (lines,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", BEFORE + lines + AFTER], cwd=tmp_path, capture_output=True,
        text=True, check=False, timeout=180, env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    model = str(tmp_path / "model.tflite")
    line = ["parity", model, "--board", "native", "--cases", "5", "--project", str(tmp_path)]
    assert main(line) == 0
