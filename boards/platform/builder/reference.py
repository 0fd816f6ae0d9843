"""Link the reference model of TINYPROOF_REFERENCE, with the reference kernels, beside the model.

The folder holds the same model as TINYPROOF_GEN, generated for the reference kernels. All its
objects become one, in which only `check_reference` stays global: the names of both models and of
both sets of kernels may be the same.
"""

import os
from pathlib import Path

from kernels import add_kernels, kernel_files

Import("env", "reference", "speed")  # noqa: F821  # given by main.py

firmware = env.subst("$PROJECT_SRC_DIR")  # noqa: F821
folder = os.environ["TINYPROOF_REFERENCE"]
own = reference.Clone()  # noqa: F821
own.Append(CPPPATH=[folder], CCFLAGS=[f"-ffile-prefix-map={folder}=reference"])
objects = own.CollectBuildFiles(
    "$BUILD_DIR/reference/gen", folder, ["+<model.c>", "+<model_check.c>"]
) + own.CollectBuildFiles("$BUILD_DIR/reference/src", firmware, ["+<check/check_reference.c>"])
files = kernel_files([Path(firmware, "kernels", "ref")], assembly=False)
kernels = add_kernels(own, "$BUILD_DIR/reference/kernels.a", objects, files, speed)  # noqa: F821
# The core; what else stands among the flags is not for -r.
machine = " ".join(f for f in own.BoardConfig().get("tinyproof.flags") if f.startswith("-m"))
whole = own.Command(
    "$BUILD_DIR/reference.o",
    [*objects, kernels],
    [
        f"$CC {machine} -r -nostdlib -o $TARGET $SOURCES",
        "$OBJCOPY --keep-global-symbol=check_reference $TARGET",
    ],
)
env.Append(PIOBUILDFILES=whole)  # noqa: F821
