"""The flags that nordicnrf52 gives with ArduinoCore-mbed, as far as they concern the project's
sources: softfp from the core's lists, then soft; no F_CPU. LEFT_OVER names one more object."""

import os
from pathlib import Path

from SCons.Script import DefaultEnvironment

env = DefaultEnvironment()
core = Path(env.PioPlatform().get_dir(), "core")
machine = ["-mcpu=cortex-m4", "-mfloat-abi=softfp", "-mfpu=fpv4-sp-d16", "-mthumb"]
then = ["-mfloat-abi=soft", "-mfpu=fpv4-sp-d16"]
env.Append(
    ASFLAGS=[*machine, *then],
    ASPPFLAGS=["-x", "assembler-with-cpp"],
    CFLAGS=["-std=gnu11"],
    CXXFLAGS=["-std=gnu++14", "-fno-rtti"],
    CCFLAGS=["-Os", "-ffunction-sections", "-fdata-sections", "-funsigned-char", *machine, *then],
    CPPDEFINES=["ARDUINO_ARCH_MBED", "ARDUINO_ARCH_NRF52840", ("ARDUINO", 10810)],
    CPPPATH=[str(core)],
    LINKFLAGS=["-Wl,--gc-sections", *machine, "--specs=nano.specs", "--specs=nosys.specs", *then],
)
env.Append(CCFLAGS=["-frecord-gcc-switches"])  # not from there
env.BuildSources("$BUILD_DIR/core", str(core), "+<*.cpp>")
if "LEFT_OVER" in os.environ:
    env.Append(PIOBUILDFILES=[env.File(os.environ["LEFT_OVER"])])
