"""A recipe: everything that decides one experiment, read once from a strict TOML file."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from model.errors import ConfigError
from model.recipe_tables import (
    Count,
    MultilabelConfig,
    OscillatorConfig,
    Positive,
    RegressionConfig,
    Seed,
    Share,
    TonesConfig,
    VibrationConfig,
    check_tables,
)
from model.toml_reader import Bounds, build, closest, read_toml

RECIPES = Path(__file__).parent / "recipes"
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")  # of a folder in build/
NotNegative = Annotated[float, Bounds(0.0, 1e12)]
Rate = Annotated[float, Bounds(1e-9, 10.0)]  # of learning
Samples = Annotated[int, Bounds(1, 1 << 20)]
Rows = Annotated[int, Bounds(1, 1024)]


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvFolderConfig:
    """A folder of CSV files; see model.datasets.csv_folder."""

    folder: str  # from the project's folder, or $VARIABLE/below
    # of the path in the folder, with (?P<group>...), and (?P<label>...) or label_column
    pattern: str
    label_column: str  # '': the pattern has the label
    labels: tuple[str, ...]  # the classes, in the order of the network's outputs
    channels: tuple[str, ...]  # columns
    time_column: str
    time_unit_s: Positive  # one unit of the time column in seconds
    sample_rate_hz: Positive


@dataclass(frozen=True, slots=True, kw_only=True)
class WavFolderConfig:
    """A folder of 16-bit mono WAV files; see model.datasets.wav_folder."""

    folder: str  # from the project's folder, or $VARIABLE/below
    pattern: str  # of the path in the folder, with (?P<label>...) and (?P<group>...)
    labels: tuple[str, ...]  # the classes, in the order of the network's outputs
    sample_rate_hz: Positive
    # cut or padded with silence to so long, same at both ends; 0: as they are
    clip_seconds: Annotated[float, Bounds(0.0, 3600.0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeImpulseConfig:
    """A folder of Edge Impulse's JSON and CBOR files; see model.datasets.edge_impulse."""

    folder: str  # from the project's folder, or $VARIABLE/below
    pattern: str  # of the path in the folder, with (?P<label>...); no (?P<group>...): device_name
    labels: tuple[str, ...]  # the classes, in the order of the network's outputs
    channels: tuple[str, ...]  # names of sensors
    units: tuple[str, ...]  # of the channels, as in the files
    sample_rate_hz: Positive
    hmac_key_variable: str  # environment variable with the key; '': signatures are not checked


@dataclass(frozen=True, slots=True, kw_only=True)
class NumpyFileConfig:
    """One .npz file; see model.datasets.numpy_file."""

    file: str  # from the project's folder, or $VARIABLE/below
    labels: tuple[str, ...]  # the classes, in the order of the network's outputs
    channels: tuple[str, ...]
    sample_rate_hz: Positive


