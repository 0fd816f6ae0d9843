"""Build one firmware image with the compilers on PATH.

What differs between boards stands in boards/<id>.json: the toolchain, its flags, the folders of
firmware/board that make up the port, and the memories. This script turns that into a SCons build.
"""

import os
import shutil
import sys
from pathlib import Path

from SCons.Script import AlwaysBuild, Default, DefaultEnvironment

WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-pedantic", "-Werror"]
C_WARNINGS = ["-Wstrict-prototypes", "-Wmissing-prototypes"]
# One application for every board; the port's own folders come from its JSON file.
SOURCES = ["app/*.c", "features/*.c", "link/*.c"]
INCLUDES = ["app", "board", "check", "features", "kernels", "link"]
# An inference runs in kernels and generated code; the rest waits for the line.
SMALL, FAST = "-Os", "-O2"
SMALL_FOLDERS = ["app", "link", "board", "check", "stream", "kernels/armv7em"]
# How the file that an upload tool writes to the board is made from the linked program.
IMAGES = {
    "bossac": "$OBJCOPY -O binary $SOURCE $TARGET",
    "esptool": (
        '"$PYTHONEXE" -m esptool --chip esp32 elf2image'
        " --ram-only-header --flash-mode dio --flash-freq 40m --flash-size 4MB -o $TARGET $SOURCE"
    ),
}

env = DefaultEnvironment()
scripts = Path(env.PioPlatform().get_dir(), "builder")
sys.path.insert(0, str(scripts))
from needed import generated_folder, needed_files  # noqa: E402

board = env.BoardConfig()
facts = board.get("tinyproof")
prefix = facts["toolchain"]
firmware = env.subst("$PROJECT_SRC_DIR")

if shutil.which(prefix + "gcc", path=env["ENV"].get("PATH")) is None:
    sys.stderr.write(f"Error: {prefix}gcc is not on PATH; board {board.id} needs it.\n")
    env.Exit(1)

# A file of the board's kernels replaces the one of the same name in the reference kernels. This
# computer's compiler takes the twins in C of what is written in assembly language.
kernels = os.environ.get("TINYPROOF_KERNELS", facts["kernels"])
folders = [Path(firmware, "kernels", name) for name in (kernels, "ref")]
model = generated_folder(env.subst("$PROJECT_DIR")) / "model.c"
if model.is_file():  # generated.py says what to do otherwise
    files = needed_files(model, folders, assembly=bool(prefix))
    SOURCES += [str(path.relative_to(firmware)) for path in files]

# The device command `selftest kernels`, linked on request only.
checked = "TINYPROOF_REFERENCE" in os.environ
SOURCES += ["check/check_kernels.c"] if checked else []

memories = facts["memories"]
board.update("upload.maximum_size", sum(m["bytes"] for m in memories if m["holds"] != ["data"]))
board.update("upload.maximum_ram_size", sum(m["bytes"] for m in memories if "data" in m["holds"]))

env.Replace(
    AR=prefix + "ar",
    AS=prefix + "gcc",
    CC=prefix + "gcc",
    LD=prefix + "ld",
    LINK=prefix + "gcc",
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
    ASPPFLAGS=facts["flags"],
    CFLAGS=["-std=c11", *C_WARNINGS],
    CCFLAGS=facts["flags"]
    + ["-g", "-ffunction-sections", "-fdata-sections", "-fstack-usage"]
    + WARNINGS,
    CPPPATH=[str(Path(firmware, folder)) for folder in INCLUDES],
    LINKFLAGS=facts["flags"] + ["-Wl,--gc-sections", "-Wl,-Map=${BUILD_DIR}/firmware.map"],
)
if "ldscript" in board.get("build"):
    boards = env.subst("$PROJECT_DIR/boards")
    env.Append(LINKFLAGS=["-nostartfiles", "-L" + boards])
    env.Replace(LDSCRIPT_PATH=str(Path(boards, board.get("build.ldscript"))))


def optimise(env, node):
    """Compile one source for size or for speed, by the folder it lies in."""
    small = any(
        Path(firmware, folder) in Path(node.srcnode().abspath).parents for folder in SMALL_FOLDERS
    )
    return env.Object(node, CCFLAGS=[*env["CCFLAGS"], SMALL if small else FAST])


env.AddBuildMiddleware(optimise)
if checked:
    env.SConscript(str(scripts / "reference.py"), exports="env")
env.SConscript(str(scripts / "generated.py"), exports="env")

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
    upload = [
        f'"$PYTHONEXE" -m host_tools.boards.flash --tool {facts["upload"]["tool"]}'
        ' --port "$UPLOAD_PORT" --image "$SOURCE"'
    ]
    env.PrependENVPath("PYTHONPATH", env.subst("$PROJECT_DIR"))
    AlwaysBuild(env.Alias("upload", image, env.VerboseAction(upload, "Uploading $SOURCE")))
    Default(image)
