"""Jobs here, in another process and on a Dask cluster: the same bytes, whatever dies meanwhile."""

from __future__ import annotations

import dataclasses
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from host_tools.cli import main
from model import cluster as clusters
from model.attachments import Attachments, attached, attachments
from model.background import load_background
from model.cluster import Cluster, open_jobs
from model.datasets import load_dataset
from model.errors import ClusterError, ConfigError, JobError
from model.features import make_windows
from model.features.design import recipe_front_end
from model.features.library import Extractor
from model.jobs import SCHEDULER, Here, Process, different, installation
from model.network_config import NetworkConfig, PythonConfig
from model.network_files import read_network_file
from model.recipe import Recipe
from model.recipe_file import load_recipe
from model.stages.check import check
from model.stages.cross_validate import cross_validate
from model.train import cross_validate as cross_validated
from model.train import silent
from quantize.candidate import make
from tests.dask_cluster import ROOT, START_S, TestCluster, cluster
from tests.test_networks import tiny_recipe

ADD, DIE, REFUSE = (f"tests.jobs:{name}" for name in ("add", "die", "refuse"))


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCluster]:
    """A cluster that no test harms."""
    with cluster(tmp_path_factory.mktemp("dask")) as found:
        yield found


def short(steps: int = 20) -> Recipe:
    """The digits, trained for no more than it takes to have weights of its own."""
    recipe = load_recipe("digits")
    return dataclasses.replace(recipe, train=dataclasses.replace(recipe.train, steps=steps))


def test_a_process_of_its_own_runs_jobs_and_is_replaced(tmp_path: Path) -> None:
    with open_jobs(own_process=True, log=tmp_path / "log") as jobs:
        shared = jobs.share(c=5)
        results = list(jobs.map(ADD, [{"a": 1, "b": 2}, {"a": 3, "b": 4}], shared))
        assert [value for value, _ in results] == [8, 12]
        assert results[0][1] == results[1][1] != os.getpid()
        assert jobs.call(ADD, {"a": 1, "b": 2})[0] == 3  # what was shared before is gone
        with pytest.raises(JobError, match=rf"die: its process ended with 7 .*{tmp_path}/log"):
            jobs.call(DIE, {})
        value, pid = jobs.call(ADD, {"a": 1, "b": 2}, shared)
        assert value == 8 and pid != results[0][1]
        with pytest.raises(ConfigError, match="refused"):
            jobs.call(REFUSE, {"kind": "ours"})
        with pytest.raises(JobError, match="ZeroDivisionError: nobody's"):
            jobs.call(REFUSE, {"kind": "other"})


def test_a_cluster_runs_jobs_in_their_order(two: TestCluster) -> None:
    with Cluster(two.address) as jobs:
        assert jobs.workers == 2
        shared = jobs.share(c=100)
        results = list(jobs.map(ADD, ({"a": i, "b": 1} for i in range(20)), shared))
        assert [value for value, _ in results] == [101 + i for i in range(20)]
        assert len({pid for _, pid in results}) == 2  # both work, each in one process
        with pytest.raises(ConfigError, match="refused"):
            jobs.call(REFUSE, {"kind": "ours"})
        with pytest.raises(JobError, match="die: its process ended with 7"):
            jobs.call(DIE, {})
        assert jobs.call(ADD, {"a": 1, "b": 1}, shared)[0] == 102


