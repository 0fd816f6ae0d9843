"""Everything that can run firmware without a board, behind one interface."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

from host_tools.emulators.labwired_esp32 import LabwiredEsp32
from host_tools.emulators.labwired_esp32c3 import LabwiredEsp32C3
from host_tools.emulators.labwired_nrf52840 import LabwiredNrf52840
from host_tools.emulators.native import Native
from host_tools.emulators.qemu_m4 import QemuM4
from host_tools.emulators.qemu_riscv32 import QemuRiscv32
from host_tools.emulators.qemu_xtensa import QemuXtensa
from host_tools.emulators.renode import Renode
from host_tools.link.transport import Transport


class Emulator(Protocol):
    """One way to run firmware on this computer."""

    @property
    def name(self) -> str:
        """Its key in EMULATORS."""

    @property
    def unit(self) -> str:
        """What the board's counter counts there: 'instructions' or 'nanoseconds'."""

    @property
    def case_limit(self) -> int | None:
        """How many cases parity runs there unless told otherwise; None: all of them."""

    def missing(self) -> str | None:
        """Return None, or what is not installed and the command that installs it."""

    def version(self) -> str:
        """What it says of itself; results depend on it."""

    def start(self, elf: Path) -> Transport:
        """Start `elf`; closing the transport ends the emulator.

        Raises ToolMissing when something is not installed, DeviceError when it does not start.
        """


@runtime_checkable
class Pluggable(Protocol):
    """An emulator that runs plugins of QEMU."""

    def with_plugin(self, plugin: str) -> Emulator:
        """The same with a plugin loaded: a shared object and its arguments, with commas between."""


@runtime_checkable
class Replaying(Protocol):
    """An emulator that takes a recording in the sensor's place."""

    def with_replay(self, recording: bytes) -> Emulator:
        """The same with a recording: protocol.pack_sensor, then int16 samples [n, channels]."""


@runtime_checkable
class Lacking(Protocol):
    """An emulator that does not run every engine's firmware."""

    @property
    def lacks(self) -> Mapping[str, str]:
        """An engine -> why not."""


@runtime_checkable
class ChipEmulator(Protocol):
    """An emulator that knows every instruction of the chip: it runs the image that is flashed."""

    @property
    def chip_kernels(self) -> bool:
        """True."""


EMULATORS: dict[str, Emulator] = {
    "labwired_esp32": LabwiredEsp32(),
    "labwired_esp32c3": LabwiredEsp32C3(),
    "labwired_nrf52840": LabwiredNrf52840(),
    "native": Native(),
    "qemu_m4": QemuM4(),
    "qemu_riscv32": QemuRiscv32(),
    "qemu_xtensa": QemuXtensa(),
    "renode": Renode(),
}
