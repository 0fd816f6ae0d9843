"""Candidates of a search: cost and score of one recipe after another.

host_tools.search runs `make` as a job (model.jobs), here or on another machine.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from model.attachments import Attachments, attached
from model.datasets.base import Dataset
from model.datasets.lists import split_groups
from model.evaluate import headline
from model.features import split_windows
from model.features.design import feature_text, recipe_front_end
from model.features.library import Extractor
from model.files import write_bytes, write_json
from model.processes import scratch_folder
from model.recipe import FeatureConfig, Recipe
from model.stages.splits import FEATURES, load_splits, save_splits
from model.tasks import task_of, trained_part
from quantize.golden import save_golden

FOLDS = 4  # or one for each group, where there are fewer
UNTRAINED_WINDOWS = 32  # to calibrate a network whose accuracy does not matter yet


def make(
    step: str,
    recipe: Recipe,
    dataset: Dataset,
    features: bytes,
    front_end: FeatureConfig,
    sent: Attachments,
) -> dict[str, bytes]:
    """The files that a step, a key of STEPS, writes; `features` are those of the data check.

    They were made with `front_end`; a candidate with another one gets its own. Raises
    ModelSideError or QuantizeError for a recipe that cannot be used.
    """
    with scratch_folder("candidate") as folder:
        if recipe.features == front_end:
            write_bytes(folder / FEATURES, features)
        else:
            _write_features(recipe, folder, dataset)
        with attached(recipe, sent):
            STEPS[step](recipe, folder, dataset)
        made = (path for path in sorted(folder.iterdir()) if path.is_file())
        return {path.name: path.read_bytes() for path in made if path.name != FEATURES}


def _write_features(recipe: Recipe, folder: Path, dataset: Dataset) -> None:
    extractor = Extractor(recipe_front_end(recipe))
    splits = split_windows(dataset, recipe.dataset, extractor)
    train = trained_part(splits.train, task_of(recipe, dataset.labels))
    save_splits(folder, replace(splits, train=train))


def untrained_candidate(recipe: Recipe, out_dir: Path, dataset: Dataset) -> None:
    """The int8 model of an untrained network, whose cost on a board is that of a trained one."""
    from model import train as training
    from quantize import ptq
    from quantize.pipeline import golden_of

    training.make_deterministic(recipe.train.seed)
    splits = load_splits(out_dir)
    network = training.new_network(recipe, dataset)
    windows = ptq.representative_windows(splits.train, UNTRAINED_WINDOWS, recipe.train.seed)
    model = ptq.convert_int8(network, windows, feature_text(recipe))
    write_bytes(out_dir / "model.tflite", model)
    save_golden(out_dir / "golden.npz", golden_of(model, splits.val.first(2)))


def train_candidate(recipe: Recipe, out_dir: Path, dataset: Dataset) -> None:
    """Train and quantise; the recipe's floor is for its own network and length of training.

    scores.json: what the task measures of the int8 model on the validation and the test groups.
    """
    from model import train as training
    from quantize.pipeline import quantise_recipe

    splits = load_splits(out_dir)
    task = task_of(recipe, dataset.labels).fitted(splits.train)
    network, _ = training.train_network(
        recipe,
        dataset,
        task,
        set(splits.train.group.tolist()),
        recipe.train.seed,
        training.silent,
    )
    training.save_network(network, out_dir / "float.weights.h5")
    quantised = quantise_recipe(recipe, out_dir, dataset)
    chosen = quantised["chosen"]
    # as its metrics call it
    key = {"R2": "mean_r2"}.get(task.measure, task.measure.lower().replace(" ", "_"))
    scores = {split: quantised["candidates"][chosen][split][key] for split in ("val", "test")}
    write_json(out_dir / "scores.json", {**scores, "measure": task.measure, "quantisation": chosen})


def cross_validate_candidate(recipe: Recipe, out_dir: Path, dataset: Dataset) -> None:
    """folds.json: how the float network does on groups it was not trained on, without test groups.

    Two validation groups tell little about a third; this takes every group in turn.
    """
    from model import train as training

    groups = {r.group for r in dataset.recordings} - split_groups(dataset, recipe.dataset)["test"]
    folds = min(FOLDS, len(groups))
    scores = training.cross_validate(
        recipe, folds, 1, training.silent, held_out=True, dataset=dataset
    )
    found = [headline(asdict(score.network)).value for score in scores]
    write_json(out_dir / "folds.json", {"scores": found, "mean": sum(found) / folds})


STEPS = {
    "measure": untrained_candidate,  # model.tflite and golden.npz of an untrained network
    "train": train_candidate,  # the same of a trained one, scores.json
    "cross-validate": cross_validate_candidate,
}
