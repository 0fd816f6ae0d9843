"""Choose when firmware decides for a class on a stream, and measure it."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path

from model.datasets import load_dataset
from model.datasets.lists import split_groups
from model.datasets.truth import truth_of
from model.decide import CRITERION, RECORD, Pace, choose, heard, measured
from model.features import window_counts
from model.features.design import recipe_front_end
from model.files import write_json
from model.recipe import Recipe
from model.recipe_tables import DecideConfig
from model.stages.splits import load_splits
from model.text import counted
from quantize.drift import answers
from quantize.inputs import quantised_inputs
from quantize.tflite.reader import parse_model


def rule(recipe: Recipe, out_dir: Path) -> None:
    """Write rule.json: chosen on the validation recordings, measured on them and on the test's.

    Raises DataError for windows that are not the recipe's, ConfigError as model.decide.choose.
    """
    model = (out_dir / "model.tflite").read_bytes()
    graph, splits = parse_model(model), load_splits(out_dir)
    dataset = load_dataset(recipe.dataset, truth_of(recipe))
    front_end, groups = recipe_front_end(recipe), split_groups(dataset, recipe.dataset)
    pace = Pace(window=front_end.window, hop=front_end.hop, rate_hz=dataset.sample_rate_hz)
    recordings = {}
    for name, windows in splits.items():
        if name == "train":
            continue
        inputs = quantised_inputs(graph, windows).reshape(len(windows.y), -1)
        counts = window_counts(dataset, front_end, groups[name])
        recordings[name] = heard(answers(model, inputs), windows.y, counts)
    given = recipe.decide or DecideConfig()
    chosen = choose(recordings["val"], pace, given)
    found = {name: measured(chosen, part, pace) for name, part in recordings.items()}
    write_json(
        out_dir / RECORD,
        {
            "model_sha256": hashlib.sha256(model).hexdigest(),
            "rule": asdict(chosen),
            "given": [key for key, value in asdict(given).items() if value is not None],
            "criterion": CRITERION,
            "longest": max(len(one.scores) for one in recordings["val"]),
            "window_s": pace.seconds(1),
            "hop_s": pace.hop / pace.rate_hz,
            "splits": found,
        },
    )
    test = found["test"]
    print(
        f"{recipe.name}: decides by the mean of {counted(chosen.inputs, 'output')} from a score of "
        f"{chosen.threshold}, then pauses for {counted(chosen.pause, 'input')}; of "
        f"{counted(test['recordings'], 'test recording')} {test['right']} right, "
        f"{test['wrong']} wrong, {test['missed']} without a decision"
    )
