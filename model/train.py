"""Train a float network: the training framework lives here."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.augment import WindowSampler
from model.datasets import load_dataset
from model.datasets.base import Dataset
from model.datasets.truth import truth_of
from model.errors import ConfigError, ModelSideError
from model.evaluate import AnyMetrics, headline
from model.features import Splits, Windows, make_windows, split_groups
from model.features.design import recipe_front_end
from model.features.library import Extractor
from model.networks import build_network, keras, tf
from model.recipe import Recipe
from model.regression import Regression
from model.tasks import Task, task_of


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What training looked like, a value every few steps."""

    step: list[int]
    loss: list[float]
    val_score: list[float]  # model.evaluate.headline of the validation windows


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One network of a cross-validation."""

    test_groups: tuple[int | str, ...]
    seed: int
    network: AnyMetrics
    random_forest: AnyMetrics
    seconds: float


Progress = Callable[[int, float, float | None], None]  # step, loss, validation score


def make_deterministic(seed: int) -> None:
    """Seed every generator and choose deterministic kernels, so that a run repeats."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def images(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """[n, rows, columns] -> [n, rows, 1, columns], the network's input."""
    return x[:, :, None, :]


def predict(network: Any, windows: Windows) -> npt.NDArray[np.float32]:
    """The network's output for each window, [n, outputs]."""
    return np.asarray(network(images(windows.x), training=False))


def validate(network: Any, val: Windows, task: Task) -> AnyMetrics:
    """The network's scores on the windows that also gave its judge."""
    outputs = predict(network, val)
    return task.judge(val, val.x, outputs, None).metrics(val.x, outputs, val.truth)


def _loss_function(recipe: Recipe, task: Task, outputs: int) -> Callable[[Any, Any, Any], Any]:
    """What training makes small: a function of inputs, truth and outputs [n, outputs]."""
    if recipe.task == "anomaly":
        return lambda x, y, out: tf.reduce_mean(tf.square(out - tf.reshape(x, (-1, outputs))))
    if isinstance(task, Regression):
        huber = keras.losses.Huber()  # of deviations: a few far targets do not lead
        mean, deviation = tf.constant(task.mean), tf.constant(task.deviation)
        return lambda x, y, out: huber((y - mean) / deviation, out)
    if recipe.task == "multilabel":
        binary = keras.losses.BinaryCrossentropy(label_smoothing=recipe.train.label_smoothing)
        return lambda x, y, out: binary(y, out)
    entropy = keras.losses.CategoricalCrossentropy(label_smoothing=recipe.train.label_smoothing)
    return lambda x, y, out: entropy(tf.one_hot(y, outputs), out)


