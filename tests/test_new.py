"""tinyproof new --from: a recipe for a folder as it is, with everything that can be found out."""

from __future__ import annotations

import itertools
import json
import re
import shlex
import wave
from pathlib import Path

import numpy as np
import pytest

from host_tools.cli import main
from host_tools.new_project import make_project
from model.errors import ConfigError
from model.guess import find_extras, from_template, guess_names, usual_length, with_noise
from model.recipe import Recipe
from model.recipe_file import load_recipe
from tests.gestures import PEOPLE, gesture, gestures_csv
from tests.sources import write_wav

NAMED = ("--names", "{label}.{group}.{}.csv")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "off")
    return tmp_path


def _made(project: Path, *arguments: str) -> Recipe:
    assert main(["new", "mine", "--from", "raw", *arguments]) == 0
    assert main(["check", "--project", "mine"]) == 0
    recipe = load_recipe(str(project / "mine/mine.toml"))
    text = (project / "mine/mine.toml").read_text("utf-8")
    plain = [s for s in text.splitlines() if "=" in s and " # " not in s]
    assert not plain, "every line has its meaning"
    return recipe


def test_gestures_in_csv(project: Path) -> None:
    gestures_csv(project / "raw")
    recipe = _made(project, *NAMED)
    data = recipe.dataset
    assert data.labels == ("circle", "wave")
    assert data.channels == ("ax", "ay", "az")
    assert data.sample_rate_hz == 100.0
    assert data.val_groups == ("dan",)
    assert data.test_groups == ("eve",)
    assert data.csv_folder is not None
    assert (data.csv_folder.folder, data.csv_folder.time_unit) == ("../raw", "s")
    assert recipe.checks.maximum == (2.0, 2.0, 2.0)
    assert recipe.features.window == 200
    assert data.resample is None
    text = Path("mine/mine.toml").read_text("utf-8")
    assert "[network.cnn1d]\n" in text and "filters = [16, 24, 32] # " in text


@pytest.mark.parametrize(
    ("name", "header", "line"),
    [
        ("{who}/{label}_{take}.csv", "t_ms;ax;ay;az", "{t};{x};{y};{z}"),
        (
            "train/{label}/{who}-{take}.csv",
            "Time (s)\tax [g]\tay [g]\taz [g]",
            "{t}\t{x}\t{y}\t{z}",
        ),
        ("{label}/{who}_{take}.txt", "", "{x},{y},{z}"),
    ],
)
def test_folders_of_other_builds(project: Path, name: str, header: str, line: str) -> None:
    comma = ";" in line
    for part in "txyz":
        line = line.replace(f"{{{part}}}", f"{{{part}:.4f}}")
    if "t_ms" in header:
        header = header.replace("t_ms", "seconds")
    gestures_csv(project / "raw", name, header, line)
    if comma:
        for path in (project / "raw").rglob("*.csv"):
            path.write_text(path.read_text().replace(".", ","))
    names = name.format(label="{label}", who="{group}", take="{}")
    recipe = _made(project, "--rate", "100", "--names", names)
    assert recipe.dataset.labels == ("circle", "wave")
    assert recipe.dataset.test_groups == ("eve",)
    assert recipe.dataset.sample_rate_hz == 100.0
    assert len(recipe.dataset.channels) == 3
    if "[g]" in header:
        assert recipe.dataset.units == ("g",) * 3


def test_a_phones_log_gets_a_resample(project: Path) -> None:
    gestures_csv(project / "raw", jitter=0.9)
    recipe = _made(project, *NAMED)
    assert recipe.dataset.resample is not None
    assert recipe.dataset.sample_rate_hz == pytest.approx(100, rel=0.02)
    checked = json.loads((project / "mine/build/recipes/mine/dataset.json").read_text())
    assert "brought to" in checked["preparation"][0]
    assert "brought to" in (project / "mine/build/recipes/mine/data.html").read_text()


