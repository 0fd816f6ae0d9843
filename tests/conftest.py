"""For all tests: fixed examples, no experiment in the user's store, no state left in numpy."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from host_tools import wording
from model import recording, store

# `make test` says the same of the same code; `make test-all` looks for new examples
settings.register_profile("fixed", derandomize=True, database=None, deadline=None)
settings.register_profile("new", database=None, deadline=None)
settings.load_profile(os.environ.get("EXAMPLES", "fixed"))


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's job in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _numpy_as_it_was() -> Iterator[None]:
    """A library that changes how numpy treats floating-point errors does so for all of us."""
    before = np.geterr()
    yield
    assert np.geterr() == before


@pytest.fixture(scope="session", autouse=True)
def _own_store() -> Iterator[Path]:
    """An address of our own, and recording off but where a test turns it on."""
    folder = Path(tempfile.mkdtemp(prefix="tinyproof-store-"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        patch.setenv(recording.SWITCH, "off")
        patch.setenv(wording.GOALS, "help")  # advice as make's targets, whoever starts the tests
        yield folder / "mlflow.db"
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def _empty_store(_own_store: Path) -> Path:
    """A store with MLflow's tables, which take seconds to make."""
    assert store.experiments() == []
    with store._store() as client:
        client.get_experiment_by_name(store.GROUP)
    return _own_store


@pytest.fixture
def local_store(_empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store of the test's own, with recording on."""
    file = tmp_path / "store" / "mlflow.db"
    file.parent.mkdir()
    shutil.copy(_empty_store, file)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{file}")
    monkeypatch.delenv(recording.SWITCH)
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    return file


@pytest.fixture
def out_dir(tmp_path: Path) -> Path:
    """build/motion."""
    return tmp_path / "build" / "motion"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
