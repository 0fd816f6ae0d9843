"""Add TFLite Micro's interpreter to a build: the library, and firmware/tflm around it.

The library lies in the folder of TINYPROOF_TFLM, else in PlatformIO's global storage, where
`pio pkg install --global` puts it. It is compiled for speed and with its own idea of warnings.
"""

import os
import sys
from pathlib import Path

from engine import LIBRARY, doubt, include_folders, library_folder, problem, source_files, sources

Import("env", "folder")  # noqa: F821  # given by generated.py: where the generated model lies
gen = folder  # noqa: F821

storage = Path(env.GetProjectConfig().get("platformio", "globallib_dir"))  # noqa: F821
library = library_folder(os.environ.get("TINYPROOF_TFLM"), storage)
if library is None:
    sys.stderr.write(
        f"Error: this model is generated for TFLite Micro, and the library {LIBRARY} is not in "
        f"{storage}.\nInstall it once, in the project's folder, with\n"
        f"    pio pkg install --global --library {LIBRARY}\n"
        "or name the folder of a TFLite Micro: TINYPROOF_TFLM.\n"
    )
    env.Exit(1)  # noqa: F821
wrong = problem(library, gen / "model_resolver.h")
if wrong:
    sys.stderr.write(f"Error: {wrong}.\nThe library that fits: {LIBRARY}\n")
    env.Exit(1)  # noqa: F821
elif told := doubt(library, gen / "model_resolver.h"):
    sys.stderr.write(f"Warning: {told}.\n")

arduino = "arduino" in env.get("PIOFRAMEWORK", [])  # noqa: F821
flags = ["-DTF_LITE_STATIC_MEMORY", "-DTF_LITE_STRIP_ERROR_STRINGS"]
flags += [f"-ffile-prefix-map={library}=tflm"]
flags += [flag for path in include_folders(library) for flag in ("-isystem", str(path))]
if not arduino:  # by which the library tells small firmware from a computer
    flags.append("-DARDUINO=10800")
CPP = ["-std=c++17", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics"]

# What a platform sets is not set yet where an Arduino build runs this; what a command ends with is
# read when it runs.
env.Append(CPPFLAGS=["$TINYPROOF_ENGINE"])  # noqa: F821


def compiled(kind, root, names, more=()):
    """Nodes of the sources `names` in `root`."""
    own = {name: [*flags, *more, *([] if name.endswith(".c") else CPP)] for name in names}
    return [
        env.Object(f"$BUILD_DIR/{kind}/{name}.o", f"{root}/{name}", TINYPROOF_ENGINE=own[name])  # noqa: F821
        for name in names
    ]


shim = ["model_tflm.cc", "debug_log.c", *([] if arduino else ["bare.cc"])]  # Arduino has a runtime
theirs = compiled("tflm", sources(library), source_files(library), ["-O2", "-w"])
env.Append(  # noqa: F821
    LIBS=[env.StaticLibrary("$BUILD_DIR/tflm", theirs), "m"],  # noqa: F821
    PIOBUILDFILES=compiled("engine", "$PROJECT_SRC_DIR/tflm", shim, ["-O2"])
    + compiled("gen", gen, ["model_data.cc"]),
)