@dataclass(frozen=True, slots=True, kw_only=True)
class AeonSeriesConfig:
    """A problem of the .ts files that the package aeon brings; see model.datasets.aeon_series."""

    problem: str  # BasicMotions, GunPoint, ...
    labels: tuple[str, ...]  # the classes, in the order of the network's outputs
    channels: tuple[str, ...]
    sample_rate_hz: Positive
    parts: Annotated[int, Bounds(1, 1000)]  # groups that each of the two files is dealt to


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetConfig:
    """Where the recordings come from and who is held out.

    A source that needs more has a table of its own name, [dataset.csv_folder] for one.
    """

    source: str  # a key of model.datasets.SOURCES
    sha256: str  # of the source's data file, or of all files of its folder
    val_groups: tuple[int | str, ...]  # groups (subjects) for every choice
    test_groups: tuple[int | str, ...]  # groups that nothing is chosen by
    leave_out: tuple[str, ...] = ()  # classes that the network is not to know
    csv_folder: CsvFolderConfig | None = None
    wav_folder: WavFolderConfig | None = None
    edge_impulse: EdgeImpulseConfig | None = None
    numpy_file: NumpyFileConfig | None = None
    aeon_series: AeonSeriesConfig | None = None
    vibration: VibrationConfig | None = None
    oscillator: OscillatorConfig | None = None
    tones: TonesConfig | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckConfig:
    """What the recordings must be like."""

    sample_rate_hz: Positive
    channels: tuple[str, ...]
    units: tuple[str, ...]
    minimum: tuple[float, ...]  # per channel, in its unit
    maximum: tuple[float, ...]
    max_step: tuple[NotNegative, ...]  # largest jump between two samples
    max_frozen_samples: Annotated[int, Bounds(0, 1 << 30)]  # longest run of one and the same sample
    min_seconds: NotNegative  # shortest recording
    # windows of the largest class over those of the smallest
    max_class_ratio: Annotated[float, Bounds(1.0, 1e12)]
    max_rate_error: Share = 0.02  # of a recording's mean rate by its time stamps
    max_jitter: NotNegative = 0.25  # standard deviation of the time between samples, in periods
    max_stuck_share: Share = 0.2  # of a recording in which one channel rests and others move
    max_clipped_share: Share = 0.005  # of a recording's samples in flat tops
    near_duplicate: NotNegative = 0.98  # correlation: windows of two splits are almost equal
    max_label_doubt: Share = 0.7  # mean probability of another class minus that of the label


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectralConfig:
    """Statistics and band energies of each channel; see firmware/features/fe_push_spectral.c."""

    points: int  # of the FFT; segments of so many samples overlap by half
    remove_mean: bool  # of each channel, before all but the column `mean`
    band_edges_hz: tuple[float, ...]  # a band between each two


