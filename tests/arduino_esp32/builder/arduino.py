"""The flags that tools/platformio-build-esp32.py of arduino-esp32 gives, as far as they concern
the project's sources, and a core for QEMU's sim machine around the start-up code of its port."""

from pathlib import Path

from SCons.Script import DefaultEnvironment

env = DefaultEnvironment()
core = Path(env.PioPlatform().get_dir(), "core")
port = "$PROJECT_SRC_DIR/board"

env.Append(
    ASFLAGS=["-x", "assembler-with-cpp", "-mtext-section-literals"],
    CFLAGS=["-mlongcalls", "-std=gnu99", "-Wno-old-style-declaration"],
    CXXFLAGS=["-mlongcalls", "-std=gnu++11", "-fno-exceptions", "-fno-rtti"],
    CCFLAGS=["-ffunction-sections", "-fdata-sections", "-Os"],
    CPPDEFINES=["ESP32", "ARDUINO_ARCH_ESP32", ("F_CPU", "$BOARD_F_CPU"), ("ARDUINO", 10812)],
    CPPPATH=[str(core), port],
    LINKFLAGS=["-nostartfiles", "-Wl,--gc-sections", "-L$PROJECT_DIR/boards"],
)
env.Append(CCFLAGS=["-mtext-section-literals", "-frecord-gcc-switches"])  # not from there
env.Replace(LDSCRIPT_PATH="$PROJECT_DIR/boards/qemu_xtensa.ld")
env.BuildSources("$BUILD_DIR/core", str(core), "+<*.cpp>")
env.BuildSources("$BUILD_DIR/xtensa", f"{port}/xtensa", "+<*.c> +<*.S>")
env.BuildSources("$BUILD_DIR/reset", f"{port}/xtensa_sim", "+<reset.S>")
env.BuildSources("$BUILD_DIR/fault", f"{port}/common", "+<fault.c>")
