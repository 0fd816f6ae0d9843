"""A recipe: everything that decides one experiment, read once from a strict TOML file."""

from __future__ import annotations

import dataclasses
import difflib
import math
import sys
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from model.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RECIPES = Path(__file__).parent / "recipes"
MAX_DEPTH = 40  # of a tree: its C is nested as deep
MAX_TREES = 1000
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvFolderConfig:
    """A folder of CSV files; see model.datasets.csv_folder."""

    folder: str  # from the project's folder, or $VARIABLE/below
    pattern: (
        str  # of the path in the folder, with (?P<group>...), and (?P<label>...) or label_column
    )
    label_column: str  # '': the pattern has the label
    labels: tuple[str, ...]  # the classes, in the order of the network's outputs
    channels: tuple[str, ...]  # columns
    time_column: str
    time_unit_s: float  # one unit of the time column in seconds
    sample_rate_hz: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WavFolderConfig:
    """A folder of 16-bit mono WAV files; see model.datasets.wav_folder."""

    folder: str  # from the project's folder, or $VARIABLE/below
    pattern: str  # of the path in the folder, with (?P<label>...) and (?P<group>...)
    labels: tuple[str, ...]  # the classes, in the order of the network's outputs
    sample_rate_hz: float
    clip_seconds: float  # cut or padded with silence to so long, same at both ends; 0: as they are


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeImpulseConfig:
    """A folder of Edge Impulse's JSON and CBOR files; see model.datasets.edge_impulse."""

    folder: str  # from the project's folder, or $VARIABLE/below
    pattern: str  # of the path in the folder, with (?P<label>...); no (?P<group>...): device_name
    labels: tuple[str, ...]  # the classes, in the order of the network's outputs
    channels: tuple[str, ...]  # names of sensors
    units: tuple[str, ...]  # of the channels, as in the files
    sample_rate_hz: float
    hmac_key_variable: str  # environment variable with the key; '': signatures are not checked


@dataclass(frozen=True, slots=True, kw_only=True)
class NumpyFileConfig:
    """One .npz file; see model.datasets.numpy_file."""

    file: str  # from the project's folder, or $VARIABLE/below
    labels: tuple[str, ...]  # the classes, in the order of the network's outputs
    channels: tuple[str, ...]
    sample_rate_hz: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AeonSeriesConfig:
    """A problem of the .ts files that the package aeon brings; see model.datasets.aeon_series."""

    problem: str  # BasicMotions, GunPoint, ...
    labels: tuple[str, ...]  # the classes, in the order of the network's outputs
    channels: tuple[str, ...]
    sample_rate_hz: float
    parts: int  # groups that each of the two files is dealt to


@dataclass(frozen=True, slots=True, kw_only=True)
class VibrationConfig:
    """Generated machines; see model.datasets.vibration."""

    seed: int
    machines: int
    seconds: float  # of a recording
    normal_recordings: int  # of each machine; every fault and severity has one
    severities: tuple[float, ...]  # above 0, up to 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetConfig:
    """Where the recordings come from and who is held out.

    A source that needs more has a table of its own name, [dataset.csv_folder] for one.
    """

    source: str  # a key of model.datasets.SOURCES
    sha256: str  # of the source's data file, or of all files of its folder
    val_groups: tuple[int | str, ...]  # groups (subjects) for every choice
    test_groups: tuple[int | str, ...]  # groups that nothing is chosen by
    csv_folder: CsvFolderConfig | None = None
    wav_folder: WavFolderConfig | None = None
    edge_impulse: EdgeImpulseConfig | None = None
    numpy_file: NumpyFileConfig | None = None
    aeon_series: AeonSeriesConfig | None = None
    vibration: VibrationConfig | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckConfig:
    """What the recordings must be like."""

    sample_rate_hz: float
    channels: tuple[str, ...]
    units: tuple[str, ...]
    minimum: tuple[float, ...]  # per channel, in its unit
    maximum: tuple[float, ...]
    max_step: tuple[float, ...]  # largest jump between two samples
    max_frozen_samples: int  # longest run of one and the same sample
    min_seconds: float  # shortest recording
    max_class_ratio: float  # windows of the largest class over those of the smallest
    max_rate_error: float = 0.02  # of a recording's mean rate by its time stamps
    max_jitter: float = 0.25  # standard deviation of the time between samples, in periods
    max_stuck_share: float = 0.2  # of a recording in which one channel rests and others move
    max_clipped_share: float = 0.005  # of a recording's samples in flat tops
    near_duplicate: float = 0.98  # correlation from which windows of two splits are almost equal
    max_label_doubt: float = 0.7  # mean probability of another class minus that of the label


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectralConfig:
    """Statistics and band energies of each channel; see firmware/features/fe_push_spectral.c."""

    points: int  # of the FFT; segments of so many samples overlap by half
    remove_mean: bool  # of each channel, before all but the column `mean`
    band_edges_hz: tuple[float, ...]  # a band between each two


