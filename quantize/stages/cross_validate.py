"""Folds of a recipe's groups, their networks as int8 as well where that is asked for."""

from __future__ import annotations

import functools
from pathlib import Path

from model.evaluate import AnyMetrics
from model.features import Windows
from model.features.design import feature_text
from model.recipe import Recipe
from model.stages import cross_validate as floats
from model.train import Fold, make_sampler

JUDGED = 500  # training windows that an int8 network's judge is made by


def cross_validate(
    recipe: Recipe, out_dir: Path, folds: int, repeats: int, *, held_out: bool, int8: bool
) -> None:
    """Write cross_validation.json; see model.stages.cross_validate.

    `int8`: each network is quantised after and in training, with the fold's training groups, and
    scored on the fold's test groups, so that the recipe's quantisation.choice can be made.
    """
    measure = functools.partial(int8_scores, recipe) if int8 else None
    floats.cross_validate(recipe, out_dir, folds, repeats, held_out=held_out, int8_scores=measure)


def int8_scores(recipe: Recipe, fold: Fold) -> dict[str, AnyMetrics]:
    """'ptq' and, with qat_steps and where it can be, 'qat': scores on the fold's test windows."""
    from quantize import ptq, qat
    from quantize.compress import compress

    task, network = fold.task, fold.network
    sampler = make_sampler(recipe, fold.dataset, task, fold.train_groups, fold.seed + 1)
    if recipe.compression is not None:
        network = compress(network, sampler, fold.test, recipe, task, _silent)
    calibration = task.calibration(
        ptq.representative_windows(fold.train, recipe.quantisation.calibration_windows, fold.seed)
    )
    features = feature_text(recipe)
    models = {"ptq": ptq.convert_int8(network, calibration, features)}
    if recipe.quantisation.qat_steps:
        quantised, no_qat = qat.fake_quantised(network, recipe.compression)
        if not no_qat:
            qat.train_quantised(
                quantised, network, calibration, sampler, None, recipe, task, _silent
            )
            models["qat"] = ptq.convert_int8(quantised, calibration, features)
    return {name: _scored(model, recipe, fold.test, fold) for name, model in models.items()}


def _scored(model: bytes, recipe: Recipe, windows: Windows, fold: Fold) -> AnyMetrics:
    """What a judge learns, as thresholds of labels, it learns of training windows."""
    from quantize.pipeline import golden_of, int8_judge

    known, golden = fold.train.spread(JUDGED), golden_of(model, windows)
    judge = int8_judge(fold.task, model, golden_of(model, known), known)
    return judge.metrics(golden.inputs[0], golden.outputs[0], windows.truth)


def _silent(step: int, loss: float, score: float | None) -> None:
    """Progress of the folds is shown by what trains them."""
