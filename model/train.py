"""Train a float network: the training framework lives here."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.attachments import Attachments, attached, attachments
from model.augment import WindowSampler
from model.background import load_background
from model.datasets import load_dataset
from model.datasets.base import Dataset
from model.datasets.lists import split_groups
from model.datasets.truth import truth_of
from model.errors import ConfigError, ModelSideError
from model.evaluate import AnyMetrics, headline
from model.features import Splits, Windows, make_windows
from model.features.design import other_speakers, recipe_front_end
from model.features.library import Extractor
from model.jobs import Here, Jobs
from model.network_config import OWN
from model.networks import build_network, keras, tf
from model.own_networks import own_network
from model.progress import Progress
from model.recipe import Recipe
from model.regression import Regression
from model.tasks import Task, outputs_of, task_of

PREDICTED = 4096  # windows at once: bounds the memory of the layers between


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
    int8: dict[str, AnyMetrics]  # 'ptq', 'qat': of the same network; empty unless asked for
    random_forest: AnyMetrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """A network of a cross-validation, what it was trained on and what it is tested on."""

    dataset: Dataset
    task: Task
    network: Any
    train_groups: set[int]
    train: Windows
    test: Windows
    seed: int


Int8Scores = Callable[[Fold], dict[str, AnyMetrics]]


def silent(step: int, loss: float, score: float | None) -> None:
    """Progress that nobody looks at."""


def make_deterministic(seed: int) -> None:
    """Seed every generator and choose deterministic kernels, so that a run repeats.

    Names of layers, which a model file holds, are counted anew: they say nothing of what this
    process has trained before.
    """
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def images(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """[n, rows, columns] -> [n, rows, 1, columns], the network's input."""
    return x[:, :, None, :]


def predict(network: Any, windows: Windows) -> npt.NDArray[np.float32]:
    """The network's output for each window, [n, outputs]."""
    parts = [windows.part(at, at + PREDICTED) for at in range(0, max(len(windows.y), 1), PREDICTED)]
    return np.concatenate([np.asarray(network(images(p.x), training=False)) for p in parts])


def validate(network: Any, val: Windows, task: Task) -> AnyMetrics:
    """The network's scores on the windows that also gave its judge."""
    outputs = predict(network, val)
    return task.judge(val, val.x, outputs, None).metrics(val.x, outputs, val.truth)


def _loss_function(
    recipe: Recipe, task: Task, outputs: int, teachers: Sequence[Any]
) -> Callable[[Any, Any, Any], Any]:
    """What training makes small: a function of inputs, truth and outputs [n, outputs]."""
    if recipe.task == "anomaly":
        return lambda x, y, out: tf.reduce_mean(tf.square(out - tf.reshape(x, (-1, outputs))))
    own, taught = _compared(recipe)
    normal = _normal(task)
    if not teachers:
        return lambda x, y, out: own(normal(y), out)
    share = recipe.train.distillation

    def loss(x: Any, y: Any, out: Any) -> Any:
        mean = tf.add_n([teacher(x, training=False) for teacher in teachers]) / len(teachers)
        return share * taught(mean, out) + (1 - share) * own(normal(y), out)

    return loss


def _compared(recipe: Recipe) -> tuple[Any, Any]:
    """What outputs are compared by with the truth, and with those of teachers."""
    smoothing = recipe.train.label_smoothing
    if recipe.task == "regression":
        huber = keras.losses.Huber()  # of deviations: a few far targets do not lead
        return huber, huber
    entropy = {
        "classification": keras.losses.CategoricalCrossentropy,
        "multilabel": keras.losses.BinaryCrossentropy,
    }[recipe.task]
    return entropy(label_smoothing=smoothing), entropy()


def _normal(task: Task) -> Callable[[Any], Any]:
    """The truth as the network is to answer it."""
    if not isinstance(task, Regression):
        return lambda y: y
    mean, deviation = tf.constant(task.mean), tf.constant(task.deviation)
    return lambda y: (y - mean) / deviation


class _Averages:
    """Exponential moving averages of a network's floats; none for a decay of 0."""

    def __init__(self, network: Any, decay: float) -> None:
        self._decay = decay
        self._weights = [w for w in network.weights if w.dtype.is_floating] if decay else []
        self._means = [tf.Variable(weight) for weight in self._weights]

    def keep(self, step: int) -> Any:
        """The share of the old average: less in the first steps, which start far from the end."""
        return tf.constant(min(self._decay, step / (step + 10)), tf.float32)

    def update(self, keep: Any) -> None:
        """After a step."""
        for mean, weight in zip(self._means, self._weights, strict=True):
            mean.assign(keep * mean + (1 - keep) * weight)

    def end(self) -> None:
        """Give the network its averages."""
        for mean, weight in zip(self._means, self._weights, strict=True):
            weight.assign(mean)


