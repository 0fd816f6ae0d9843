"""What decides the last bit of a float sum besides the code: threads and instruction sets, fixed.

Importing `model` applies this, because OpenBLAS, OpenMP and oneDNN read their variables when they
are loaded: `quantize` and `host_tools` import it before they import anything else.
"""

from __future__ import annotations

import os

THREADS = 1  # sums are cut by their number; networks for microcontrollers are no faster with two
# TensorFlow's own kernels are compiled for AVX everywhere. oneDNN's are made for the CPU they run
# on: they are switched off, and of its matrix product, which stays, the AVX2 one is taken.
FIXED = {
    "OMP_NUM_THREADS": str(THREADS),
    "OPENBLAS_NUM_THREADS": str(THREADS),
    "MKL_NUM_THREADS": str(THREADS),
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
}


def fix() -> None:
    """Set the variables of FIXED, whatever the user's environment says."""
    os.environ.update(FIXED)
