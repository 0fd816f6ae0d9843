"""Link the reference model of TINYPROOF_REFERENCE, with the reference kernels, beside the model.

The folder holds the same model as TINYPROOF_GEN, generated for the reference kernels. All its
objects become one, in which only `check_reference` stays global: the names of both models and of
both sets of kernels may be the same.
"""

import os
from pathlib import Path

from needed import needed_files

Import("env")  # noqa: F821  # given by SCons

folder = os.environ["TINYPROOF_REFERENCE"]
kernels = needed_files(
    Path(folder, "model.c"),
    [Path(env.subst("$PROJECT_SRC_DIR"), "kernels", "ref")],  # noqa: F821
    assembly=False,
)
reference = env.Clone()  # noqa: F821
reference.Append(CPPPATH=[folder])
nodes = reference.CollectBuildFiles(
    "$BUILD_DIR/reference/gen", folder, ["+<model.c>", "+<model_check.c>"]
) + reference.CollectBuildFiles(
    "$BUILD_DIR/reference/src",
    "$PROJECT_SRC_DIR",
    [f"+<kernels/ref/{path.name}>" for path in kernels] + ["+<check/check_reference.c>"],
)
whole = reference.Command(
    "$BUILD_DIR/reference.o",
    nodes,
    ["$LD -r -o $TARGET $SOURCES", "$OBJCOPY --keep-global-symbol=check_reference $TARGET"],
)
env.Append(PIOBUILDFILES=whole)  # noqa: F821
