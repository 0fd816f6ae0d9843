"""Candidates of a search: train and quantise one recipe after another in one process.

`python -m quantize.candidate` takes requests on standard input (host_tools.search).
"""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import IO

from model.command import run_and_exit_code
from model.datasets import load_dataset
from model.datasets.truth import truth_of
from model.errors import ModelSideError
from model.evaluate import headline
from model.features.design import feature_text
from model.files import write_bytes, write_json
from model.recipe import Recipe, load_recipe
from model.stages.splits import load_splits
from model.tasks import task_of
from quantize.errors import QuantizeError
from quantize.golden import save_golden

FOLDS = 4
UNTRAINED_WINDOWS = 32  # to calibrate a network whose accuracy does not matter yet


def serve(requests: IO[str], answers: IO[str]) -> int:
    """Answer each line {"recipe": path, "out": folder, "step": a key of STEPS} by one of JSON.

    `out` holds the features.npz of the data check and gets what the step writes. The answer is {}
    or {"error": why the recipe cannot be used}.
    """
    for line in requests:
        request = json.loads(line)
        answer = {}
        try:
            with contextlib.redirect_stdout(sys.stderr):
                recipe = load_recipe(request["recipe"])
                STEPS[request["step"]](recipe, Path(request["out"]))
        except (ModelSideError, QuantizeError) as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), file=answers, flush=True)
    return 0


def untrained_candidate(recipe: Recipe, out_dir: Path) -> None:
    """The int8 model of an untrained network, whose cost on a board is that of a trained one."""
    from model import train as training
    from quantize import ptq
    from quantize.pipeline import golden_of

    training.make_deterministic(recipe.train.seed)
    splits = load_splits(out_dir)
    network = training.new_network(recipe, load_dataset(recipe.dataset, truth_of(recipe)))
    windows = ptq.representative_windows(splits.train, UNTRAINED_WINDOWS, recipe.train.seed)
    model = ptq.convert_int8(network, windows, feature_text(recipe))
    write_bytes(out_dir / "model.tflite", model)
    save_golden(out_dir / "golden.npz", golden_of(model, splits.val.first(2)))


def train_candidate(recipe: Recipe, out_dir: Path) -> None:
    """Train and quantise; the recipe's floor is for its own network and length of training."""
    from model import train as training
    from quantize.pipeline import quantise_recipe

    splits, dataset = load_splits(out_dir), load_dataset(recipe.dataset, truth_of(recipe))
    network, _ = training.train_network(
        recipe,
        dataset,
        task_of(recipe, dataset.labels).fitted(splits.train),
        set(splits.train.group.tolist()),
        recipe.train.seed,
        lambda step, loss, score: None,
    )
    training.save_network(network, out_dir / "float.weights.h5")
    quantise_recipe(recipe, out_dir)


def cross_validate_candidate(recipe: Recipe, out_dir: Path) -> None:
    """folds.json: how the float network does on groups it was not trained on, without test groups.

    Two validation groups tell little about a third; this takes every group in turn.
    """
    from model import train as training

    scores = training.cross_validate(
        recipe, FOLDS, 1, lambda step, loss, score: None, held_out=True
    )
    found = [headline(asdict(score.network)).value for score in scores]
    write_json(out_dir / "folds.json", {"scores": found, "mean": sum(found) / FOLDS})


STEPS = {
    "measure": untrained_candidate,  # model.tflite and golden.npz of an untrained network
    "train": train_candidate,  # the same of a trained one, quantize.json
    "cross-validate": cross_validate_candidate,
}


if __name__ == "__main__":
    sys.exit(run_and_exit_code(lambda: serve(sys.stdin, sys.stdout)))
