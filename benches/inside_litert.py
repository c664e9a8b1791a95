#!/usr/bin/env python3
"""Times models in LiteRT with this library's delegate, and in this library's own interpreter, in turns.

    python benches/inside_litert.py LIBRARY MODEL.tflite … [--precision f16] [--rounds 5] [--invokes 30] [--markdown]

Needs numpy and ai-edge-litert, the library of the plugin, and the program `bench_model`, both of the same profile.
Each round starts both programs once for every model; the figure of a program is the best invoke of all its processes.
An invoke counts from the inputs to the outputs in the caller's memory, copies and all, in both. Exits with 1 when the
delegate takes longer than 1.05 of the interpreter's time.
"""
import argparse
import json
import pathlib
import sys
import time

from against_xnnpack import last_json

LIMIT = 1.05


def peer(library, path, precision, invokes):
    """One process of LiteRT with the delegate: prints times in milliseconds as JSON."""
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter, load_delegate

    delegate = load_delegate(library, {"precision": precision})
    interpreter = Interpreter(path, experimental_delegates=[delegate])
    operators = [details["op_name"] for details in interpreter._get_ops_details()]
    interpreter.allocate_tensors()
    rng = np.random.default_rng(0)
    values = []
    for info in interpreter.get_input_details():
        if info["dtype"] == np.float32:
            values.append((info["index"], rng.uniform(-1, 1, info["shape"]).astype(np.float32)))
        else:
            values.append((info["index"], rng.integers(0, 2, info["shape"]).astype(info["dtype"])))
    outputs = [info["index"] for info in interpreter.get_output_details()]
    times = []
    for _ in range(invokes + 1):
        begin = time.perf_counter()
        for index, value in values:
            interpreter.set_tensor(index, value)
        interpreter.invoke()
        for index in outputs:
            interpreter.get_tensor(index)
        times.append(time.perf_counter() - begin)
    print(json.dumps({"min_ms": min(times[1:]) * 1e3, "partitions": operators.count("DELEGATE")}))


def measure(model, args):
    """All rounds of one model."""
    own = [args.program, model, "--precision", args.precision, "--invokes", str(args.invokes)]
    host = [sys.executable, __file__, args.library, model, "--peer", "--precision", args.precision]
    host += ["--invokes", str(args.invokes)]
    inside, alone = [], []
    for _ in range(args.rounds):
        inside.append(last_json(host)[0])
        alone.append(last_json(own)[0])
    row = {
        "model": pathlib.Path(model).stem, "precision": args.precision, "partitions": inside[0]["partitions"],
        "inside_ms": min(run["min_ms"] for run in inside), "own_ms": min(run["min_ms"] for run in alone),
    }
    row["ratio"] = row["inside_ms"] / row["own_ms"]
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--precision", default="f16", choices=["f16", "f32"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--invokes", type=int, default=30)
    parser.add_argument("--program", default="target/release/examples/bench_model")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peer:
        return peer(args.library, args.models[0], args.precision, args.invokes)
    rows = []
    if args.markdown:
        print("| model | in LiteRT, ms | our interpreter, ms | ratio |\n|---|---|---|---|")
    for model in args.models:
        row = measure(model, args)
        rows.append(row)
        if args.markdown:
            print("| {model} | {inside_ms:.2f} | {own_ms:.2f} | {ratio:.3f} |".format(**row), flush=True)
        else:
            print(json.dumps(row), flush=True)
    return int(any(row["ratio"] > LIMIT or not row["partitions"] for row in rows))


sys.exit(main())
