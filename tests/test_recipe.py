"""Recipes are strict: whatever is misspelt, missing or of the wrong type is named."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from model.datasets import dataset_labels, load_dataset
from model.errors import ConfigError
from model.recipe_file import RECIPES, load_recipe, recipe_names
from model.toml_reader import tomllib
from model.toml_writer import to_toml
from tests.recipe_reference import PAGE, page
from tests.sources import csv_text

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
        (
            "[network]",
            "[compression]\nsparsity = 0.5\n[network]",
            "compression: missing key 'clusters'",
        ),
        ("seed = 1\n", 'seed = "one"\n', r"train\.seed: expected int, got 'one'"),
        ("seed = 1\n", "seed = true\n", r"train\.seed: expected int, got True"),
        ("mirror = true", "mirror = 1", r"augment\.mirror: expected bool, got 1"),
        ('kind = "inertial"', 'kind = "sound"', "augment.kind: unknown kind 'sound'"),
        ('kind = "inertial"', 'kind = "signal"', "are for the kind 'inertial'"),
        ("speed = 1.2", "speed = 0.9", r"augment\.speed: expected 1 to 16, got 0.9"),
        ("hop = 64", "hop = 0", r"features\.hop: expected 1 to 1048576, got 0"),
        ("test_groups = [", "test_groups = [6, ", "are in val_groups and in test_groups"),
        (
            "[dataset]",
            '[dataset]\nunits = ["g"]',
            r"dataset.units: the source 'seglearn_watch' has \['g'",
        ),
        ("[checks]", '[checks]\nunits = ["g"]', "checks.units: is dataset.units now, for all"),
        (
            "scale = [1.0",
            "scale = [0.0",
            r"features\.scale\[0\]: expected 1e-12 to 1e\+12, got 0.0",
        ),
        ("lsb = [0.000732", "lsb = [0.0", r"features\.lsb\[0\]: expected 1e-12 to 1e\+12, got 0.0"),
        ("lsb = [0.000732, ", "lsb = [", "features.lsb: expected 6 values"),
        (
            "offset = [0.0",
            "offset = [inf",
            r"features\.offset\[0\]: expected -1e\+12 to 1e\+12, got inf",
        ),
        ("noise = [0.05, ", "noise = [", "augment.noise: expected 6 values"),
        ("minimum = [-16.0", "minimum = [16.0", "'ax': expected a minimum below the maximum"),
        (
            "[dataset]",
            '[dataset]\nchannels = ["ay", "ay", "az", "wx", "wy", "wz"]',
            r"dataset.channels: the source 'seglearn_watch' has .*, got \['ay', 'ay'",
        ),
        ("test_groups = [3, 9]", "test_groups = []", "dataset.test_groups: expected at least one"),
        ('title = "', 'name = "../x"\ntitle = "', "changed.toml: name: .*got '../x'"),
        ('title = "', 'title = "\\u001b[2J', "title: expected printable text"),
        ("seed = 1\n", f"seed = 0x{'f' * 5000}\n", "train.seed: expected an integer of -2.63 to"),
        ("hop = 64", f"hop = 0x{'f' * 5000}", "features.hop: expected an integer of -2.63 to"),
        (
            "hop = 64",
            "hop = [1, 0x8000000000000000]",
            r"features.hop\[1\]: expected an integer of -2",
        ),
        ("hop = 64", "hop = 2024-01-01", "features.hop: expected int, got datetime.date"),
        ("hop = 64", f"{'.'.join('h' * 5000)} = 1", "expected at most 32 tables and lists inside"),
        ("seed = 1\n", f"seed = 1{'0' * 5000}\n", "not TOML"),
        ("title = ", f"title = {'[' * 5000}", "not TOML"),
        ("title = ", f"# {'x' * (1 << 20)}\ntitle = ", "expected at most 1048576 bytes"),
        ("noise = [", f"noise = [{'0.0, ' * 1001}", "noise: expected a list of at most 1000"),
        ("[network]", "[network", "not TOML"),
        ("[network]", "[parity]\nmin_sqnr = 3.0\n[network]", "did you mean 'min_sqnr_db'"),
        (
            "[network]",
            "[parity]\nmin_equal_decisions = 95.0\n[network]",
            r"parity\.min_equal_decisions: expected 0 to 1, got 95.0",
        ),
        ("[features]\nkind", "[features]\nfrobnicate = 3\nkind", "unknown key 'frobnicate'"),
    ],
)
def test_a_wrong_recipe_says_what_and_where(old: str, new: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        _load(tmp_path, old, new)


def _numbers(table: dict[str, Any], path: str = "") -> Iterator[tuple[str, float]]:
    """The dotted keys of all numbers, and of the first element of lists of numbers."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{path}{key}.")
        else:
            first = value[0] if isinstance(value, list) and value else value
            if type(first) in (int, float) and not key.endswith("_groups"):
                yield path + key, first