def test_features_have_the_same_bytes(two: TestCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = load_recipe("motion")
    dataset, extractor = load_dataset(recipe.dataset), Extractor(recipe_front_end(recipe))
    groups = {r.group for r in dataset.recordings}
    monkeypatch.setattr("model.features.BLOCK", 20_000)  # many jobs
    here = make_windows(dataset, extractor, groups)
    with Cluster(two.address) as jobs:
        there = make_windows(dataset, extractor, groups, jobs)
    assert len(here.y) > 1000
    for name in ("features", "y", "group"):
        np.testing.assert_array_equal(getattr(here, name), getattr(there, name))


@pytest.mark.slow
def test_folds_have_the_same_bytes_when_a_worker_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = short(300)
    cross_validate(recipe, tmp_path / "here", 4, 1, held_out=False)
    with cluster(tmp_path / "dask") as found:
        monkeypatch.setenv(SCHEDULER, found.address)
        with found.killing("one", "model.train:run_fold") as ran:
            cross_validate(recipe, tmp_path / "there", 4, 1, held_out=False)
        assert ran and found.workers["one"].returncode == -9
    name = "cross_validation.json"
    assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()
    told = capsys.readouterr().out
    assert told.count("fold 4 of 4, tested on") == 2


@pytest.mark.slow
def test_candidates_have_the_same_bytes_when_a_worker_is_killed(tmp_path: Path) -> None:
    recipe = short(40)
    recipe = dataclasses.replace(
        recipe,
        quantisation=dataclasses.replace(recipe.quantisation, max_drop=1.0, qat_steps=0),
    )
    check(recipe, tmp_path)
    dataset = load_dataset(recipe.dataset)
    values = {
        "dataset": dataset,
        "features": (tmp_path / "features.npz").read_bytes(),
        "front_end": recipe.features,
        "sent": attachments(recipe, dataset),
    }
    seeds = [dataclasses.replace(recipe.train, seed=seed) for seed in (1, 2, 3)]
    work = [
        {"step": "train", "recipe": dataclasses.replace(recipe, train=train)} for train in seeds
    ]
    entry = "quantize.candidate:make"
    with open_jobs(own_process=True, log=tmp_path / "log") as jobs:
        here = list(jobs.map(entry, work, jobs.share(**values)))
    with cluster(tmp_path / "dask") as found, Cluster(found.address) as jobs:
        with found.killing("one", entry) as ran:
            there = list(jobs.map(entry, work, jobs.share(**values)))
        assert ran and found.workers["one"].returncode == -9
    for ours, theirs in zip(here, there, strict=True):
        assert set(ours) == set(theirs)
        for name in ("model.tflite", "golden.npz", "float.npz", "scores.json"):
            assert ours[name] == theirs[name], name
    assert len({files["model.tflite"] for files in here}) == 3


def test_a_worker_with_other_code_is_refused(tmp_path: Path) -> None:
    for name in ("model", "quantize", "host_tools", "firmware", "boards"):
        shutil.copytree(ROOT / name, tmp_path / "other" / name)
    changed = tmp_path / "other" / "model" / "augment.py"
    changed.write_text(changed.read_text() + "\n")
    with cluster(tmp_path / "dask", ("one",)) as found:
        with Cluster(found.address) as jobs:
            assert jobs.call(ADD, {"a": 1, "b": 2})[0] == 3
            found.add("late", tmp_path / "other")  # after the first look at the workers
            with pytest.raises(ClusterError, match="another installation .*code: [0-9a-f]+ there"):
                until = time.monotonic() + START_S
                while time.monotonic() < until:
                    list(jobs.map(ADD, [{"a": 1, "b": 2}] * 8))
        with pytest.raises(ClusterError, match=r"worker tcp://.*code: .*install the same"):
            Cluster(found.address)


def test_a_worker_without_tinyproof_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty" / "model").mkdir(parents=True)
    (tmp_path / "empty" / "model" / "__init__.py").write_text("")
    with cluster(tmp_path / "dask", ()) as found:
        found.add("bare", tmp_path / "empty")
        with pytest.raises(ClusterError, match=r"worker tcp://.*has no tinyproof of this version"):
            Cluster(found.address)
    told = r"scheduler tcp://.*has no tinyproof of this version"
    with (
        cluster(tmp_path / "other", (), tmp_path / "empty") as found,
        pytest.raises(ClusterError, match=told),
    ):
        Cluster(found.address)


def test_what_is_no_cluster_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ClusterError, match=r"SCHEDULER=somewhere: expected tcp://host:port"):
        Cluster("somewhere")
    monkeypatch.setattr(clusters, "CONNECT_S", 1.0)
    with pytest.raises(ClusterError, match="no Dask scheduler answers there.*dask worker"):
        Cluster("tcp://127.0.0.1:1")
    told = "it has no workers .*start `dask worker tcp"
    with cluster(tmp_path / "dask", ()) as found, pytest.raises(ClusterError, match=told):
        Cluster(found.address)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "distributed", None)  # as where Dask is not installed
    assert main(["check", "digits", "--scheduler", "tcp://127.0.0.1:1"]) == 2
    assert "pip install 'tinyproof[cluster]'" in capsys.readouterr().err
    assert SCHEDULER not in os.environ  # not for the next command of this process
    assert main(["train", "--scheduler", "tcp://127.0.0.1:1", "--cv", "1"]) == 2
    assert SCHEDULER not in os.environ  # even when it was not run


