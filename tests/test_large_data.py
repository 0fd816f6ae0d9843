"""Data of any size lie in a file without a name; hostile folders end in one clear error."""

from __future__ import annotations

import errno
import io
import mmap
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from model import progress, scratch
from model.checks.base import blocks, cut_windows
from model.data_page import _some_samples
from model.datasets import load_dataset
from model.datasets.base import Dataset, Recording, deviation
from model.datasets.paths import list_files
from model.errors import DataError, ModelSideError
from model.recipe import WavFolderConfig
from model.scratch import Scratch
from tests.checked_data import good_dataset
from tests.sources import assert_complete, source_config, write_wav

ROOT = Path(__file__).parents[1]


def test_arrays_come_back_from_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "SEGMENT_BYTES", mmap.ALLOCATIONGRANULARITY)
    place, rng = Scratch(), np.random.default_rng(1)
    arrays = [
        rng.normal(size=(n, 3)).astype(dtype)
        for n in (0, 1, 7, 341, 342, 1000, 5)
        for dtype in (np.float32, np.float64)
    ]
    kept = [place.keep(array) for array in arrays]
    zeros = place.zeros((100, 9), np.int16)
    kept.append(place.keep(arrays[-1].T))
    zeros[:] = 3
    assert all(np.array_equal(a, b) for a, b in zip(arrays, kept, strict=False))
    assert np.array_equal(kept[-1], arrays[-1].T)
    assert (zeros == 3).all()
    assert not any(a.flags.writeable for a in kept if a.size)
    assert all(isinstance(a.base, mmap.mmap) for a in [*kept, zeros] if a.size)


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for name in ("pwrite", "posix_fallocate"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, full)
            with pytest.raises(ModelSideError, match="No space left.*set TMPDIR to a folder"):
                if name == "pwrite":
                    Scratch().keep(np.ones(3))
                Scratch().zeros((3,), np.int16)


def test_what_looks_at_all_recordings_takes_them_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = good_dataset()
    everything = np.concatenate([r.values for r in dataset.recordings])
    monkeypatch.setattr("model.checks.base.BLOCK_VALUES", 10_000)
    parts = list(blocks(dataset.recordings))
    assert len(parts) > 2
    assert np.array_equal(np.concatenate([block for _, block in parts]), everything)
    assert [first for first, _ in parts] == np.cumsum(
        [0, *(len(b) for _, b in parts[:-1])]
    ).tolist()
    found = deviation([r.values for r in dataset.recordings])
    assert np.allclose(found, everything.astype(np.float64).std(axis=0), rtol=1e-12)
    monkeypatch.setattr("model.data_page.MAX_HISTOGRAM", 997)
    assert np.array_equal(_some_samples(dataset), everything[:: 1 + len(everything) // 997])
    cut = cut_windows(dataset, [3, 1], 128, 64, 4)
    places = [(i, start) for i in (3, 1) for start in range(0, 700 - 128 + 1, 64)]
    expected = [places[k] for k in np.linspace(0, len(places) - 1, 4).astype(int)]
    assert list(zip(cut.recording.tolist(), cut.start.tolist(), strict=True)) == expected
    for x, (i, start) in zip(cut.x, expected, strict=True):
        assert np.array_equal(x, dataset.recordings[i].values[start : start + 128])


LIMITED = """
import resource, sys
import numpy as np
from model.augment import WindowSampler
from model.checks import schema, series
from model.datasets import load_dataset
from model.features import make_windows
from model.features.design import design
from model.features.library import Extractor
from model.recipe import *
from tests.checked_data import RECIPE, good_dataset
from tests.sources import source_config

table = WavFolderConfig(folder=sys.argv[1], pattern=r"(?P<label>[ab])(?P<group>\\d)_\\d+\\.wav")
config = source_config("wav_folder", table, sample_rate_hz=8000.0, units=("full scale",))
features = FeatureConfig(
    kind="raw", window=512, hop=512, lsb=(2.0**-15,), offset=(0.0,), scale=(1.0,)
)
extractor = Extractor(design(features, 8000.0, 1))
checks = CheckConfig(minimum=(-1.0,), maximum=(1.0,), max_step=(2.0,), max_frozen_samples=99999)
schema.values(good_dataset(), RECIPE.checks)  # pandas keeps what it needs for all that follow
used = next(int(l.split()[1]) << 10 for l in open("/proc/self/status") if l.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (used + (int(sys.argv[2]) << 20),) * 2)
dataset = load_dataset(config)
size = sum(r.values.nbytes for r in dataset.recordings)
schema.values(dataset, checks)
series.clipping(dataset, checks)
made = make_windows(dataset, extractor, set(range(10)))
augment = AugmentConfig(noise=(0.0,))
WindowSampler(dataset.recordings, extractor, augment, 1).batch(64)
print(len(dataset.recordings), size >> 20, made.features.nbytes >> 20)
"""


@pytest.mark.slow
def test_a_data_set_larger_than_memory(tmp_path: Path) -> None:
    """4000 files: 305 MiB of samples, 153 of inputs, in 200 MiB beside what is there before."""
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 0.1, 40000)
    for i in range(4000):
        start = int(rng.integers(20000))
        write_wav(
            tmp_path / f"{'ab'[i % 2]}{i % 10}_{i}.wav", noise[start : start + 20000] * rng.random()
        )
    run = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path), "200"],
        cwd=ROOT, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert run.stdout.split() == ["4000", "305", "152"], run.stderr


def _folder(path: Path) -> Path:
    for label in "ab":
        for group in range(3):
            write_wav(path / label / f"{group}.wav", np.full(9, (group + 3 * (label == "a")) / 10))
    return path


