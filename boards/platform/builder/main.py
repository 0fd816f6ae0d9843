"""Build one firmware image with the compilers on PATH.

What differs between boards stands in boards/<id>.json: the toolchain, its flags, the folders of
firmware/board that make up the port, its pins, and the memories. This script turns that into a
SCons build.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from SCons.Script import AlwaysBuild, Default, DefaultEnvironment

WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-pedantic", "-Werror"]
C_WARNINGS = ["-Wstrict-prototypes", "-Wmissing-prototypes"]
# One application for every board; the port's own folders come from its JSON file.
SOURCES = ["app/*.c", "features/*.c", "link/*.c"]
INCLUDES = ["app", "board", "check", "classical", "drift", "features", "kernels", "link", "mlperf"]
PIN = re.compile(r"P(?P<port>[01])\.(?P<pin>[0-9]{2})")  # as Nordic writes them
GPIO = re.compile(r"GPIO(?P<pin>[0-9]{1,2})")  # as Espressif does

env = DefaultEnvironment()
project = Path(env.subst("$PROJECT_DIR"))
scripts = Path(env.PioPlatform().get_dir(), "builder")
sys.path.insert(0, str(scripts))
from kernels import add_kernels, kernel_files, set_folders, speed_of  # noqa: E402

board = env.BoardConfig()
facts = board.get("tinyproof")
prefix = facts["toolchain"]
firmware = Path(env.subst("$PROJECT_SRC_DIR"))

if shutil.which(prefix + "gcc", path=env["ENV"].get("PATH")) is None:
    sys.stderr.write(f"Error: {prefix}gcc is not on PATH; board {board.id} needs it.\n")
    env.Exit(1)

kernels = os.environ.get("TINYPROOF_KERNELS", facts["kernels"])
# A program around a library, which PlatformIO finds and compiles, in place of the application: the
# folder of what is generated for it.
via = os.environ.get("TINYPROOF_VIA")
SOURCES = ["via_library/*.c", "link/*.c"] if via else SOURCES
if prefix and not via:  # what assembly language counts on
    SOURCES += [f"kernels/{name}/layout/*.c" for name in set_folders(kernels)]

# The device command `selftest kernels`, linked on request only.
checked = "TINYPROOF_REFERENCE" in os.environ
SOURCES += ["check/check_kernels.c"] if checked else []

memories = facts["memories"]
board.update("upload.maximum_size", sum(m["bytes"] for m in memories if m["holds"] != ["data"]))
board.update("upload.maximum_ram_size", sum(m["bytes"] for m in memories if "data" in m["holds"]))


def pin_number(name, text):
    """The chip's number of a pin: of P1.03 it is 35, of GPIO21 it is 21."""
    if found := GPIO.fullmatch(text):
        return int(found["pin"])
    found = PIN.fullmatch(text)
    if found is None:
        sys.stderr.write(
            f"Error: boards/{board.id}.json: pins.{name}: expected a pin such as P1.03 or GPIO21, "
            f"got {text!r}.\n"
        )
        env.Exit(1)
    return 32 * int(found["port"]) + int(found["pin"])


