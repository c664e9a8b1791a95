#!/usr/bin/env python3
"""Times models on this library's GPU path and on XNNPACK's one thread, process by process in turns.

    python benches/against_xnnpack.py MODEL.tflite … [--precision f16] [--rounds 5] [--invokes 30] [--markdown]

Needs numpy and ai-edge-litert, and the program `bench_model` (cargo build --release --example bench_model).
A machine is never quite idle, so only figures of the same run are comparable: each round starts both programs
once for every model, the figure of a program is the best invoke of all its processes, and the ratio is ours
over XNNPACK's. `cold` is a process with an empty shader cache, from its start to the first result; `warm` the best
of the others. Exits with 1 when a result differs from the CPU interpreter's by more than the library's tolerance.
"""
import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time


def peak_mb():
    """The most memory that this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def xnnpack(path, invokes, threads=1, reference=False):
    """One process on XNNPACK, or on TFLite's reference kernels: prints times in milliseconds as JSON, and by how many
    megabytes the process has grown since its libraries were loaded."""
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolver = OpResolverType.BUILTIN_REF if reference else OpResolverType.AUTO
    before = peak_mb()
    start = time.perf_counter()
    interpreter = Interpreter(path, num_threads=threads, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    rng = np.random.default_rng(0)
    for info in interpreter.get_input_details():
        if info["dtype"] == np.float32:
            value = rng.uniform(-1, 1, info["shape"]).astype(np.float32)
        else:
            value = rng.integers(0, 2, info["shape"]).astype(info["dtype"])
        interpreter.set_tensor(info["index"], value)
    interpreter.invoke()
    first = time.perf_counter()
    times = []
    for _ in range(invokes):
        begin = time.perf_counter()
        interpreter.invoke()
        times.append(time.perf_counter() - begin)
    print(json.dumps({"first_ms": (first - start) * 1e3, "min_ms": min(times) * 1e3, "peak_mb": peak_mb() - before}))


def last_json(command, environment=None):
    """Runs a program; its last line as JSON, and whether it exited well."""
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    lines = done.stdout.strip().splitlines()
    if not lines:
        sys.exit(f"{' '.join(command)}: {done.stderr.strip()[-500:]}")
    return json.loads(lines[-1]), done.returncode == 0


def measure(model, args, folder):
    """All rounds of one model."""
    ours = [args.program, model, "--precision", args.precision, "--adapter", args.adapter]
    ours += [word for option in args.option for word in ("--option", option)]
    peer = [sys.executable, __file__, "--xnnpack", str(args.invokes), model]
    cache = pathlib.Path(folder) / pathlib.Path(model).stem
    cache.mkdir()
    environment = dict(os.environ, MESA_SHADER_CACHE_DIR=str(cache), XDG_CACHE_HOME=str(cache))
    cold, good = last_json(ours + ["--invokes", "1", "--check"], environment)
    mine, theirs = [], []
    for _ in range(args.rounds):
        theirs.append(last_json(peer)[0])
        mine.append(last_json(ours + ["--invokes", str(args.invokes)], environment)[0])
    best = min(run["min_ms"] for run in mine)
    xnn = min(run["min_ms"] for run in theirs)
    return {
        "model": pathlib.Path(model).stem, "precision": args.precision, "adapter": cold["adapter"], "driver": cold["driver"],
        "ms": best, "xnnpack_ms": xnn, "ratio": best / xnn, "cold_ms": cold["first_ms"],
        "warm_ms": min(run["first_ms"] for run in mine), "gpu_nodes": cold["gpu_nodes"], "nodes": cold["nodes"],
        "dispatches": cold["dispatches"], "pipelines": cold["pipelines"], "agrees": good,
        "cosine": min((o["cosine"] for o in cold["outputs"] if isinstance(o, dict)), default=0.0),
    }


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("models", nargs="+")
    ap.add_argument("--program", default="target/release/examples/bench_model")
    ap.add_argument("--precision", default="f16", choices=["f16", "f32"])
    ap.add_argument("--adapter", default="", help="part of the adapter's name, or its position")
    ap.add_argument("--option", action="append", default=[], help="further options of the delegate, key=value")
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--invokes", type=int, default=30)
    ap.add_argument("--markdown", action="store_true", help="print rows of a table")
    ap.add_argument("--xnnpack", type=int, metavar="INVOKES", help=argparse.SUPPRESS)
    args = ap.parse_args()
    if args.xnnpack:
        xnnpack(args.models[0], args.xnnpack)
        return
    good = True
    for model in args.models:
        with tempfile.TemporaryDirectory() as folder:
            row = measure(model, args, folder)
        good &= row["agrees"]
        if args.markdown:
            print("| {model} | {precision} | {ms:.1f} | {xnnpack_ms:.2f} | {ratio:.1f} | {cold_ms:.0f} | {warm_ms:.0f} | "
                  "{gpu_nodes}/{nodes} | {dispatches} | {pipelines} | {cosine:.6f} |".format(**row), flush=True)
        else:
            print(json.dumps(row), flush=True)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