def test_too_much_to_send_is_refused(two: TestCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "MAX_SHARED", 1000)
    with Cluster(two.address) as jobs, pytest.raises(ClusterError, match="at most 1,000"):
        jobs.share(data=bytes(2000))


def test_installations_are_compared() -> None:
    ours = installation()
    assert {"tinyproof", "code", "Python", "processor", "numpy", "tensorflow"} <= set(ours)
    assert different(ours, ours) == ""
    assert "numpy: 0 there" in different(ours, {**ours, "numpy": "0"})
    assert "numpy: none there" in different(ours, {k: v for k, v in ours.items() if k != "numpy"})


def test_this_process_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SCHEDULER, raising=False)
    with open_jobs() as jobs:
        assert isinstance(jobs, Here) and jobs.call(ADD, {"a": 1, "b": 2}) == (3, os.getpid())
    with open_jobs(own_process=True) as jobs:
        assert isinstance(jobs, Process)


OWN_NETWORK = """
from tensorflow import keras


def network(input_shape, outputs, width):
    return keras.Sequential([
        keras.Input(input_shape),
        keras.layers.Flatten(),
        keras.layers.Dense(width, "relu"),
        keras.layers.Dense(outputs),
    ])
"""


@pytest.mark.slow
def test_a_network_of_the_users_own_goes_with_its_jobs(
    two: TestCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workers' folder is another one: what they have of the project was sent."""
    monkeypatch.chdir(tmp_path)
    Path("network.py").write_text(OWN_NETWORK)
    config = NetworkConfig(kind="python", python=PythonConfig(arguments={"width": 6}))
    recipe = tiny_recipe(tmp_path, config, qat_steps=0)
    check(recipe, tmp_path)
    dataset = load_dataset(recipe.dataset)
    values = {
        "dataset": dataset,
        "features": (tmp_path / "features.npz").read_bytes(),
        "front_end": recipe.features,
        "sent": attachments(recipe, dataset),
    }
    other = dataclasses.replace(recipe, features=dataclasses.replace(recipe.features, window=4))
    work = [{"step": "train", "recipe": r} for r in (recipe, other)]
    here = [make(**job, **values) for job in work]
    with Cluster(two.address) as jobs:
        there = list(jobs.map("quantize.candidate:make", work, jobs.share(**values)))
        folds = cross_validated(recipe, 2, 1, silent, dataset=dataset, jobs=jobs)
    for ours, theirs in zip(here, there, strict=True):
        assert ours["model.tflite"] == theirs["model.tflite"]
        assert ours["scores.json"] == theirs["scores.json"]
    assert here[0]["model.tflite"] != here[1]["model.tflite"]
    assert folds == cross_validated(recipe, 2, 1, silent, dataset=dataset)


def test_a_trained_file_and_the_background_go_with_the_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny_recipe(tmp_path, NetworkConfig(kind="file"))
    dataset = load_dataset(recipe.dataset)
    sent = Attachments(network=b"trained", background=dataset, speech=None)
    monkeypatch.chdir(tmp_path)
    noisy = dataclasses.replace(
        recipe, augment=dataclasses.replace(recipe.augment, background="noise")
    )
    with attached(noisy, sent):
        assert read_network_file(noisy.network)[1] == b"trained"
        assert load_background(noisy, dataset) is dataset
    with pytest.raises(ConfigError, match="No such file"):
        read_network_file(noisy.network)
    Path("trained.keras").write_bytes(b"trained")
    with attached(recipe, sent):  # messages name the user's own file where it is the same
        assert read_network_file(recipe.network)[0] == Path("trained.keras")