def _check_finite(history: History, recipe: Recipe, learning_rate: float) -> None:
    if not np.isfinite(loss := history.loss[-1]):
        raise ModelSideError(
            f"{recipe.name}: the loss is {loss} at step {history.step[-1]}; expected a number: "
            f"lower the learning rate, {learning_rate:g}"
        )


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
    teachers: Sequence[Any] = (),
    average: float = 0.0,
) -> History:
    """Train `network` in place with AdamW, warm-up and a cosine decay; `teachers` stay as they are.

    With `average`, the decay of an exponential moving average, the network ends with the averages
    of its weights and of its batch normalisations' statistics. Raises ModelSideError when the loss
    leaves the finite numbers.
    """
    config = recipe.train
    optimiser = keras.optimizers.AdamW(learning_rate, weight_decay=config.weight_decay)
    optimiser.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "min", "max"])
    optimiser.build(network.trainable_variables)
    loss_function = _loss_function(recipe, task, network.output_shape[-1], teachers)
    outputs = np.arange(network.output_shape[-1])
    averages = _Averages(network, average)

    @tf.function  # type: ignore[untyped-decorator]
    def train_step(x: Any, y: Any, keep: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = loss_function(x, y, network(x, training=True))
        gradients = tape.gradient(loss, network.trainable_variables)
        optimiser.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
        averages.update(keep)
        return loss

    history = History(step=[], loss=[], val_score=[])
    warm_up = max(steps // 20, 1)
    losses: list[float] = []
    for step in range(1, steps + 1):
        decay = 0.5 * (1 + np.cos(np.pi * max(step - warm_up, 0) / max(steps - warm_up, 1)))
        optimiser.learning_rate.assign(learning_rate * min(step / warm_up, decay))
        x, y = sampler.batch(config.batch_size)
        truth = y if y.ndim > 1 else (y[:, None] == outputs).astype(np.float32)
        x, targets = sampler.mix(x, truth)
        x, targets = tf.constant(images(x)), tf.constant(targets)
        losses.append(float(train_step(x, targets, averages.keep(step))))
        if step == steps:
            averages.end()
        score = None
        if step % max(steps // 20, 1) == 0 or step == steps:
            history.step.append(step)
            history.loss.append(float(np.mean(losses)))
            _check_finite(history, recipe, learning_rate)
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
    background = load_background(recipe, dataset)
    return WindowSampler(
        [r for r in dataset.recordings if r.group in groups and task.trains_on(r.label)],
        Extractor(recipe_front_end(recipe)),
        recipe.augment,
        seed,
        others=[Extractor(fe) for fe in other_speakers(recipe)],
        sample_rate_hz=recipe.dataset.sample_rate_hz,
        of_window=dataset.of_window,
        background=[r.values for r in background.recordings] if background else (),
    )


def network_of(recipe: Recipe, classes: int, width: float = 1.0) -> Any:
    """An untrained network of the recipe, with `width` times its filters; a trained one of 'file'.

    Raises ConfigError for settings that do not fit, and for what is wrong with a user's own.
    """
    front_end = recipe_front_end(recipe)
    rows, columns = front_end.rows, front_end.columns
    outputs = outputs_of(recipe.task, classes, rows * columns)
    make = own_network if recipe.network.kind in OWN else build_network
    config = recipe.network if width == 1 else recipe.network.widened(width)
    return make(config, rows, columns, outputs, recipe.task)


def new_network(recipe: Recipe, dataset: Dataset, width: float = 1.0) -> Any:
    """network_of the recipe for the labels of its data."""
    return network_of(recipe, len(dataset.labels), width)


def train_network(
    recipe: Recipe,
    dataset: Dataset,
    task: Task,
    groups: set[int],
    seed: int,
    progress: Progress,
    val: Windows | None = None,
) -> tuple[Any, History]:
    """A network trained on the recordings of `groups`; `val` is scored on the way, no more.

    Its teachers, if the recipe has some, see the same recordings and no others. A network of the
    kind 'file' is trained already and comes back as it is.
    """
    if recipe.network.kind == "file":
        make_deterministic(seed)
        return new_network(recipe, dataset), History(step=[], loss=[], val_score=[])

    def trained(seed: int, width: float, teachers: Sequence[Any]) -> tuple[Any, History]:
        make_deterministic(seed)
        network = new_network(recipe, dataset, width)
        history = fit(
            network,
            make_sampler(recipe, dataset, task, groups, seed),
            val if teachers or not recipe.train.teachers else None,
            recipe,
            task,
            steps=recipe.train.steps,
            learning_rate=recipe.train.learning_rate,
            progress=progress,
            teachers=teachers,
            average=recipe.train.average,
        )
        return network, history

    width = recipe.train.teacher_width
    seeds = (seed + 1000 * number for number in range(1, recipe.train.teachers + 1))
    return trained(seed, 1.0, [trained(number, width, ())[0] for number in seeds])


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
    recipe: Recipe,
    folds: int,
    repeats: int,
    progress: Progress,
    *,
    held_out: bool = False,
    int8_scores: Int8Scores | None = None,
    dataset: Dataset | None = None,
    jobs: Jobs | None = None,
    done: Callable[[list[Score]], None] = lambda scores: None,
) -> list[Score]:
    """Train on all groups but a fold's and test on that fold's; once for each fold and seed.

    `held_out`: the recipe's test groups are in no fold, so that a choice can be made by the result.
    `int8_scores`, a function of a module, measures each network on its fold's test windows as int8.
    `jobs` runs the folds, in this process by default; `done` is told each one, in their order.

    Groups are dealt to folds by a seeded permutation. The settings are the recipe's, chosen before
    by validation inside the training groups; a fold's test groups are used for its score only. What
    a judge learns, as thresholds of labels, it learns of the fold's training windows.
    """
    dataset, jobs = dataset or load_dataset(recipe.dataset, truth_of(recipe)), jobs or Here()
    if recipe.task == "anomaly":
        raise ConfigError(
            f"{recipe.name}: cross-validation is for every task but 'anomaly', which needs "
            "validation groups in every fold; use `make train`"
        )
    if recipe.network.kind == "file":
        raise ConfigError(
            f"{recipe.name}: cross-validation trains a network in every fold, and network.kind "
            "'file' is trained already; give its architecture as another kind, 'python' for one"
        )
    everyone = {r.group for r in dataset.recordings}
    if held_out:
        everyone -= split_groups(dataset, recipe.dataset)["test"]
    if not 2 <= folds <= len(everyone):
        raise ConfigError(f"CV={folds}: expected 2 to {len(everyone)}, the number of groups")
    work = [
        {"test_groups": part, "train_groups": everyone - part}
        for part in fold_groups(everyone, folds)
    ]
    shared = jobs.share(
        recipe=recipe,
        dataset=dataset,
        repeats=repeats,
        int8_scores=int8_scores,
        sent=attachments(recipe, dataset),
    )
    results = []
    for scores in jobs.map("model.train:run_fold", work, shared, here={"progress": progress}):
        done(scores)
        results += scores
    return results


def fold_groups(groups: set[int], folds: int) -> list[set[int]]:
    """The groups of each fold, dealt by a seeded permutation."""
    dealt = np.random.RandomState(0).permutation(sorted(groups))
    return [set(part.tolist()) for part in np.array_split(dealt, folds)]


def run_fold(
    recipe: Recipe,
    dataset: Dataset,
    repeats: int,
    train_groups: set[int],
    test_groups: set[int],
    sent: Attachments,
    int8_scores: Int8Scores | None = None,
    progress: Progress = silent,
) -> list[Score]:
    """One fold of a cross-validation, once for each seed."""
    with attached(recipe, sent):
        return _run_fold(recipe, dataset, repeats, train_groups, test_groups, int8_scores, progress)


def _run_fold(
    recipe: Recipe,
    dataset: Dataset,
    repeats: int,
    train_groups: set[int],
    test_groups: set[int],
    int8_scores: Int8Scores | None,
    progress: Progress,
) -> list[Score]:
    extractor = Extractor(recipe_front_end(recipe))
    train, test = (make_windows(dataset, extractor, side) for side in (train_groups, test_groups))
    task = task_of(recipe, dataset.labels).fitted(train)
    baselines = task.baselines(Splits(train=train, val=train, test=test))
    results = []
    for seed in range(recipe.train.seed, recipe.train.seed + repeats):
        network, _ = train_network(recipe, dataset, task, train_groups, seed, progress)
        judge = task.judge(train, train.x, predict(network, train), None)
        fold = Fold(
            dataset=dataset,
            task=task,
            network=network,
            train_groups=train_groups,
            train=train,
            test=test,
            seed=seed,
        )
        results.append(
            Score(
                test_groups=tuple(map(dataset.group_title, sorted(test_groups))),
                seed=seed,
                network=judge.metrics(test.x, predict(network, test), test.truth),
                int8=int8_scores(fold) if int8_scores else {},
                random_forest=baselines["random forest"],
            )
        )
    return results
