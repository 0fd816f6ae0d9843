"""A recipe's [network]: one table for each kind, named as the kind; without it, its defaults."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Annotated, Any

from model.toml_reader import Bounds, closest


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What a search may try of a setting, besides the recipe's own; of a list: of each entry.

    Part of a field's type behind its Bounds; a setting without Choices stays as the recipe has it.
    """

    values: tuple[float, ...]
    size: bool = False  # weights grow with it: nothing above the recipe's own is tried
    coarser: bool = False  # work falls with it
    falling: bool = False  # no entry of a list is larger than the one before
    unset: int | None = None  # an entry of a list that the recipe leaves to the kind; None: stays
    layers: tuple[int, int] | None = None  # of this list's entries at least and at most


SIZES = (2, 4, 6, 8, 12, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256)
ROW_KERNEL, SIDE_KERNEL = 5, 3  # of kinds over rows, and over rows and columns
ALIKE = ("cnn1d", "dscnn")  # have the same settings: a search tries one for the other

Pool = Annotated[int, Bounds(1, 1024), Choices(values=(1, 2, 4), coarser=True)]
Filters = Annotated[int, Bounds(1, 1024), Choices(values=SIZES, size=True, layers=(2, 3))]
Units = Annotated[int, Bounds(1, 1024), Choices(values=SIZES, size=True, layers=(1, 3))]
Narrowing = Annotated[
    int, Bounds(1, 1024), Choices(values=SIZES, size=True, layers=(1, 3), falling=True)
]
Kernel = Annotated[int, Bounds(1, 128), Choices(values=(3, 5, 7, 9), unset=ROW_KERNEL)]
SideKernel = Annotated[int, Bounds(1, 128), Choices(values=(1, 3, 5), unset=SIDE_KERNEL)]
Stride = Annotated[int, Bounds(1, 1024), Choices(values=(1, 2))]
Segments = Annotated[int, Bounds(0, 1024), Choices(values=(1, 2, 4))]
SideSegments = Annotated[int, Bounds(0, 1024), Choices(values=(0, 1))]
Width = Annotated[
    float,
    Bounds(0.05, 1.0),
    Choices(values=(0.05, 0.1, 0.15, 0.2, 0.25, 0.35, 0.5, 0.75, 1.0), size=True),
]
Blocks = Annotated[int, Bounds(1, 13), Choices(values=(1, 2, 3, 4, 5, 6, 8, 10, 13), size=True)]
FirstFilters = Annotated[int, Bounds(1, 256), Choices(values=SIZES, size=True)]
Dropout = Annotated[float, Bounds(0.0, 0.99)]


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseConfig:
    """Fully connected layers with ReLU over the flattened input."""

    units: tuple[Units, ...] = (64, 32)  # of the layers, the first one first
    dropout: Dropout = 0.1  # share of the last layer's outputs that training drops


@dataclass(frozen=True, slots=True, kw_only=True)
class Cnn1dConfig:
    """Convolutions over the rows (time); the columns (channels) are their input filters."""

    input_pool: Pool = 1  # rows averaged into one before the first convolution
    filters: tuple[Filters, ...] = (16, 24, 32)  # of each convolution
    kernels: tuple[Kernel, ...] = ()  # rows, of each convolution; empty: 5
    strides: tuple[Stride, ...] = ()  # rows; empty: 4 where 512 rows are left, 2 where 16, else 1
    segments: Segments = 0  # parts of the rows kept apart; 0: all where at most 8 are left, else 1
    dropout: Dropout = 0.1  # share of the last layer's inputs that training drops


@dataclass(frozen=True, slots=True, kw_only=True)
class DscnnConfig:
    """One convolution over the rows, then depthwise-separable ones: a DS-CNN in one dimension."""

    input_pool: Pool = 1  # rows averaged into one before the first convolution
    # of the convolution, then of each separable one
    filters: tuple[Filters, ...] = (32, 32, 32, 32)
    kernels: tuple[Kernel, ...] = ()  # rows, of each; empty: 5
    strides: tuple[Stride, ...] = ()  # rows; empty: 4 where 512 rows are left, 2 where 16, else 1
    segments: Segments = 0  # parts of the rows kept apart; 0: all where at most 8 are left, else 1
    dropout: Dropout = 0.1  # share of the last layer's inputs that training drops


@dataclass(frozen=True, slots=True, kw_only=True)
class Cnn2dConfig:
    """Convolutions over rows and columns: spectrograms and images."""

    filters: tuple[Filters, ...] = (8, 16, 32)  # of each convolution
    kernels: tuple[SideKernel, ...] = ()  # rows and columns, of each convolution; empty: 3
    # both ways; empty: 2 while the longer side is 8 or more, else 1
    strides: tuple[Stride, ...] = ()
    # parts of the rows kept apart; 0: all where at most 8 are left, else 1
    segments: SideSegments = 0
    dropout: Dropout = 0.1  # share of the last layer's inputs that training drops


@dataclass(frozen=True, slots=True, kw_only=True)
class MobilenetConfig:
    """MobileNet v1 over rows and columns; it strides while the longer side is 5 or more."""

    width: Width = 0.25  # share of the paper's filters
    blocks: Blocks = 13  # depthwise-separable ones, from the first on
    dropout: Dropout = 0.0  # share of the last layer's inputs that training drops


