"""Recipes are strict: whatever is misspelt, missing or of the wrong type is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.errors import ConfigError
from model.recipe import RECIPES, load_recipe, recipe_names

MOTION = (RECIPES / "motion.toml").read_text()


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_loads(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.as_dict()["train"]["seed"] == recipe.train.seed


def _load(tmp_path: Path, old: str, new: str) -> None:
    assert old in MOTION
    path = tmp_path / "changed.toml"
    path.write_text(MOTION.replace(old, new))
    load_recipe(str(path))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("batch_size =", "batchsize =", r"unknown key 'batchsize' \(did you mean 'batch_size'"),
        ("[augment]", "[augmentation]", "unknown key 'augmentation'"),
        ("seed = 1\n", "", "train: missing key 'seed'"),
        ("seed = 1\n", 'seed = "one"\n', "train: seed: expected int, got 'one'"),
        ("seed = 1\n", "seed = true\n", "train: seed: expected int, got True"),
        ("mirror = true", "mirror = 1", "augment: mirror: expected bool, got 1"),
        ('kind = "inertial"', 'kind = "sound"', "augment.kind: unknown kind 'sound'"),
        ('kind = "inertial"', 'kind = "signal"', "are for the kind 'inertial'"),
        ("speed = 1.2", "speed = 0.9", "augment.speed: expected at least 1"),
        ("hop = 64", "hop = 0", "1 <= hop <= window"),
        ("test_groups = [", "test_groups = [6, ", "are in val_groups and in test_groups"),
        ('channels = ["ax", ', "channels = [", "expected 5 values"),
        ("scale = [1.0", "scale = [0.0", "features.scale: every value must be above 0"),
        ("lsb = [0.000732", "lsb = [0.0", "features.lsb: every value must be above 0"),
        ("lsb = [0.000732, ", "lsb = [", "features.lsb: expected 6 values"),
        ("offset = [0.0", "offset = [inf", "features.offset: every value must be finite"),
        ("noise = [0.05, ", "noise = [", "augment.noise: expected 6 values"),
        ("[network]", "[network", "not TOML"),
        ("[features]\nkind", "[features]\nfrobnicate = 3\nkind", "unknown key 'frobnicate'"),
    ],
)
def test_a_wrong_recipe_says_what_and_where(old: str, new: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        _load(tmp_path, old, new)


def test_an_unknown_recipe_suggests_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'motion'"):
        load_recipe("motoin")
