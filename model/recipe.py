"""A recipe: everything that decides one experiment.

These types are the reference of all keys: docs/RECIPE.md is made from them, their comments and the
rules of model/complete.py, which give the keys without a default that a recipe leaves out.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any

from model.network_config import NetworkConfig
from model.recipe_tables import (
    Count,
    DecideConfig,
    MultilabelConfig,
    OscillatorConfig,
    Positive,
    RegressionConfig,
    SearchConfig,
    Seed,
    Share,
    SpeechConfig,
    TonesConfig,
    VibrationConfig,
)
from model.toml_reader import Bounds

NotNegative = Annotated[float, Bounds(0.0, 1e12)]
HeldOut = Annotated[float, Bounds(0.0, 0.5)]
Rate = Annotated[float, Bounds(1e-9, 10.0)]  # of learning
Samples = Annotated[int, Bounds(1, 1 << 20)]


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvFolderConfig:
    """A folder of CSV files; see model.datasets.csv_folder."""

    folder: str  # from the project's folder, or $VARIABLE/below
    # regular expression of the path in the folder: (?P<label>...) unless there is a label_column,
    # and (?P<group>...); without the latter each recording is a group of its own, and with a
    # label_column each file, where there are three or more
    pattern: str
    label_column: str  # a column whose changes begin another recording; '': the pattern has it
    time_column: str  # '': there is none, rows are 1 / sample_rate_hz apart
    time_unit: str  # of the time column: 's', 'ms', 'us', 'ns' or 'iso8601'


@dataclass(frozen=True, slots=True, kw_only=True)
class WavFolderConfig:
    """A folder of mono WAV files of 16 or 24 bits; see model.datasets.wav_folder."""

    folder: str  # from the project's folder, or $VARIABLE/below
    pattern: str  # of the path in the folder, with (?P<label>...) and (?P<group>...)
    # cut or padded with silence to so long, same at both ends; 0: as they are
    clip_seconds: Annotated[float, Bounds(0.0, 3600.0)] = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeImpulseConfig:
    """A folder of Edge Impulse's JSON and CBOR files; see model.datasets.edge_impulse."""

    folder: str  # from the project's folder, or $VARIABLE/below
    pattern: str  # of the path in the folder, with (?P<label>...); no (?P<group>...): device_name
    hmac_key_variable: str = ""  # environment variable with the key; '': signatures are not checked


@dataclass(frozen=True, slots=True, kw_only=True)
class NumpyFileConfig:
    """One .npz file; see model.datasets.numpy_file."""

    file: str  # from the project's folder, or $VARIABLE/below


@dataclass(frozen=True, slots=True, kw_only=True)
class AeonSeriesConfig:
    """A problem of the .ts files that the package aeon brings; see model.datasets.aeon_series."""

    problem: str  # BasicMotions, GunPoint, ...
    parts: Annotated[int, Bounds(1, 1000)]  # groups that each of the two files is dealt to


@dataclass(frozen=True, slots=True, kw_only=True)
class ResampleConfig:
    """Bring samples to the rate of the data set; without it another rate and gaps are errors."""

    # of irregular times: 'linear', 'nearest' or 'previous'; regular ones go through a filter
    method: str = "linear"
    max_gap_s: Positive  # longest time between two samples that is filled; more ends a recording


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetConfig:
    """Where the recordings come from and who is held out.

    A source that needs more has a table of its own name, [dataset.csv_folder] for one.
    """

    source: str  # where the recordings come from
    # of the data; recorded at the first check in the lock file beside the recipe, so leave it out
    sha256: str
    sample_rate_hz: Positive  # samples a second of every channel
    channels: tuple[str, ...]  # their names, in the order of the samples; of files: which are read
    units: tuple[str, ...]  # one a channel
    labels: tuple[str, ...]  # the classes, in the order of the network's outputs
    # validation set: groups (subjects) on which every choice is made
    val_groups: tuple[int | str, ...] = ()
    test_groups: tuple[int | str, ...] = ()  # test set: groups that only the last score is of
    # validation set by a file instead: on each line the path of a recording, from the data's
    # folder on; a group's recordings have to be in one set
    val_list: str = ""
    test_list: str = ""  # the test set, in the same way
    # validation set as a share of the groups instead, drawn by a hash of their names: a new group
    # moves no other
    val_share: HeldOut = 0.0
    test_share: HeldOut = 0.0  # the test set, in the same way
    leave_out: tuple[str, ...] = ()  # classes that the network is not to know
    # label in the files -> class, or '' to leave its recordings out; '*' is every other label;
    # and "*" as its class keeps each of them; in a recipe: labels = {yes = "yes", "*" = "other"}
    merge: dict[str, str] | None = None
    resample: ResampleConfig | None = None
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

    minimum: tuple[float, ...]  # per channel, in its unit: smallest value that is plausible
    maximum: tuple[float, ...]  # per channel, in its unit: largest value that is plausible
    max_step: tuple[NotNegative, ...]  # per channel, in its unit: largest jump between two samples
    max_frozen_samples: Annotated[int, Bounds(0, 1 << 30)]  # longest run of one and the same sample
    min_seconds: NotNegative = 0.0  # shortest recording
    # windows of the largest class over those of the smallest
    max_class_ratio: Annotated[float, Bounds(1.0, 1e12)] = 10.0
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
    remove_mean: bool = True  # of each channel, before all but the column `mean`
    band_edges_hz: tuple[float, ...]  # rising; a band between each two


