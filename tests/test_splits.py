"""Who is held out: by list files, by a share of the groups; folders as Speech Commands."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from host_tools.cli import main
from model.datasets import data_files, load_dataset
from model.datasets.base import Dataset, Recording
from model.datasets.lists import position, split_groups
from model.errors import ConfigError, DataError
from model.recipe import DatasetConfig, WavFolderConfig
from model.recipe_file import load_recipe
from tests.sources import assert_complete, source_config, speech_folder

PATTERN = r"(?P<label>[^/]+)/(?P<group>[^/]+?)(?:_nohash_\d+)?\.wav"


def _config(folder: Path, **changes: object) -> DatasetConfig:
    table = WavFolderConfig(folder=str(folder), pattern=PATTERN)
    common: dict[str, object] = {
        "val_groups": (),
        "test_groups": (),
        "val_list": str(folder / "validation_list.txt"),
        "test_list": str(folder / "testing_list.txt"),
        "merge": {"_background_noise_": "", "yes": "yes", "no": "no", "*": "other"},
        "labels": ("yes", "no", "other"),
    }
    return source_config("wav_folder", table, **{**common, **changes})


def _titles(dataset: Dataset, config: DatasetConfig) -> dict[str, list[int | str]]:
    return {
        name: sorted((dataset.group_title(g) for g in groups), key=str)
        for name, groups in split_groups(dataset, config).items()
    }


def test_list_files_hold_out_their_groups(tmp_path: Path) -> None:
    speech_folder(tmp_path)
    config = _config(tmp_path)
    dataset = load_dataset(config)
    assert dataset.labels == ("yes", "no", "other")
    assert len(dataset.recordings) == 3 * 8 * 2, "background noise is no class"
    assert _titles(dataset, config) == {
        "val": ["0000000a", "0000000b"],
        "test": ["0000000c", "0000000d"],
        "train": [f"0000000{c}" for c in "1234"],
    }
    assert set(data_files(config)) >= {tmp_path / "validation_list.txt"}
    (tmp_path / "validation_list.txt").write_text("")
    with pytest.raises(ConfigError, match=r"dataset.val_list: expected it to give groups, got no"):
        split_groups(load_dataset(config), config)


def test_another_list_is_other_data(tmp_path: Path) -> None:
    speech_folder(tmp_path)
    config = _config(tmp_path)
    before = load_dataset(config).sha256
    lines = (tmp_path / "testing_list.txt").read_text().splitlines()
    (tmp_path / "testing_list.txt").write_text("\r\n".join(reversed(lines)))
    assert load_dataset(config).sha256 == before, "the order does not matter"
    kept = [line for line in lines if "0000000d" not in line]
    (tmp_path / "testing_list.txt").write_text("\n".join(kept))
    assert load_dataset(config).sha256 != before
    with pytest.raises(DataError, match="other data than those of the first check"):
        load_dataset(dataclasses.replace(config, sha256=before))


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("validation", "../secret.wav", "validation_list.txt, line 2: .*'../secret.wav', which le"),
        ("validation", "yes/../../x.wav", "line 2: expected a path from the data's folder on"),
        ("testing", "/etc/passwd", "testing_list.txt, line 2: .*'/etc/passwd', which leads outs"),
        ("testing", "yes/nobody_nohash_0.wav", "line 2: .*'yes/nobody.*which the data do not have"),
        ("testing", "\x1b[31m\u2028x", r"line 2: expected the path .*'\\x1b\[31m', which the data"),
        ("testing", "yes/0000000a_nohash_0.wav", "got 'yes/0000000a_nohash_0.wav' in val_list and"),
        (
            "testing",
            "yes/00000001_nohash_0.wav",
            "of a group in one split, got those of '00000001'",
        ),
    ],
)
def test_a_wrong_list_says_what_and_where(name: str, text: str, words: str, tmp_path: Path) -> None:
    speech_folder(tmp_path)
    path = tmp_path / f"{name}_list.txt"
    path.write_text(f"\n{text}\n{path.read_text()}", "utf-8")
    with pytest.raises(DataError, match=words) as error:
        load_dataset(_config(tmp_path))
    assert_complete(str(error.value))


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00", "folder"])
def test_a_list_that_cannot_be_read_is_told(content: bytes | str | None, tmp_path: Path) -> None:
    speech_folder(tmp_path)
    path = tmp_path / "testing_list.txt"
    path.unlink()
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        path.mkdir()
    with pytest.raises(DataError, match=r"testing_list.txt: expected a list of recordings.*corre"):
        load_dataset(_config(tmp_path))


def _people(names: list[str]) -> Dataset:
    """A recording of each."""
    values = np.zeros((4, 1), np.float32)
    return Dataset(
        recordings=tuple(Recording(values=values, label=0, group=i) for i in range(len(names))),
        labels=("a", "b"),
        channels=("x",),
        sample_rate_hz=1.0,
        sha256="",
        group_names=tuple(names),
    )


def test_a_share_of_the_groups_is_stable(tmp_path: Path) -> None:
    names = [f"speaker {i}" for i in range(2000)]
    lists = {"val_list": "", "test_list": ""}
    config = _config(tmp_path, val_share=0.1, test_share=0.2, **lists)
    first = _titles(_people(names), config)
    assert len(first["test"]) == pytest.approx(400, abs=60)
    assert len(first["val"]) == pytest.approx(200, abs=45)
    more = _titles(_people([*names, *(f"new {i}" for i in range(500))]), config)
    assert all(set(first[split]) <= set(more[split]) for split in first)
    wider = _titles(_people(names), dataclasses.replace(config, val_share=0.3))
    assert wider["test"] == first["test"]
    assert set(first["val"]) < set(wider["val"])
    assert position("speaker 0") == 0.7754326102708877, "for ever"
    with pytest.raises(ConfigError, match=r"dataset.val_share: expected it to give groups, got no"):
        split_groups(_people(["speaker 0"]), config)


KEYS = """[dataset]
{keys}
[dataset.wav_folder]
folder = "raw"
pattern = '(?P<label>[^/]+)/(?P<group>[^/]+?)(?:_nohash_\\d+)?\\.wav'
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    speech_folder(tmp_path / "raw")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("val_list = 'raw/validation_list.txt'", "dataset.test_list: expected a list file, got no"),
        ("val_share = 0.1", "dataset.test_share: expected a share, got none"),
        ("val_share = 0.1\ntest_groups = ['0000000a']", "one of val_groups .*got groups and share"),
        ("val_share = 0.6", "dataset.val_share: expected 0 to 0.5, got 0.6"),
        ("val_list = 'nowhere'\ntest_list = 'nowhere'", "nowhere: expected a list of recordings"),
    ],
)
def test_one_way_of_holding_out(keys: str, words: str, project: Path) -> None:
    (project / "own.toml").write_text(KEYS.format(keys=keys))
    with pytest.raises((ConfigError, DataError), match=words):
        load_recipe("own")