def test_words_in_wav(project: Path) -> None:
    for k, word in enumerate(("yes", "no", "stop")):
        for p, who in enumerate(PEOPLE):
            for take in range(2):
                rng = np.random.default_rng([k, p, take])
                time = np.arange(8000) / 8000
                tone = np.sin(2 * np.pi * (300 + 200 * k + 10 * p) * time) * 0.3
                sound = ((tone + rng.normal(0, 0.01, 8000)) * 32767).astype("<i2")
                path = project / "raw" / word / f"{who}_nohash_{take}.wav"
                path.parent.mkdir(parents=True, exist_ok=True)
                with wave.open(str(path), "wb") as out:
                    out.setnchannels(1)
                    out.setsampwidth(2)
                    out.setframerate(8000)
                    out.writeframes(sound.tobytes())
    recipe = _made(project, "--names", "{label}/{group}_{}.wav")
    assert recipe.features.kind == "logmel"
    assert recipe.dataset.labels == ("no", "stop", "yes")
    assert recipe.dataset.test_groups == ("eve",)
    assert recipe.dataset.sample_rate_hz == 8000.0


def test_edge_impulse_json(project: Path) -> None:
    for k, label in enumerate(("idle", "wave")):
        for p in range(len(PEOPLE)):
            content = {
                "protected": {"ver": "v1", "alg": "none"},
                "signature": "",
                "payload": {
                    "device_name": PEOPLE[p],
                    "device_type": "TEST",
                    "interval_ms": 16 if p else 16.2,
                    "sensors": [{"name": n, "units": "m/s2"} for n in ("accX", "accY", "accZ")],
                    "values": [list(v) for v in gesture(k, p, 0)],
                },
            }
            path = project / "raw" / "training" / f"{label}.{1000 + 7 * p}ab{k}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content))
    recipe = _made(project)
    assert recipe.dataset.units == ("m/s2",) * 3
    assert recipe.dataset.sample_rate_hz in (62.5, pytest.approx(1000 / 16.2, rel=1e-4))
    assert recipe.dataset.test_groups == ("eve",)


def test_the_tutorial_format_of_the_nano(project: Path) -> None:
    """aX,aY,aZ,gX,gY,gZ without times, a file a gesture, blank lines between the recordings."""
    (project / "raw").mkdir()
    for k, label in enumerate(("flex", "punch")):
        parts = [
            "\n".join(f"{x:.3f},{y:.3f},{z:.3f},{9 * x:.3f},{y:.3f},{z:.3f}" for x, y, z in
                      gesture(k, 0, take, 119))
            for take in range(10)
        ]  # fmt: skip
        (project / "raw" / f"{label}.csv").write_text(
            "aX,aY,aZ,gX,gY,gZ\n" + "\n\n".join(parts) + "\n"
        )
    assert main(["new", "mine", "--from", "raw"]) == 2
    recipe = _made(project, "--rate", "119", "--units", "g,g,g,dps,dps,dps")
    assert recipe.dataset.labels == ("flex", "punch")
    assert len(recipe.dataset.test_groups) == 4
    assert recipe.features.window <= 119