@dataclass(frozen=True, slots=True, kw_only=True)
class LogmelConfig:
    """Mel energies of frames of one channel; see firmware/features/fe_push_logmel.c."""

    frame_ms: Positive  # length of a frame; a whole number of samples
    hop_ms: Positive  # from one frame to the next; a whole number of samples
    points: int  # of the FFT
    low_hz: float  # where the lowest mel band begins
    high_hz: float  # where the highest mel band ends
    mels: int = 32  # bands, so columns
    floor: float  # log2 of a power in the channel's unit squared: what is below counts as this
    # log2; columns count from the input's largest, at most so far below it; 0: from 1
    range: float = 14.0
    # PCAN: each band is divided by its running mean to this power; 0: it is not. 0.95 is usual
    pcan: Share = 0.0
    # share of a frame in that running mean; 0.025 is usual with 10 ms from frame to frame
    pcan_smoothing: Annotated[float, Bounds(0.005, 0.9)] = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureConfig:
    """How recordings become network inputs; a kind but 'raw' has a table of its own name."""

    kind: str  # 'raw': windows of samples, each channel scaled; 'spectral'; 'logmel'
    window: Samples  # samples that one inference sees
    hop: Samples  # samples from one window to the next
    lsb: tuple[Positive, ...]  # per channel: its unit for each step of the sensor's int16
    offset: tuple[float, ...]  # per column, or one for all: input = (value - offset) / scale
    scale: tuple[Positive, ...]  # per column, or one for all: what becomes 1 at the input
    spectral: SpectralConfig | None = None
    logmel: LogmelConfig | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentConfig:
    """How training windows are varied; see model.augment."""

    kind: str = "signal"  # 'inertial': accelerometer and gyroscope; 'signal': any channels
    # windows are played 1/speed to speed times as fast
    speed: Annotated[float, Bounds(1.0, 16.0)] = 1.1
    mirror: bool = False  # exchange left and right wrists at random
    # standard deviation of a rotation about a random axis
    rotation_degrees: Annotated[float, Bounds(0.0, 360.0)] = 0.0
    gain: Annotated[float, Bounds(0.0, 4.0)] = 0.1  # standard deviation of the log of the amplitude
    # per channel, in its unit: largest standard deviation of added noise
    noise: tuple[NotNegative, ...]
    # x[t] + a x[t-1] with |a| up to this, as of another microphone
    tilt: Annotated[float, Bounds(0.0, 0.999)] = 0.0
    # logmel: frequencies are stretched 1/vocal_tract to vocal_tract times, as of another speaker
    vocal_tract: Annotated[float, Bounds(1.0, 1.3)] = 1.0
    room: Share = 0.0  # of the windows: heard in a random room, which the sound decays in
    mask_rows: Annotated[float, Bounds(0.0, 0.9)] = 0.0  # largest share of rows that are hidden
    mask_columns: Annotated[float, Bounds(0.0, 0.9)] = 0.0  # and of columns
    # a of the distribution Beta(a, a) of one window's share in a mixture of two; 0: none are mixed
    mixup: Annotated[float, Bounds(0.0, 8.0)] = 0.0
    # a folder of recordings as the source reads them, that are mixed in; '': nothing is
    background: str = ""
    background_share: Share = 0.5  # of the windows that get a piece of it
    # lowest and highest ratio of a window's power (of each channel about its mean) to the piece's
    background_snr_db: tuple[Annotated[float, Bounds(-60.0, 120.0)], ...] = (5.0, 25.0)
    speech: SpeechConfig | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """How the float network is trained."""

    seed: Seed = 1  # of the initial weights, the order of the windows and their variation
    steps: Count = 600  # batches that the network is trained on
    batch_size: Annotated[int, Bounds(1, 1 << 16)] = 64  # windows of a step
    learning_rate: Rate = 3e-3  # the largest: it rises at first and falls to 0 as a cosine
    weight_decay: Annotated[float, Bounds(0.0, 10.0)] = 0.01  # of AdamW
    # decay of an exponential moving average of the weights, which the network ends with; 0: none
    ema_decay: Annotated[float, Bounds(0.0, 0.9999)] = 0.0
    label_smoothing: Annotated[float, Bounds(0.0, 0.9)]  # share of a label given to all classes
    # of a classifier on the validation groups; less stops the run
    min_balanced_accuracy: Share | None = None
    # networks trained first, each from its own seed, whose mean output the network learns from
    teachers: Annotated[int, Bounds(0, 16)] = 0
    # filters of a teacher for each one of the network's
    teacher_width: Annotated[float, Bounds(0.25, 8.0)] = 1.0
    distillation: Share = 0.7  # of the loss: by the teachers; the rest: by the labels


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressionConfig:
    """Pruning, then clustering, of the trained weights; see quantize.compress."""

    # share of each kernel's weights that become zero; 0 = no pruning
    sparsity: Annotated[float, Bounds(0.0, 0.99)]
    # different values that a kernel may have; 0 = no clustering
    clusters: Annotated[int, Bounds(0, 128)]
    steps: Count  # of fine-tuning, for each of the two
    learning_rate: Rate  # of the fine-tuning


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantConfig:
    """How the network becomes int8."""

    calibration_windows: Count = 200  # training windows that the ranges of activations come from
    # of quantisation-aware training; 0: post-training quantisation only
    qat_steps: Annotated[int, Bounds(0, 1_000_000)] = 100
    qat_learning_rate: Rate = 1e-4  # of quantisation-aware training
    # 'validation': the better on the validation groups; 'ptq' or 'qat': that one, chosen by folds
    # before (`tinyproof train --cv 5 --int8 --held-out`); 'int16': int16 activations with int8
    # weights, which is else tried where int8 loses more than max_drop
    choice: str = "validation"
    # of balanced accuracy (anomaly: AUC; regression: R2; multilabel: macro F1) against float
    max_drop: Share = 0.02
    # share of the QAT export's outputs equal to the trained graph's
    min_equal_outputs: Share = 0.5
    # largest difference of an output to the trained graph's
    max_lsb: Annotated[int, Bounds(0, 255)] = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassicalConfig:
    """The classical models that a network has to beat on the same board; see model.classical."""

    features: str = "statistics"  # of each channel; 'input': the network's int8 inputs themselves
    trees: Annotated[int, Bounds(1, 1000)] = 20  # of a forest
    max_depth: Annotated[int, Bounds(1, 40)] = 40  # the C of a tree is nested as deep
    regularisation: Positive = 1.0  # scikit-learn's C of the linear models: larger fits closer


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyConfig:
    """For the task 'anomaly': what is normal, when there is an alarm; see model.tasks."""

    normal: str  # the one label that the network is trained on
    # share of normal validation windows that gives no alarm
    quantile: Annotated[float, Bounds(0.5, 0.9999)] = 0.99
    # int8 ranges cover so many times what normal windows have; 1: no more
    headroom: Annotated[float, Bounds(1.0, 64.0)] = 2.0
    min_auc: Share = 0.5  # on the validation groups; less stops the run


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

    name: str  # of the file; results go to build/recipes/<name>
    title: str  # one line for reports
    task: str = "classification"  # or 'anomaly', 'regression', 'multilabel'
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
    decide: DecideConfig | None = None  # of the task 'classification'; None: all is chosen
    search: SearchConfig | None = None

    def as_dict(self) -> dict[str, Any]:
        """All settings, for records, without the tables that a recipe leaves out."""
        return {key: v for key, v in dataclasses.asdict(self).items() if v is not None}