@dataclass(frozen=True, slots=True, kw_only=True)
class LogmelConfig:
    """Mel energies of frames of one channel; see firmware/features/fe_push_logmel.c."""

    frame_ms: float
    hop_ms: float  # from one frame to the next
    points: int  # of the FFT
    low_hz: float
    high_hz: float
    mels: int
    floor: float  # log2 of a power in the channel's unit squared: what is below counts as this


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureConfig:
    """How recordings become network inputs; a kind but 'raw' has a table of its own name."""

    kind: str  # 'raw': windows of samples, each channel scaled; 'spectral'; 'logmel'
    window: int  # samples
    hop: int  # samples
    lsb: tuple[float, ...]  # per channel: its unit for each step of the sensor's int16
    offset: tuple[float, ...]  # per column, or one for all: input = (value - offset) / scale
    scale: tuple[float, ...]
    spectral: SpectralConfig | None = None
    logmel: LogmelConfig | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """The network's architecture; one entry of the lists for each convolution.

    An 'autoencoder' is fully connected: `filters` are the units of the layers up to the narrowest,
    mirrored behind it; kernels and strides are empty, input_pool and segments are 1.
    """

    kind: str  # a key of model.networks.NETWORKS
    input_pool: int  # samples averaged into one before the first convolution
    filters: tuple[int, ...]
    kernels: tuple[int, ...]  # samples
    strides: tuple[int, ...]
    segments: int  # parts of the window that the last pooling keeps apart
    dropout: float
    max_weight_bytes: int  # of the int8 model


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentConfig:
    """How training windows are varied; see model.augment."""

    kind: str  # 'inertial': accelerometer and gyroscope; 'signal': any channels
    speed: float  # windows are played 1/speed to speed times as fast
    mirror: bool  # exchange left and right wrists at random
    rotation_degrees: float  # standard deviation of a rotation about a random axis
    gain: float  # standard deviation of the log of the amplitude
    noise: tuple[float, ...]  # per channel, in its unit: largest standard deviation of added noise


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """How the float network is trained."""

    seed: int
    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    label_smoothing: float
    min_balanced_accuracy: float | None = None  # of a classifier on the validation groups


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressionConfig:
    """Pruning, then clustering, of the trained weights; see quantize.compress."""

    sparsity: float  # share of each kernel's weights that become zero; 0 = no pruning
    clusters: int  # different values that a kernel may have; 0 = no clustering
    steps: int  # of fine-tuning, for each of the two
    learning_rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantConfig:
    """How the network becomes int8."""

    calibration_windows: int
    qat_steps: int  # 0: post-training quantisation only
    qat_learning_rate: float
    max_drop: float  # of balanced accuracy (anomaly: of AUC) against float
    min_equal_outputs: float  # share of the QAT export's outputs equal to the trained graph's
    max_lsb: int  # largest difference of an output to the trained graph's


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassicalConfig:
    """The classical models that a network has to beat on the same board; see model.classical."""

    features: str = "statistics"  # of each channel; 'input': the network's int8 inputs themselves
    trees: int = 20
    max_depth: int = MAX_DEPTH
    regularisation: float = 1.0  # scikit-learn's C of the linear models: larger fits closer


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyConfig:
    """For the task 'anomaly': what is normal, when there is an alarm; see model.tasks."""

    normal: str  # the one label that the network is trained on
    quantile: float  # share of normal validation windows that gives no alarm
    headroom: float  # int8 ranges cover so many times what normal windows have; 1: no more
    min_auc: float  # on the validation groups; less stops the run


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One task file."""

    name: str
    title: str
    task: str = "classification"  # or 'anomaly'
    dataset: DatasetConfig
    checks: CheckConfig
    features: FeatureConfig
    network: NetworkConfig
    augment: AugmentConfig
    train: TrainConfig
    quantisation: QuantConfig
    classical: ClassicalConfig | None = None
    compression: CompressionConfig | None = None
    anomaly: AnomalyConfig | None = None  # of the task 'anomaly', which needs it

    def as_dict(self) -> dict[str, Any]:
        """All settings, for records, without the tables that a recipe leaves out."""
        return {key: v for key, v in dataclasses.asdict(self).items() if v is not None}


def recipe_names() -> list[str]:
    """The recipes that come with the project."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def load_recipe(name: str) -> Recipe:
    """The recipe `name`, or the file that `name` is the path of.

    Raises ConfigError for a recipe that does not exist, is not TOML, or has an unknown key, a
    missing key or a value of the wrong type.
    """
    path = Path(name) if name.endswith(".toml") else RECIPES / f"{name}.toml"
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"recipe {name!r}: no such recipe{_closest(name, recipe_names())}; "
            f"the recipes are: {', '.join(recipe_names())}"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    recipe = _build(Recipe, {"name": path.stem, **values}, path.name)
    _check(recipe, path.name)
    return recipe