env.Replace(
    AR=prefix + "ar",
    AS=prefix + "gcc",
    CC=prefix + "gcc",
    CXX=prefix + "g++",
    LD=prefix + "ld",
    LINK=prefix + "gcc",
    NM=prefix + "nm",
    OBJCOPY=prefix + "objcopy",
    RANLIB=prefix + "ranlib",
    SIZETOOL=prefix + "size",
    SIZEPRINTCMD="$SIZETOOL $SOURCES",
    PROGNAME="firmware",
    PROGSUFFIX=".elf",
    SRC_FILTER=["-<*>"]
    + [f"+<{pattern}>" for pattern in SOURCES]
    + [f"+<board/{folder}/*.{kind}>" for folder in facts["port"] for kind in "cS"],
)
env.Append(
    ASPPFLAGS=facts["flags"] + ["-g", f"-fdebug-prefix-map={project}=."],
    CFLAGS=["-std=c11", *C_WARNINGS],
    CXXFLAGS=["-std=c++17", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics"],
    CCFLAGS=facts["flags"]
    + ["-g", "-ffunction-sections", "-fdata-sections", "-fstack-usage"]
    + ["-ffp-contract=off"]  # a * b + c in two steps, as TFLite Micro rounds it
    + [f"-ffile-prefix-map={project}=."]  # the same bytes wherever it is built
    + WARNINGS,
    CPPDEFINES=[("BOARD_ID", f'\\"{board.id}\\"')]
    + [(f"BOARD_PIN_{name}", pin_number(name, pin)) for name, pin in facts["pins"].items()],
    CPPPATH=[str(firmware / folder) for folder in INCLUDES],
    LINKFLAGS=facts["flags"]
    + ["-Wl,--gc-sections", "-Wl,-Map=" + env.subst("$BUILD_DIR/firmware.map")]
    + ["-Wl,--build-id=sha1"],  # a fault's report names its image by it
)
if "ldscript" in board.get("build"):
    env.Append(LINKFLAGS=["-nostartfiles", f"-L{project / 'boards'}"])
    env.Replace(LDSCRIPT_PATH=str(project / "boards" / board.get("build.ldscript")))


def speed(path):
    """How a file is compiled."""
    return speed_of(firmware, path)


def optimise(env, node):
    """Compile one source as `speed` says."""
    flags = speed(Path(node.srcnode().abspath))
    return env.Object(node, CCFLAGS=[*env["CCFLAGS"], *flags])


env.AddBuildMiddleware(optimise)
reference = env.Clone()  # without the model, whose headers have the same names
if via:
    env.Append(CPPPATH=[via])
    if kernels == "xtensa":  # what compiles for QEMU is an ESP8266's compiler, which takes portable
        env.Append(CPPDEFINES=["TINYPROOF_KERNELS_XTENSA"])
else:
    env.SConscript(str(scripts / "generated.py"), exports="env")

    # A file of the board's kernels replaces the one of the same name in the reference kernels. This
    # computer's compiler takes the twins in C of what is written in assembly language.
    folders = [firmware / "kernels" / name for name in set_folders(kernels)]
    files = kernel_files(folders, assembly=bool(prefix))
    env.Append(
        PIOBUILDFILES=add_kernels(env, "$BUILD_DIR/kernels.a", env["PIOBUILDFILES"], files, speed)
    )
if checked:
    env.SConscript(str(scripts / "reference.py"), exports=["env", "reference", "speed"])


def make_binary(target, source, env):
    """The file for the boot loader of the Nano: what the boot loader writes behind itself."""
    command = [env["OBJCOPY"], "-O", "binary", str(source[0]), str(target[0])]
    return subprocess.run(command, check=False).returncode


def make_esptool_image(target, source, env):
    """The file for esptool: what the ROM starts by itself."""
    command = [sys.executable, "-m", "esptool", "--chip", facts["upload"]["chip"]]
    command += ["elf2image", "--ram-only-header"]
    command += ["--flash-mode", "dio", "--flash-freq", "40m", "--flash-size", "4MB"]
    command += ["-o", str(target[0]), str(source[0])]
    return subprocess.run(command, check=False).returncode


def upload(target, source, env):
    """Write the image to the board at UPLOAD_PORT."""
    command = [sys.executable, "-m", "host_tools.boards.flash", "--tool", facts["upload"]["tool"]]
    for key in ("chip", "image_at"):
        command += [f"--{key.replace('_', '-')}", facts["upload"].get(key, "")]
    command += ["--port", env.subst("$UPLOAD_PORT"), "--image", str(source[0])]
    return subprocess.run(command, env=env["ENV"], check=False).returncode


IMAGES = {"sam-ba": make_binary, "esptool": make_esptool_image}

program = env.BuildProgram()
if facts["upload"] is None:
    Default(program)
else:
    image = env.Command(
        "$BUILD_DIR/firmware.bin",
        program,
        env.VerboseAction(IMAGES[facts["upload"]["tool"]], "Building $TARGET"),
    )
    env.Depends(image, "checkprogsize")
    env.PrependENVPath("PYTHONPATH", str(project))
    AlwaysBuild(env.Alias("upload", image, env.VerboseAction(upload, "Uploading $SOURCE")))
    Default(image)