def fit(
    network: Any,
    sampler: WindowSampler,
    val: Windows | None,
    recipe: Recipe,
    task: Task,
    *,
    steps: int,
    learning_rate: float,
    progress: Progress,
) -> History:
    """Train `network` in place with AdamW, warm-up and a cosine decay.

    Raises ModelSideError when the loss leaves the finite numbers.
    """
    config = recipe.train
    optimiser = keras.optimizers.AdamW(learning_rate, weight_decay=config.weight_decay)
    optimiser.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "min", "max"])
    optimiser.build(network.trainable_variables)
    loss_function = _loss_function(recipe, task, network.output_shape[-1])

    @tf.function  # type: ignore[untyped-decorator]
    def train_step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = loss_function(x, y, network(x, training=True))
        gradients = tape.gradient(loss, network.trainable_variables)
        optimiser.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
        return loss

    history = History(step=[], loss=[], val_score=[])
    warm_up = max(steps // 20, 1)
    losses: list[float] = []
    for step in range(1, steps + 1):
        decay = 0.5 * (1 + np.cos(np.pi * max(step - warm_up, 0) / max(steps - warm_up, 1)))
        optimiser.learning_rate.assign(learning_rate * min(step / warm_up, decay))
        x, y = sampler.batch(config.batch_size)
        losses.append(float(train_step(tf.constant(images(x)), tf.constant(y))))
        score = None
        if step % max(steps // 20, 1) == 0 or step == steps:
            history.step.append(step)
            history.loss.append(float(np.mean(losses)))
            if not np.isfinite(history.loss[-1]):
                raise ModelSideError(
                    f"{recipe.name}: the loss is {history.loss[-1]} at step {step}; expected a "
                    f"number: lower the learning rate, {learning_rate:g}"
                )
            losses.clear()
            if val is not None:
                score = headline(asdict(validate(network, val, task))).value
                history.val_score.append(score)
        progress(step, losses[-1] if losses else history.loss[-1], score)
    return history


def make_sampler(
    recipe: Recipe, dataset: Dataset, task: Task, groups: set[int], seed: int
) -> WindowSampler:
    """Augmented batches from the recordings of some groups that the task trains on."""
    return WindowSampler(
        [r for r in dataset.recordings if r.group in groups and task.trains_on(r.label)],
        Extractor(recipe_front_end(recipe)),
        recipe.augment,
        seed,
        dataset.of_window,
    )


def new_network(recipe: Recipe, dataset: Dataset) -> Any:
    """An untrained network of the recipe."""
    front_end, head = recipe_front_end(recipe), task_of(recipe, dataset.labels).head
    rows, columns = front_end.rows, front_end.columns
    return build_network(recipe.network, rows, columns, len(dataset.labels), head)


def train_network(
    recipe: Recipe,
    dataset: Dataset,
    task: Task,
    groups: set[int],
    seed: int,
    progress: Progress,
    val: Windows | None = None,
) -> tuple[Any, History]:
    """A network trained on the recordings of `groups`; `val` is scored on the way, no more."""
    make_deterministic(seed)
    network = new_network(recipe, dataset)
    history = fit(
        network,
        make_sampler(recipe, dataset, task, groups, seed),
        val,
        recipe,
        task,
        steps=recipe.train.steps,
        learning_rate=recipe.train.learning_rate,
        progress=progress,
    )
    return network, history


def check_limits(recipe: Recipe, task: Task, metrics: AnyMetrics) -> None:
    """ModelSideError when the validation scores miss the recipe's limits."""
    if missed := task.shortfalls(metrics):
        raise ModelSideError(
            f"{recipe.name}: on the validation groups {'; '.join(missed)}; train longer or change "
            "the network"
        )


def save_network(network: Any, path: Path) -> None:
    """Write the weights whole or not at all."""
    temporary = path.with_name(f".{os.getpid()}.{path.name}")  # the suffix .weights.h5 stays
    try:
        network.save_weights(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def load_network(recipe: Recipe, dataset: Dataset, path: Path) -> Any:
    """The recipe's network with the weights of save_network."""
    network = new_network(recipe, dataset)
    try:
        network.load_weights(path)
    except (OSError, ValueError) as error:
        raise ModelSideError(
            f"{path}: not the weights of this recipe's network: {error}; run `make train`"
        ) from error
    return network


def cross_validate(
    recipe: Recipe, folds: int, repeats: int, progress: Progress, *, held_out: bool = False
) -> list[Score]:
    """Train on all groups but a fold's and test on that fold's; once for each fold and seed.

    `held_out`: the recipe's test groups are in no fold, so that a choice can be made by the result.

    Groups are dealt to folds by a seeded permutation. The settings are the recipe's, chosen before
    by validation inside the training groups; a fold's test groups are used for its score only. What
    a judge learns, as thresholds of labels, it learns of the fold's training windows.
    """
    dataset = load_dataset(recipe.dataset, truth_of(recipe))
    task = task_of(recipe, dataset.labels)
    if recipe.task == "anomaly":
        raise ConfigError(
            f"{recipe.name}: cross-validation is for every task but 'anomaly', which needs "
            "validation groups in every fold; use `make train`"
        )
    everyone = {r.group for r in dataset.recordings}
    if held_out:
        everyone -= split_groups(dataset, recipe.dataset)["test"]
    groups = np.array(sorted(everyone))
    if not 2 <= folds <= len(groups):
        raise ConfigError(f"CV={folds}: expected 2 to {len(groups)}, the number of groups")
    extractor = Extractor(recipe_front_end(recipe))
    results = []
    for part in np.array_split(np.random.RandomState(0).permutation(groups), folds):
        test_groups = {int(g) for g in part}
        train_groups = {int(g) for g in groups} - test_groups
        train, test = (
            make_windows(dataset, extractor, side) for side in (train_groups, test_groups)
        )
        task = task.fitted(train)
        baselines = task.baselines(Splits(train=train, val=train, test=test))
        for seed in range(recipe.train.seed, recipe.train.seed + repeats):
            started = time.monotonic()
            network, _ = train_network(recipe, dataset, task, train_groups, seed, progress)
            judge = task.judge(train, train.x, predict(network, train), None)
            results.append(
                Score(
                    test_groups=tuple(map(dataset.group_title, sorted(test_groups))),
                    seed=seed,
                    network=judge.metrics(test.x, predict(network, test), test.truth),
                    random_forest=baselines["random forest"],
                    seconds=round(time.monotonic() - started, 1),
                )
            )
    return results