def _check(recipe: Recipe, where: str) -> None:
    channels = len(recipe.checks.channels)
    for section, field in (
        ("checks", "units"),
        ("checks", "minimum"),
        ("checks", "maximum"),
        ("checks", "max_step"),
        ("features", "lsb"),
        ("augment", "noise"),
    ):
        got = len(getattr(getattr(recipe, section), field))
        if got != channels:
            raise ConfigError(
                f"{where}: {section}.{field}: expected {channels} values, one for each of "
                f"checks.channels; got {got}"
            )
    if recipe.features.window < 1 or not 1 <= recipe.features.hop <= recipe.features.window:
        raise ConfigError(f"{where}: features: expected 1 <= hop <= window")
    for key in ("lsb", "scale"):
        if not all(0 < s < math.inf for s in getattr(recipe.features, key)):
            raise ConfigError(f"{where}: features.{key}: every value must be above 0")
    if not all(map(math.isfinite, recipe.features.offset)):
        raise ConfigError(f"{where}: features.offset: every value must be finite")
    _check_task(recipe, where)
    _check_source(recipe.dataset, where)
    if recipe.compression is not None:
        _check_compression(recipe.compression, where)
    _check_augment(recipe.augment, channels, where)
    _check_classical(recipe.classical or ClassicalConfig(), where)
    both = set(recipe.dataset.val_groups) & set(recipe.dataset.test_groups)
    if both:
        raise ConfigError(
            f"{where}: dataset: groups {sorted(both, key=str)} are in val_groups and in "
            "test_groups; a group belongs to one split"
        )


def _check_task(recipe: Recipe, where: str) -> None:
    """Each task has its own network and its own floor, and no other task's."""
    if recipe.task not in ("classification", "anomaly"):
        raise ConfigError(
            f"{where}: task: unknown task {recipe.task!r}; known: classification, anomaly"
        )
    anomaly, floor = recipe.task == "anomaly", recipe.train.min_balanced_accuracy
    for wrong, expected in (
        (anomaly != (recipe.network.kind == "autoencoder"), "network.kind 'autoencoder' and task "
         "'anomaly' belong together"),
        (anomaly != (recipe.anomaly is not None), "a table [anomaly] for the task 'anomaly' only"),
        (anomaly == (floor is not None), "train.min_balanced_accuracy for the task "
         "'classification' only; the floor of 'anomaly' is anomaly.min_auc"),
        (anomaly and recipe.train.label_smoothing, "train.label_smoothing = 0.0: a reconstruction "
         "has no labels"),
    ):  # fmt: skip
        if wrong:
            raise ConfigError(f"{where}: task {recipe.task!r}: expected {expected}")
    if (own := recipe.anomaly) and not (0.5 <= own.quantile < 1 <= own.headroom <= 64):
        raise ConfigError(
            f"{where}: anomaly: expected a quantile of 0.5 to below 1 and headroom of 1 to 64, got "
            f"{own.quantile:g} and {own.headroom:g}"
        )


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
    if augment.speed < 1:
        raise ConfigError(f"{where}: augment.speed: expected at least 1, got {augment.speed:g}")