@pytest.mark.parametrize("name", recipe_names())
def test_every_number_has_bounds(name: str, tmp_path: Path) -> None:
    """A number that no recipe can mean is refused here, not by a traceback of a later stage."""
    recipe = tomllib.loads((RECIPES / f"{name}.toml").read_text())
    path = tmp_path / "changed.toml"
    for key, number in _numbers(recipe):
        for wrong in (-(10**30), 10**30, *(() if isinstance(number, int) else (math.nan,))):
            changed = copy.deepcopy(recipe)
            *tables, field = key.split(".")
            table = functools.reduce(dict.__getitem__, tables, changed)
            table[field] = [wrong, *table[field][1:]] if isinstance(table[field], list) else wrong
            path.write_text(to_toml(changed))
            with pytest.raises(ConfigError, match=rf"{key}(\[0\])?: expected .* to .*, got"):
                load_recipe(str(path))


def test_classes_that_are_left_out_are_kept_among_the_labels(tmp_path: Path) -> None:
    """Labels come from the data, then from the lock file; each time the data are to be read."""
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(9):
        name = f"{'abc'[number % 3]}_p{number // 3}.csv"
        (folder / name).write_text(csv_text(60, number))
    path = tmp_path / "left.toml"
    path.write_text(
        f'[dataset]\nleave_out = ["c"]\n[dataset.csv_folder]\nfolder = "{folder}"\n'
        "pattern = '(?P<label>[abc])_(?P<group>p\\d)\\.csv'\n"
        '[features]\nkind = "raw"\n[train]\nsteps = 10\n'
    )
    for _ in range(2):
        recipe = load_recipe(str(path))
        assert recipe.dataset.labels == ("a", "b", "c")
        assert dataset_labels(recipe.dataset) == load_dataset(recipe.dataset).labels == ("a", "b")
        assert path.with_suffix(".lock").exists()


def test_the_reference_of_keys_is_made_from_the_types() -> None:
    assert PAGE.read_text("utf-8") == page(), "run python -m tests.recipe_reference"


def test_a_recipe_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(
        ConfigError, match="cannot be read: a folder, expected a file; check the path"
    ):
        load_recipe(str(tmp_path / "folder.toml"))


def test_an_unknown_recipe_suggests_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'motion'"):
        load_recipe("motoin")


@pytest.mark.parametrize("slip", ['title = "own', "hop = 1\nhop = 2", "fräsen = 1"])
def test_a_recipe_with_a_slip_is_still_the_projects(
    slip: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.toml").write_text(f"{slip}\n[dataset]\n")
    Path("other.toml").write_text('[tool]\nname = "x\n')
    assert recipe_names(Path()) == ["own"]
    with pytest.raises(ConfigError, match=r"own\.toml: not TOML: .* line [12]"):
        load_recipe("own")


def test_labels_that_are_kept_come_from_the_data(tmp_path: Path) -> None:
    for number in range(12):
        name = f"{'abcd'[number % 4]}_p{number // 4}.csv"
        (tmp_path / name).write_text(csv_text(60, number))
    path = tmp_path / "kept.toml"
    path.write_text(
        f'[dataset]\nlabels = {{a = "ab", b = "ab", "*" = "*"}}\n[dataset.csv_folder]\n'
        f"folder = \"{tmp_path}\"\npattern = '(?P<label>[abcd])_(?P<group>p\\d)\\.csv'\n"
        '[features]\nkind = "raw"\n'
    )
    for _ in range(2):
        assert load_recipe(str(path)).dataset.labels == ("ab", "c", "d")