def test_many_groups_are_held_out_by_their_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    speech_folder(tmp_path / "raw", [f"{i:08x}" for i in range(101)])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.toml").write_text(KEYS.format(keys=""))
    recipe = load_recipe("own")
    assert (recipe.dataset.val_share, recipe.dataset.test_share) == (0.1, 0.1)
    assert recipe.dataset.val_groups == recipe.dataset.test_groups == ()
    assert load_recipe("own") == recipe, "the lock file says the same"
    splits = split_groups(load_dataset(recipe.dataset), recipe.dataset)
    assert all(splits.values())


def test_a_folder_as_speech_commands_gives_a_recipe_that_passes(project: Path) -> None:
    assert main(["new", "mine", "--from", "raw"]) == 0
    assert main(["check", "--project", "mine"]) == 0
    recipe = load_recipe("mine/mine.toml")
    data = recipe.dataset
    assert data.labels == ("no", "up", "yes")
    assert (data.val_list, data.test_list) == (
        "../raw/validation_list.txt",
        "../raw/testing_list.txt",
    )
    assert recipe.augment.background == "../raw/_background_noise_"
    assert data.wav_folder is not None
    assert data.wav_folder.clip_seconds == 0.5
    assert recipe.features.window > 0.45 * 8000
    found = json.loads(Path("mine/build/recipes/mine/dataset.json").read_text())
    assert found["splits"]["test"]["groups"] == ["0000000c", "0000000d"]
    text = Path("mine/mine.toml").read_text()
    assert '_background_noise_ = "" # no class' in text