def _check_classical(classical: ClassicalConfig, where: str) -> None:
    if classical.features not in ("statistics", "input"):
        raise ConfigError(
            f"{where}: classical.features: unknown kind {classical.features!r}; known: "
            "statistics, input"
        )
    for key, most in (("trees", MAX_TREES), ("max_depth", MAX_DEPTH)):
        got = getattr(classical, key)
        if not 1 <= got <= most:
            raise ConfigError(f"{where}: classical.{key}: expected 1 to {most}, got {got}")
    if not 0 < classical.regularisation < math.inf:
        raise ConfigError(
            f"{where}: classical.regularisation: expected a number above 0, got "
            f"{classical.regularisation:g}"
        )


def _check_compression(compression: CompressionConfig, where: str) -> None:
    if not 0 <= compression.sparsity < 1:
        raise ConfigError(
            f"{where}: compression.sparsity: expected 0 up to below 1, got {compression.sparsity:g}"
        )
    if compression.clusters and not 2 <= compression.clusters <= 128:
        raise ConfigError(
            f"{where}: compression.clusters: expected 0 or 2 to 128, got {compression.clusters}"
        )
    if compression.steps < 1 or compression.learning_rate <= 0:
        raise ConfigError(f"{where}: compression: expected steps >= 1 and learning_rate > 0")


def _check_source(dataset: DatasetConfig, where: str) -> None:
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
        if table is None or name == "vibration":  # checks its own numbers
            continue
        if len(table.labels) < 2 or len(set(table.labels)) < len(table.labels):
            raise ConfigError(
                f"{where}: dataset.{name}.labels: expected at least two different labels, got "
                f"{list(table.labels)}"
            )
        if name == "wav_folder" and not 0 <= table.clip_seconds < math.inf:
            raise ConfigError(
                f"{where}: dataset.wav_folder.clip_seconds: expected 0 or a length, got "
                f"{table.clip_seconds:g}"
            )
        if not 0 < table.sample_rate_hz < math.inf:
            raise ConfigError(
                f"{where}: dataset.{name}.sample_rate_hz: expected a rate above 0, got "
                f"{table.sample_rate_hz:g}"
            )


def _build(kind: type[T], values: dict[str, Any], where: str) -> T:
    """An instance of a frozen dataclass from a TOML table; every key must fit."""
    hints = typing.get_type_hints(kind)
    for key in values:
        if key not in hints:
            raise ConfigError(
                f"{where}: unknown key {key!r}{_closest(key, list(hints))}; "
                f"known keys: {', '.join(hints)}"
            )
    optional = {
        f.name
        for f in dataclasses.fields(typing.cast(Any, kind))
        if f.default is not dataclasses.MISSING
    }
    missing = [key for key in hints if key not in values and key not in optional]
    if missing:
        raise ConfigError(f"{where}: missing key {missing[0]!r}")
    return kind(**{k: _convert(hints[k], v, f"{where}: {k}") for k, v in values.items()})


def _convert(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise ConfigError(f"{where}: expected a table, got {value!r}")
        return _build(typing.cast(type, hint), value, where)
    if isinstance(hint, types.GenericAlias):
        if not isinstance(value, list):
            raise ConfigError(f"{where}: expected a list, got {value!r}")
        return tuple(_convert(hint.__args__[0], v, where) for v in value)
    if isinstance(hint, types.UnionType):
        choices = [kind for kind in hint.__args__ if kind is not types.NoneType]
        if len(choices) > 1 and type(value) not in choices:
            names = " or ".join(kind.__name__ for kind in choices)
            raise ConfigError(f"{where}: expected {names}, got {value!r}")
        return value if len(choices) > 1 else _convert(choices[0], value, where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        raise ConfigError(f"{where}: expected {hint.__name__}, got {value!r}")
    return value


def _closest(word: str, known: list[str]) -> str:
    match = difflib.get_close_matches(word, known, 1)
    return f" (did you mean {match[0]!r}?)" if match else ""