def test_an_npz(project: Path) -> None:
    samples = np.array([list(gesture(k % 2, k // 4, k)) for k in range(20)])
    np.savez(
        project / "data.npz", samples=samples, labels=np.arange(20) % 2, groups=np.arange(20) // 4
    )
    assert main(["new", "mine", "--from", "data.npz", "--rate", "100"]) == 0
    assert main(["check", "--project", "mine"]) == 0
    assert load_recipe("mine/mine.toml").dataset.test_groups == (4,)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--from", "nowhere"], "expected a folder or an .npz file"),
        (["--from", "empty"], "expected files *.wav, *.json"),
        (["--from", "raw", "--names", "{label}-{group}.csv"], "does not fit; the names are"),
        (["--from", "raw", "--names", "{label}{label}"], "{label} and {group} at most once"),
        (["--from", "raw", "--channels", "ax,,az"], "expected names with commas between"),
        (["--from", "raw", *NAMED, "--channels", "ax,aw"], "expected one column 'aw', got 0 among"),
        (["--from", "raw", *NAMED, "--units", "g"], "dataset.units: expected 3 values"),
        (["--from", "raw", "--names", "(?P<label>[)"], "--names = '(?P<label>[)': not a regular"),
        (["--rate", "50"], "are for data of --from"),
        (["--from", "raw", "--example", "digits"], "expected one of --from and --example"),
    ],
)
def test_what_is_wrong_leaves_nothing(
    arguments: list[str], words: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gestures_csv(project / "raw")
    (project / "empty").mkdir()
    assert main(["new", "mine", *arguments]) in (1, 2)
    assert words in capsys.readouterr().err
    assert sorted(p.name for p in project.iterdir()) == ["empty", "raw"]


def _rows(line: str, count: int = 100, header: str = "ms,ax,ay") -> list[str]:
    return [header, *(line.format(t=20 * i, k=i % 7 + 1, i=i, n="{n}") for i in range(count))]


@pytest.mark.parametrize(
    ("rows", "code", "words"),
    [
        (_rows("0,{k}{n},1", 1), 1, r"circle.ann.0.csv: expected recordings of at least two rows"),
        (_rows("{t},{k}{n}e-42,1e-42"), 2, r"lsb\[0\]: expected (.|\n)*'ax' goes to .*csv, line 2"),
        (_rows("{t},{k}{n}e35,1e35"), 2, r"scale\[0\]: expected (.|\n)*'ax' goes to .*csv, line 2"),
        (_rows("{i}e-300,{k}{n},1"), 1, r"csv, line 2, column ms: expected times of .*1e\+303"),
        (_rows("{i}e-310,{k}{n},1"), 1, r"csv, line 2, column ms: expected times of .*, got inf"),
        (_rows("{t},a{n}", header="ms,ax"), 1,
         r"circle.ann.0.csv, line 2: expected a column of numbers among \['ms', 'ax'\]"),
        (_rows("{t}{n}", header="ms"), 1, r"line 2: expected a column of numbers among \['ms'\]"),
    ],
)  # fmt: skip
def test_data_that_no_recipe_can_be_made_for(
    rows: list[str], code: int, words: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `check` would refuse, `new` does, and says by what in the data."""
    for i, (label, who) in enumerate(itertools.product(("circle", "wave"), PEOPLE)):
        path = project / f"raw/{label}.{who}.0.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(rows).replace("{n}", str(i)) + "\n")
    assert main(["new", "mine", "--from", "raw", "--names", "{label}.{group}.{}.csv"]) == code
    assert re.search(words, capsys.readouterr().err)
    assert [p.name for p in project.iterdir()] == ["raw"]


def test_sounds_too_slow_for_any_recipe(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(3)
    for label, who in itertools.product(("hot", "cold"), PEOPLE):
        write_wav(project / f"raw/{label}/{who}.wav", rng.uniform(-1, 1, 900), 1)
    assert main(["new", "mine", "--from", "raw", "--names", "{label}/{group}.wav"]) == 2
    said = capsys.readouterr().err
    assert "low_hz: expected 0 to below" in said and "from 1 samples a second" in said
    assert not (project / "mine").exists()


@pytest.mark.parametrize(
    ("names", "label", "group"),
    [
        (["7_jackson_32.wav", "7_theo_1.wav", "3_jackson_4.wav", "3_theo_5.wav"], "7", "jackson"),
        (["s01/walk.csv", "s01/run.csv", "s02/walk.csv", "s02/run.csv"], "walk", "s01"),
        (["a/x 1.csv", "a/x 2.csv", "b/y 1.csv", "b/z-3.csv"], "a", None),
        (["on1.csv", "on-2.csv", "off1.csv", "off_2.csv"], "on", None),
        (
            [
                "2024-01-02/left.csv",
                "2024-01-02/up.csv",
                "2024-02-03/left.csv",
                "2024-02-03/up.csv",
            ],
            "left",
            "2024-01-02",
        ),
        (
            [
                "2024/01/02/left_1.csv",
                "2024/01/02/up_1.csv",
                "2024/01/03/left_2.csv",
                "2024/01/03/up_3.csv",
            ],
            "left",
            "2024/01/02",
        ),
        (
            ["20240102_left.csv", "20240102_up.csv", "20240203_left.csv", "20240203_up.csv"],
            "left",
            "20240102",
        ),
        (
            [
                "2024-01-02T10-20-30-up.csv",
                "2024-01-02T10-20-30-on.csv",
                "2024-01-02T10-30-00-up.csv",
                "2024-01-02T10-30-00-on.csv",
            ],
            "up",
            "2024-01-02T10-20-30",
        ),
        (
            [
                "02.01.2024 left.csv",
                "02.01.2024 up.csv",
                "03.01.2024 left.csv",
                "03.01.2024 up.csv",
            ],
            "left",
            "02.01.2024",
        ),
        (
            ["2024-01/left.csv", "2024-01/up.csv", "2024-02/left.csv", "2024-02/up.csv"],
            "left",
            "2024-01",
        ),
        (
            [
                "2024-01-02/left 1.csv",
                "2024-01-02/up.csv",
                "2024-01-03/left-1.csv",
                "2024-01-03/up.csv",
            ],
            "left",
            "2024-01-02",
        ),
        (["s1/left 1.csv", "s1/up.csv", "s2/left-1.csv", "s2/up.csv"], "left", "s1"),
        (["train/left 1.csv", "train/up.csv", "test/left-1.csv", "test/up.csv"], "left", None),
        (["b'$(x)/1.csv", "b'$(x)/2.csv", "c/1.csv", "c/2.csv"], None, None),
    ],
)
def test_names_tell_label_and_group(names: list[str], label: str, group: str | None) -> None:
    guess = guess_names(names, labels_inside=False)
    matches = [re.fullmatch(guess.pattern, name) for name in names]
    assert all(matches)
    typed = [re.fullmatch(from_template(guess.names), name) for name in names]
    assert [m and m.groupdict() for m in typed] == [m and m.groupdict() for m in matches]
    first = matches[0]
    assert first is not None
    if label is not None:
        assert first["label"] == label
        assert first.groupdict().get("group") == group


@pytest.mark.parametrize(
    ("name", "sure"),
    [
        ("{who}{k}/{label}.csv", False),
        ("{label}/{who}_nohash_{k}.csv", False),
        ("{label}/{k}.csv", True),
        ("{who}/{label}_{k}.csv", False),
        ("{label}/00{k}ae71_nohash_{k}.csv", True),
        ("s0{k}/{label}_{k}.csv", True),
        ("{k}/{label}.csv", False),
        ("s0{k}/{label}/{who}.csv", False),
        ("{who}/{label}{k}.csv", False),
    ],
)
def test_a_guess_is_sure_where_no_other_part_could_be_the_label(name: str, sure: bool) -> None:
    names = [
        name.format(label=label, who=who, k=k)
        for label in ("circle", "wave")
        for who in ("ann", "bob")
        for k in (1, 2, 3)
    ]
    assert guess_names(sorted({*names}), labels_inside=False).sure == sure


@pytest.mark.parametrize(
    "name",
    ["{label}.{who}.{take}.csv", "2024-01-02/{label}-{who}/{take}.csv", "{who}/{label}{take}.csv"],
)
def test_a_guess_that_is_not_sure_shows_what_to_type(
    name: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gestures_csv(project / "raw", name)
    if "{label}{take}" in name:  # of different build
        for path in (project / "raw").glob("*/wave1.csv"):
            path.rename(path.with_name("wave-1.csv"))
    assert main(["new", "mine", "--from", "raw"]) == 2
    said = capsys.readouterr().err
    assert "do not tell for sure which part is the label; a guess is " in said
    assert "label '" in said
    assert not (project / "mine").exists()
    typed = shlex.split(said.partition(" add ")[2].partition(", else")[0])
    assert typed[0] == "--names"
    recipe = _made(project, *typed)
    assert recipe.dataset.labels


@pytest.mark.parametrize("kind", ["csv", "wav"])
def test_noise_is_a_class_as_others(kind: str, project: Path) -> None:
    """Edge Impulse and others have it; only Speech Commands' own folder is known to be mixed in."""
    for k, label in enumerate(("circle", "noise", "_background_noise_")):
        for take in range(10):
            path = project / "raw" / label / f"{take}.{kind}"
            rows = list(gesture(k, 0, take, 4000))
            if kind == "wav":
                write_wav(path, 0.5 * np.array(rows)[:, 0], 4000)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"{x:.4f},{y:.4f}\n" for x, y, _ in rows[:300]))
    recipe = _made(project, *(["--rate", "100"] if kind == "csv" else []))
    classes = {"csv": ("_background_noise_", "circle", "noise"), "wav": ("circle", "noise")}
    assert recipe.dataset.labels == classes[kind]
    background = {"csv": "", "wav": "../raw/_background_noise_"}
    assert recipe.augment.background == background[kind]


def test_what_a_folder_has_besides_classes(tmp_path: Path) -> None:
    names = ["yes/1.wav", "noise/2.wav", "_background_noise_/tap.wav", "up/3.wav"]
    for i, name in enumerate(names):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(bytes(100 if i else 50))
    found = find_extras(tmp_path, "wav_folder", names)
    assert (found.noise, found.lists) == ("_background_noise_", {})
    assert not find_extras(tmp_path, "csv_folder", names).noise
    assert not find_extras(tmp_path, "wav_folder", names[:2]).noise
    for name in ("validation_list.txt", "test_list.txt"):
        assert not find_extras(tmp_path, "wav_folder", names).lists
        (tmp_path / name).touch()
    assert find_extras(tmp_path, "wav_folder", names).lists == {
        "val": "validation_list.txt",
        "test": "test_list.txt",
    }
    assert usual_length(tmp_path, names) in names[1:], "most have 100 bytes"
    assert not usual_length(tmp_path, names[1:]), "all have"
    assert not usual_length(tmp_path, names[:2]), "no length is usual"


@pytest.mark.parametrize(
    ("template", "group"),
    [("{label}/{group}_nohash_{}.wav", "ann"), ("{label}/{group}.wav", "ann_nohash_0"),
     ("{label}/{}.wav", None)],
)  # fmt: skip
def test_a_pattern_with_noise_fits_both(template: str, group: str | None) -> None:
    pattern = with_noise(from_template(template), "_background_noise_")
    word = re.fullmatch(pattern, "yes/ann_nohash_0.wav")
    noise = re.fullmatch(pattern, "_background_noise_/tap.wav")
    assert word and noise
    assert (word["label"], noise["label"]) == ("yes", "_background_noise_")
    assert word.groupdict().get("group") == group
    with pytest.raises(ConfigError, match="_background_noise_/: .* whose folders are no labels"):
        with_noise(from_template("{group}/{label}.wav"), "_background_noise_")


def test_a_readme_and_lists_are_no_data(project: Path) -> None:
    gestures_csv(project / "raw")
    for name in ("README.txt", "._wave.ann.0.csv", "__MACOSX/wave.ann.0.csv", ".DS_Store"):
        (project / "raw" / name).parent.mkdir(exist_ok=True)
        (project / "raw" / name).write_text("About the data.\n")
    assert _made(project, *NAMED).dataset.labels == ("circle", "wave")


def test_names_that_tell_nothing_ask(project: Path) -> None:
    with pytest.raises(ConfigError, match="--names '{label}/{group}_{}.wav'"):
        guess_names([f"{i}.csv" for i in range(300)], labels_inside=False)
    assert from_template("a+{label}.csv") == r"a\+(?P<label>[^/]+?)\.csv"


def test_a_folder_that_a_path_only_passes_through_is_not_made(tmp_path: Path) -> None:
    made = make_project(tmp_path / "beside" / ".." / "mine", example="motion")
    assert made == tmp_path / "mine" and [p.name for p in tmp_path.iterdir()] == ["mine"]
