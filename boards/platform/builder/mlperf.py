"""What firmware that answers MLPerf Tiny's commands is told: firmware/mlperf, TINYPROOF_MLPERF."""


def mlperf_defines(benchmark, board, manifest):
    """Pairs for CPPDEFINES. `board` is boards/<id>.json, `manifest` of the model."""
    ours = board["tinyproof"]
    counts = "cycles" if ours["upload"] else "instructions" if ours["toolchain"] else "nanoseconds"
    pairs = [("MLPERF", f'\\"{benchmark}\\"'), (f"MLPERF_{benchmark.upper()}", 1)]
    pairs += [("MLPERF_COUNTS", f'\\"{counts}\\"')]
    pairs += [("MLPERF_CLOCK_HZ", board["build"]["f_cpu"].replace("L", "u"))]
    for name, tensors in (("INPUT", manifest["inputs"]), ("OUTPUT", manifest["outputs"])):
        pairs += [(f"MLPERF_{name}_SCALE", f"{tensors[0]['scale']!r}f")]
        pairs += [(f"MLPERF_{name}_ZERO", tensors[0]["zero_point"])]
    return [*pairs, ("MLPERF_OUTPUT_STEPS", round(1 / manifest["outputs"][0]["scale"]))]