def _load(folder: Path) -> Dataset:
    table = WavFolderConfig(folder=str(folder), pattern=r"(?P<label>[^/]+)/(?P<group>.+)\.wav")
    return load_dataset(source_config("wav_folder", table))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: (f / "a/x\ny.wav").touch(), r"a/x\\ny.wav: expected a name in UTF-8 without"),
        (lambda f: (f / "a/\x1b[31m.wav").touch(), r"a/\\x1b\[31m.wav: expected a name"),
        (lambda f: Path(os.fsdecode(os.fsencode(f) + b"/a/\xff.wav")).touch(), r"\\udcff.wav: exp"),
        (lambda f: (f / "c\x07").mkdir(), r"c\\x07: expected a name in UTF-8 without control"),
        (lambda f: (f / "a/README").symlink_to("/etc/passwd"), None),
        (lambda f: (f / "a/z.wav").symlink_to("/etc/passwd"), "a link to /etc/passwd outside of"),
        (lambda f: (f / "a/z.wav").symlink_to("../../other.wav"), "other.wav outside of it; copy"),
        (lambda f: (f / "a/z.wav").symlink_to("nothing.wav"), "nothing.wav, which is not there"),
        (lambda f: (f / "c").symlink_to("/etc"), "c: expected files .* got a link to a folder"),
        (lambda f: (f / "c").symlink_to("a"), "got a link to a folder; put the data there"),
        (lambda f: (f / "a/z.wav").symlink_to("0.wav"), "a/z.wav and a/0.wav have the same cont"),
        (lambda f: os.mkfifo(f / "a/z.wav"), "a/z.wav: the file cannot be read: a pipe or a dev"),
        (lambda f: (f / "a/z.wav").mkdir(), None),
    ],
)
def test_hostile_folders_end_in_one_clear_error(
    spoil: Callable[[Path], object], words: str | None, tmp_path: Path
) -> None:
    write_wav(tmp_path / "other.wav", np.zeros(9))
    folder = _folder(tmp_path / "data")
    spoil(folder)
    if words is None:  # it is no recording, whatever it is
        assert len(_load(folder).recordings) == 6
        return
    with pytest.raises(DataError, match=words) as error:
        _load(folder)
    assert "\n" not in str(error.value)
    if "same content" not in str(error.value) and "cannot be read" not in str(error.value):
        assert_complete(str(error.value))


def test_folders_and_files_without_permission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _folder(tmp_path)
    denied = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    real_scan, real_open = os.scandir, Path.open

    def scan(path: str) -> object:
        if str(path).endswith("/b"):
            raise denied
        return real_scan(path)

    def opened(path: Path, *arguments: object, **more: object) -> object:
        if path.name == "1.wav":
            raise denied
        return real_open(path, *arguments, **more)  # type: ignore[call-overload]

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", scan)
        with pytest.raises(DataError, match="/b: the folder cannot be read: Permission denied; ex"):
            _load(folder)
    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(DataError, match="a/1.wav: the file cannot be read: Permission denied; mak"):
        _load(folder)


def test_names_with_quotes_and_html_are_names(tmp_path: Path) -> None:
    names = ['\'; DROP "x"', "<img src=x onerror=alert(1)>", "a&amp;b $x^2$", "\u202egnp"]
    for number, name in enumerate(names):
        write_wav(tmp_path / name / "1.wav", np.full(9, number / 10))
    table = WavFolderConfig(folder=str(tmp_path), pattern=r"(?P<group>(?P<label>[^/]+))/.+")
    with pytest.raises(DataError, match=r"expected a label of printable letters, got '\\u202egnp'"):
        load_dataset(source_config("wav_folder", table))
    (tmp_path / names[3] / "1.wav").unlink()
    dataset = load_dataset(source_config("wav_folder", table))
    assert dataset.labels == tuple(sorted(names[:3]))


def test_files_are_in_the_order_of_their_parts(tmp_path: Path) -> None:
    for name in ("b.csv", "a/x.csv", "a-b/x.csv", "a/y/z.CSV", "a.csv", "no.md", ".csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "copy").mkdir()
    inner = tmp_path / "copy" / "link.csv"
    inner.symlink_to(tmp_path / "a.csv")
    found = [p.relative_to(tmp_path).as_posix() for p in list_files(tmp_path, (".csv",))]
    assert found == [
        "a/x.csv", "a/y/z.CSV", "a-b/x.csv", "a.csv", "b.csv", "copy/link.csv",
    ]  # fmt: skip
    assert found == [str(Path(n)) for n in sorted(map(Path, found))]
    assert list_files(tmp_path / "nowhere", (".csv",)) == []


def test_recordings_need_no_memory_of_their_own(tmp_path: Path) -> None:
    dataset = _load(_folder(tmp_path))
    assert all(isinstance(r.values.base, mmap.mmap) for r in dataset.recordings)
    assert isinstance(dataset.recordings[0], Recording)


def test_long_work_shows_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for items, work, shown in ((499, 0, False), (500, 0, True), (3, 500, True)):
        stream = io.StringIO()
        monkeypatch.setenv("TERM", "xterm")
        terminal = Console(file=stream, force_terminal=True, width=80)
        monkeypatch.setattr(progress, "console", terminal)
        assert list(progress.item_progress(range(items), "reading files", work)) == [*range(items)]
        assert ("reading files" in stream.getvalue()) == shown
        monkeypatch.setattr(progress, "console", Console(file=stream, force_terminal=False))
        stream.truncate(0)
        list(progress.item_progress(range(items), "reading files", work))
        assert "reading" not in stream.getvalue()