@dataclass(frozen=True, slots=True, kw_only=True)
class LogmelConfig:
    """Mel energies of frames of one channel; see firmware/features/fe_push_logmel.c."""

    frame_ms: Positive
    hop_ms: Positive  # from one frame to the next
    points: int  # of the FFT
    low_hz: float
    high_hz: float
    mels: int
    floor: float  # log2 of a power in the channel's unit squared: what is below counts as this
    range: float = 0.0  # log2: columns count from the input's largest, at most so far below it


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureConfig:
    """How recordings become network inputs; a kind but 'raw' has a table of its own name."""

    kind: str  # 'raw': windows of samples, each channel scaled; 'spectral'; 'logmel'
    window: Samples  # samples
    hop: Samples  # samples
    lsb: tuple[Positive, ...]  # per channel: its unit for each step of the sensor's int16
    offset: tuple[float, ...]  # per column, or one for all: input = (value - offset) / scale
    scale: tuple[Positive, ...]
    spectral: SpectralConfig | None = None
    logmel: LogmelConfig | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """The network's architecture; one entry of the lists for each convolution.

    An 'autoencoder' is fully connected: `filters` are the units of the layers up to the narrowest,
    mirrored behind it; kernels and strides are empty, input_pool and segments are 1.
    """

    kind: str  # a key of model.networks.NETWORKS
    input_pool: Rows  # samples averaged into one before the first convolution
    filters: tuple[Rows, ...]
    kernels: tuple[Annotated[int, Bounds(1, 128)], ...]  # samples
    strides: tuple[Rows, ...]
    segments: Rows  # parts of the window that the last pooling keeps apart
    dropout: Annotated[float, Bounds(0.0, 0.99)]
    max_weight_bytes: Annotated[int, Bounds(1, 1 << 23)]  # of the int8 model


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentConfig:
    """How training windows are varied; see model.augment."""

    kind: str  # 'inertial': accelerometer and gyroscope; 'signal': any channels
    speed: Annotated[float, Bounds(1.0, 16.0)]  # windows are played 1/speed to speed times as fast
    mirror: bool  # exchange left and right wrists at random
    # standard deviation of a rotation about a random axis
    rotation_degrees: Annotated[float, Bounds(0.0, 360.0)]
    gain: Annotated[float, Bounds(0.0, 4.0)]  # standard deviation of the log of the amplitude
    # per channel, in its unit: largest standard deviation of added noise
    noise: tuple[NotNegative, ...]
    # x[t] + a x[t-1] with |a| up to this, as of another microphone
    tilt: Annotated[float, Bounds(0.0, 0.999)] = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """How the float network is trained."""

    seed: Seed
    steps: Count
    batch_size: Annotated[int, Bounds(1, 1 << 16)]
    learning_rate: Rate
    weight_decay: Annotated[float, Bounds(0.0, 10.0)]
    label_smoothing: Annotated[float, Bounds(0.0, 0.9)]
    min_balanced_accuracy: Share | None = None  # of a classifier on the validation groups


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressionConfig:
    """Pruning, then clustering, of the trained weights; see quantize.compress."""

    # share of each kernel's weights that become zero; 0 = no pruning
    sparsity: Annotated[float, Bounds(0.0, 0.99)]
    # different values that a kernel may have; 0 = no clustering
    clusters: Annotated[int, Bounds(0, 128)]
    steps: Count  # of fine-tuning, for each of the two
    learning_rate: Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantConfig:
    """How the network becomes int8."""

    calibration_windows: Count
    qat_steps: Annotated[int, Bounds(0, 1_000_000)]  # 0: post-training quantisation only
    qat_learning_rate: Rate
    # of balanced accuracy (anomaly: AUC; regression: R2; multilabel: macro F1) against float
    max_drop: Share
    min_equal_outputs: Share  # share of the QAT export's outputs equal to the trained graph's
    # largest difference of an output to the trained graph's
    max_lsb: Annotated[int, Bounds(0, 255)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassicalConfig:
    """The classical models that a network has to beat on the same board; see model.classical."""

    features: str = "statistics"  # of each channel; 'input': the network's int8 inputs themselves
    trees: Annotated[int, Bounds(1, 1000)] = 20
    max_depth: Annotated[int, Bounds(1, 40)] = 40  # the C of a tree is nested as deep
    regularisation: Positive = 1.0  # scikit-learn's C of the linear models: larger fits closer


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyConfig:
    """For the task 'anomaly': what is normal, when there is an alarm; see model.tasks."""

    normal: str  # the one label that the network is trained on
    # share of normal validation windows that gives no alarm
    quantile: Annotated[float, Bounds(0.5, 0.9999)]
    # int8 ranges cover so many times what normal windows have; 1: no more
    headroom: Annotated[float, Bounds(1.0, 64.0)]
    min_auc: Share  # on the validation groups; less stops the run


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityConfig:
    """How far a board's outputs may be from the float network's; DESIGN.md has the reasons."""

    min_equal_decisions: Share = 0.95  # share of windows with the float network's decision
    # mean difference of an output, as a share of the range of the float network's values
    max_mean_difference: Share = 0.03
    # ratio of signal to quantisation noise of an output
    min_sqnr_db: Annotated[float, Bounds(-100.0, 200.0)] = 15.0


TASKS = ("classification", "anomaly", "regression", "multilabel")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One task file."""

    name: str
    title: str
    task: str = "classification"  # a key of TASKS
    dataset: DatasetConfig
    checks: CheckConfig
    features: FeatureConfig
    network: NetworkConfig
    augment: AugmentConfig
    train: TrainConfig
    quantisation: QuantConfig
    classical: ClassicalConfig | None = None
    compression: CompressionConfig | None = None
    anomaly: AnomalyConfig | None = None  # each of the task of its name, which needs it
    regression: RegressionConfig | None = None
    multilabel: MultilabelConfig | None = None
    parity: ParityConfig | None = None  # None: as ParityConfig has it

    def as_dict(self) -> dict[str, Any]:
        """All settings, for records, without the tables that a recipe leaves out."""
        return {key: v for key, v in dataclasses.asdict(self).items() if v is not None}


def recipe_names(folder: Path = RECIPES) -> list[str]:
    """The recipes of a folder, or those that come with the project: files with a [dataset]."""
    return sorted(path.stem for path in folder.glob("*.toml") if _is_recipe(path))


def _is_recipe(path: Path) -> bool:
    try:
        return "dataset" in read_toml(path)
    except (ConfigError, FileNotFoundError):
        return False


def find_recipe(name: str) -> Path:
    """The file of the recipe `name`: a path that ends in .toml, the project's own, an example.

    The project is the current folder. Raises ConfigError with the closest name.
    """
    places = [Path(name)] if name.endswith(".toml") else [Path(f"{name}.toml"), *_example(name)]
    for path in places:
        if path.exists():
            return path
    known = sorted({*recipe_names(Path()), *recipe_names()})
    raise ConfigError(
        f"recipe {name!r}: no such recipe{closest(name, known)}; the recipes are: "
        f"{', '.join(known)}; or give the path of a .toml file"
    )


def _example(name: str) -> list[Path]:
    return [RECIPES / f"{name}.toml"] if NAME.fullmatch(name) else []


def load_recipe(name: str) -> Recipe:
    """The recipe `name`, as find_recipe finds its file.

    Raises ConfigError for a recipe that does not exist, is not TOML, or has an unknown key, a
    missing key, a value of the wrong type or out of its bounds, or values that do not fit together.
    """
    path = find_recipe(name)
    recipe = build(Recipe, {"name": path.stem, **read_toml(path)}, path.name)
    _check(recipe, path.name)
    return recipe


def recipe_of(settings: Mapping[str, Any], where: str) -> Recipe:
    """The recipe whose as_dict() is in a record; ConfigError, naming `where`, for anything else."""
    recipe = build(Recipe, _given(settings), where)
    _check(recipe, where)
    return recipe


def _given(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Without the tables and keys that a recipe leaves out."""
    given = {key: value for key, value in settings.items() if value is not None}
    return {k: _given(v) if isinstance(v, Mapping) else v for k, v in given.items()}


def _check(recipe: Recipe, where: str) -> None:
    if not NAME.fullmatch(recipe.name):
        raise ConfigError(
            f"{where}: name: expected up to 64 letters, digits, '_', '.' and '-', because results "
            f"go to build/recipes/<name>; got {recipe.name[:80]!r}; name the file so"
        )
    checks = recipe.checks
    if not checks.channels or len(set(checks.channels)) < len(checks.channels):
        raise ConfigError(
            f"{where}: checks.channels: expected names, each once, got {list(checks.channels)}"
        )
    for section, field in (
        ("checks", "units"),
        ("checks", "minimum"),
        ("checks", "maximum"),
        ("checks", "max_step"),
        ("features", "lsb"),
        ("augment", "noise"),
    ):
        got, channels = len(getattr(getattr(recipe, section), field)), len(checks.channels)
        if got != channels:
            raise ConfigError(
                f"{where}: {section}.{field}: expected {channels} values, one for each of "
                f"checks.channels; got {got}"
            )
    for channel, low, high in zip(checks.channels, checks.minimum, checks.maximum, strict=True):
        if low >= high:
            raise ConfigError(
                f"{where}: checks: channel {channel!r}: expected a minimum below the maximum, got "
                f"{low:g} and {high:g}"
            )
    if recipe.features.hop > recipe.features.window:
        raise ConfigError(
            f"{where}: features.hop: expected at most the window, {recipe.features.window}, got "
            f"{recipe.features.hop}"
        )
    _check_task(recipe, where)
    _check_source(recipe.dataset, recipe.task, where)
    _check_augment(recipe.augment, len(checks.channels), where)
    _check_groups(recipe.dataset, where)
    if recipe.compression is not None and recipe.compression.clusters == 1:
        raise ConfigError(f"{where}: compression.clusters: expected 0 or 2 to 128, got 1")
    if recipe.classical is not None and recipe.classical.features not in ("statistics", "input"):
        raise ConfigError(
            f"{where}: classical.features: unknown kind {recipe.classical.features!r}; known: "
            "statistics, input"
        )


def _check_groups(dataset: DatasetConfig, where: str) -> None:
    """Both splits have groups, and none has another's."""
    for key in ("val_groups", "test_groups"):
        if not getattr(dataset, key):
            raise ConfigError(f"{where}: dataset.{key}: expected at least one group, got none")
    if both := set(dataset.val_groups) & set(dataset.test_groups):
        raise ConfigError(
            f"{where}: dataset: groups {sorted(both, key=str)} are in val_groups and in "
            "test_groups; a group belongs to one split"
        )


def _check_task(recipe: Recipe, where: str) -> None:
    """Each task has its own network and its own floor, and no other task's."""
    task = recipe.task
    if task not in TASKS:
        raise ConfigError(f"{where}: task: unknown task {task!r}; known: {', '.join(TASKS)}")
    floor = recipe.train.min_balanced_accuracy
    for wrong, expected in (
        ((task == "anomaly") != (recipe.network.kind == "autoencoder"), "network.kind "
         "'autoencoder' and task 'anomaly' belong together"),
        *(((task == name) != (getattr(recipe, name) is not None),
           f"a table [{name}] for the task {name!r} only") for name in TASKS[1:]),
        ((task == "classification") != (floor is not None), "train.min_balanced_accuracy for the "
         "task 'classification' only; others: anomaly.min_auc, multilabel.min_macro_f1"),
        (task in ("anomaly", "regression") and recipe.train.label_smoothing,
         "train.label_smoothing = 0.0: the network answers with numbers, not with labels"),
        (task in ("regression", "multilabel") and recipe.dataset.leave_out,
         "dataset.leave_out for classes only"),
    ):  # fmt: skip
        if wrong:
            raise ConfigError(f"{where}: task {task!r}: expected {expected}")
    check_tables(recipe.regression, recipe.multilabel, where)


def _check_augment(augment: AugmentConfig, channels: int, where: str) -> None:
    """What does not fit the channels is refused, not ignored."""
    if augment.kind not in ("inertial", "signal"):
        raise ConfigError(
            f"{where}: augment.kind: unknown kind {augment.kind!r}; known: inertial, signal"
        )
    if augment.kind == "inertial" and channels != 6:
        raise ConfigError(
            f"{where}: augment.kind: 'inertial' needs 6 channels, accelerometer x, y, z and "
            f"gyroscope x, y, z; got {channels}; use 'signal'"
        )
    if augment.kind == "signal" and (augment.mirror or augment.rotation_degrees):
        raise ConfigError(
            f"{where}: augment: mirror and rotation_degrees are for the kind 'inertial'; set "
            "mirror = false and rotation_degrees = 0.0"
        )
    if augment.kind == "inertial" and augment.tilt:
        raise ConfigError(
            f"{where}: augment.tilt: expected 0 for the kind 'inertial', got {augment.tilt:g}; "
            "use 'signal'"
        )


def _check_source(dataset: DatasetConfig, task: str, where: str) -> None:
    """The table of the source, where it needs one, and no other source's."""
    own = {f.name for f in dataclasses.fields(dataset) if f.default is None}
    for name in sorted(own):
        table = getattr(dataset, name)
        if table is None and name == dataset.source:
            raise ConfigError(f"{where}: dataset: missing table [dataset.{name}] of the source")
        if table is not None and name != dataset.source:
            raise ConfigError(
                f"{where}: [dataset.{name}] belongs to the source {name!r}, dataset.source is "
                f"{dataset.source!r}; remove the table or change the source"
            )
        if table is None or not hasattr(table, "labels"):  # what is generated has its own
            continue
        if task == "regression":
            if table.labels:
                raise ConfigError(
                    f"{where}: dataset.{name}.labels: expected [] for the task 'regression', whose "
                    f"numbers are regression.targets; got {list(table.labels)}"
                )
        elif len(table.labels) < 2 or len(set(table.labels)) < len(table.labels):
            raise ConfigError(
                f"{where}: dataset.{name}.labels: expected at least two different labels, got "
                f"{list(table.labels)}"
            )