@dataclass(frozen=True, slots=True, kw_only=True)
class Resnet8Config:
    """MLPerf Tiny's ResNet over rows and columns: three blocks of two convolutions, with sums."""

    filters: FirstFilters = 16  # of the first block; twice and four times after
    dropout: Dropout = 0.0  # share of the last layer's inputs that training drops


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoencoderConfig:
    """Fully connected layers to the narrowest and, mirrored, back to the input; for 'anomaly'."""

    units: tuple[Narrowing, ...] = (32, 8)  # of the layers up to the narrowest, which has no ReLU


@dataclass(frozen=True, slots=True, kw_only=True)
class LstmConfig:
    """LSTM layers over the rows (time); post-training quantisation only."""

    units: tuple[Units, ...] = (24,)  # of the layers, the first one first
    dropout: Dropout = 0.1  # share of the last layer's inputs that training drops


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonConfig:
    """A function of the project that returns a Keras model; see model.own_networks."""

    file: str = "network.py"  # from the project's folder, in which it has to lie
    function: str = "network"  # called with input_shape, outputs and, if it has one, task
    arguments: dict[str, int | float] | None = None  # more that it is called with, by their names


@dataclass(frozen=True, slots=True, kw_only=True)
class FileConfig:
    """A trained network, which is not trained again; see model.own_networks."""

    file: str = "trained.keras"  # or .h5; from the project's folder, or $VARIABLE/below


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """The network's architecture."""

    kind: str  # a key of model.network_config.KINDS; its settings stand in a table of its name
    max_weight_bytes: Annotated[int, Bounds(1, 1 << 23)] = 1 << 18  # of the int8 model
    dense: DenseConfig | None = None
    cnn1d: Cnn1dConfig | None = None
    dscnn: DscnnConfig | None = None
    cnn2d: Cnn2dConfig | None = None
    mobilenet: MobilenetConfig | None = None
    resnet8: Resnet8Config | None = None
    autoencoder: AutoencoderConfig | None = None
    lstm: LstmConfig | None = None
    python: PythonConfig | None = None
    file: FileConfig | None = None

    @property
    def options(self) -> Any:
        """The kind's table; its defaults where the recipe has none."""
        table = getattr(self, self.kind)
        return KINDS[self.kind]() if table is None else table

    def widened(self, width: float) -> NetworkConfig:
        """The network with `width` times the filters, however many weights that are."""
        options = self.options
        own = getattr(options, "filters", ())
        if isinstance(own, tuple):
            changed: Any = {"filters": tuple(max(round(width * count), 1) for count in own)}
        else:
            changed = {"filters": max(round(width * own), 1)}
        if self.kind == "mobilenet":
            changed = {"width": width * options.width}
        options = dataclasses.replace(options, **changed)
        return dataclasses.replace(self, max_weight_bytes=sys.maxsize, **{self.kind: options})


KINDS: dict[str, type[Any]] = {
    "dense": DenseConfig,
    "cnn1d": Cnn1dConfig,
    "dscnn": DscnnConfig,
    "cnn2d": Cnn2dConfig,
    "mobilenet": MobilenetConfig,
    "resnet8": Resnet8Config,
    "autoencoder": AutoencoderConfig,
    "lstm": LstmConfig,
    "python": PythonConfig,
    "file": FileConfig,
}
OWN = ("python", "file")  # of the user's own
HAVE_FILTERS = ("cnn1d", "dscnn", "cnn2d", "mobilenet", "resnet8")  # can be widened
RENAMED = {"convolutions": "cnn1d", "depthwise_separable": "dscnn"}
MOVED = {f.name for kind in KINDS.values() for f in fields(kind)}


def refuse_old(table: object, found: list[str]) -> None:
    """Take out of a [network] what is of the time before the kinds had tables, and say where to."""
    if not isinstance(table, dict):
        return
    kind = table.get("kind")
    loose = [k for k in table if k in MOVED and not _is_table(table[k])]
    if kind in RENAMED:
        found.append(
            f"network.kind: {kind!r} is called {RENAMED[kind]!r} now, and its settings "
            f"stand in a table [network.{RENAMED[kind]}]; rename it and move them there"
        )
        table["kind"] = RENAMED[kind]
    elif loose and kind in KINDS:
        own = ", ".join(f.name for f in fields(KINDS[kind]))
        found.append(
            f"network: {', '.join(loose)}: settings of a kind stand in a table of its "
            f"name; expected [network.{kind}] with any of {own}"
        )
    else:
        return
    for key in loose:
        del table[key]


def _is_table(value: object) -> bool:
    return isinstance(value, dict)


def kind_problems(config: NetworkConfig) -> Iterator[str]:
    """A kind that there is none of, and the table of another kind."""
    if config.kind not in KINDS:
        yield (
            f"network.kind: unknown network {config.kind!r}"
            f"{closest(config.kind, list(KINDS))}; known: {', '.join(KINDS)}"
        )
        return
    for name in KINDS:
        if name != config.kind and getattr(config, name) is not None:
            yield (
                f"[network.{name}] belongs to the kind {name!r}, network.kind is "
                f"{config.kind!r}; remove the table or change the kind"
            )
