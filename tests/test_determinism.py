"""The same training gives the same weights, whatever the number of CPUs and what they can do."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.host_c import ROOT

TRAINS = """
import dataclasses, hashlib, os, sys
os.sched_setaffinity(0, set(map(int, sys.argv[1:])))
from model.datasets import load_dataset
from model.recipe_file import load_recipe
from model.tasks import task_of
from model.train import train_network
recipe = load_recipe("motion")
augment = dataclasses.replace(recipe.augment, mixup=0.3, mask_rows=0.3, mask_columns=0.2)
training = dataclasses.replace(recipe.train, steps=8, teachers=1, teacher_width=1.5)
recipe = dataclasses.replace(recipe, augment=augment, train=training)
dataset = load_dataset(recipe.dataset)
groups = {r.group for r in dataset.recordings}
task = task_of(recipe, dataset.labels)
network, _ = train_network(recipe, dataset, task, groups, 1, lambda *_: None)
print(hashlib.sha256(b"".join(w.tobytes() for w in network.get_weights())).hexdigest())
"""
# What a package has set when it is imported before all others.
THREADS = """
import json, {package}, numpy, scipy.linalg, sklearn.ensemble, threadpoolctl
from model.networks import tf
counts = [pool["num_threads"] for pool in threadpoolctl.threadpool_info()]
config = tf.config.threading
counts += [config.get_intra_op_parallelism_threads(), config.get_inter_op_parallelism_threads()]
print(json.dumps(counts))
"""


def run(program: str, *arguments: str, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux to take CPUs away")
@pytest.mark.slow
def test_cpus_do_not_decide_the_weights() -> None:
    every = [str(cpu) for cpu in sorted(os.sched_getaffinity(0))]
    one = run(TRAINS, every[0])
    assert run(TRAINS, *every, OMP_NUM_THREADS="4") == one
    older = {"ONEDNN_MAX_CPU_ISA": "SSE41", "TF_ENABLE_ONEDNN_OPTS": "1"}
    assert run(TRAINS, *every, **older) == one


@pytest.mark.parametrize("package", ["model", "quantize", "host_tools"])
@pytest.mark.slow
def test_the_number_of_threads_is_said_and_not_counted(package: str) -> None:
    counts = json.loads(run(THREADS.format(package=package), OPENBLAS_NUM_THREADS="3"))
    assert len(counts) >= 4 and set(counts) == {1}
