"""What the tests of a library's examples share: results of a model, doubles, and a compiler."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from model.features import Windows
from model.features.design import design, feature_text
from model.features.library import Extractor
from model.files import write_arrays, write_bytes
from model.recipe import Recipe
from model.recipe_file import load_recipe
from quantize.golden import make_golden, save_golden
from quantize.inputs import quantised_inputs
from quantize.lowering import KERNEL_SETS
from quantize.manifest import compile_sets
from quantize.tflite.reader import parse_model
from tests.test_certificate import network, with_features

HERE = Path(__file__).parent
DOUBLES = HERE / "doubles" / "library_examples"
SENSORS = HERE / "doubles" / "arduino_sensors"
WARNINGS = ("-Wall", "-Wextra", "-Wshadow", "-Werror")
LABELS = ('"quoted"', "*/ end", "täglich\n", "??/ %s", "$(shell,id)", "${x}", "<!-- _b_ -->")
CASES = 4


def make_results(root: Path, recipe: Recipe, labels: tuple[str, ...], name: str) -> Path:
    """What `emit` leaves of the recipe's front end and a small network of random weights."""
    out_dir = root / name
    fe = design(recipe.features, recipe.dataset.sample_rate_hz, len(recipe.dataset.channels))
    rng = np.random.default_rng(5)
    steps = rng.integers(-3000, 3000, (CASES, fe.window, fe.channels)).astype(np.int16)
    zeros = np.zeros(CASES, np.int64)
    frames = Extractor(fe).batch(steps)
    windows = Windows(features=frames, feature_scale=fe.feature_scale, y=zeros, group=zeros)
    data = with_features(network(fe.rows, fe.columns, len(labels)), feature_text(recipe))
    golden = make_golden(data, [quantised_inputs(parse_model(data), windows)])
    write_bytes(out_dir / "model.tflite", data)
    write_arrays(out_dir / "samples.npz", {"samples": steps})
    save_golden(out_dir / "golden.npz", golden)
    folders = {kernels: out_dir / "gen" / kernels for kernels in KERNEL_SETS}
    settings = recipe.as_dict()
    compile_sets(
        data, golden, folders, name=name, settings=settings, recipe=recipe, labels=list(labels)
    )
    return out_dir


def recipe(name: str, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    monkeypatch.setenv("FSDD", "of-nobody")
    return load_recipe(name)


def command(*words: object, text: str | None = None) -> str:
    done = subprocess.run(
        list(map(str, words)), input=text, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    return done.stdout
