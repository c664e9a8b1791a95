#!/usr/bin/env python3
"""Times models on this library's CPU path and on LiteRT's (XNNPACK, and TFLite's reference kernels), in turns.

    python benches/cpu.py MODEL.tflite … [--threads 1,2] [--rounds 5] [--invokes 30] [--update docs/benchmarks.md]

Needs numpy and ai-edge-litert, and the program `bench_model` (cargo build --release --example bench_model); `cargo xtask
bench cpu` does it all. Every round starts each program once per model and number of threads; a figure is the best
invoke of all its processes. Memory is by how much the peak of a process lies above what it had before it opened the
model, on both sides with all libraries loaded and nothing of them used: code, file, weights, tensors and values that the
program itself holds count alike. `--update` writes the table between the markers of a document.
"""
import argparse
import json
import pathlib

from against_xnnpack import last_json, peer, update

HEAD = """| model | threads | ms | XNNPACK ms | ratio | reference ms | MB | LiteRT MB |
|---|---|---|---|---|---|---|---|
"""


def measure(model, threads, args):
    """All rounds of one model; the reference kernels run once, a few times."""
    ours = [args.program, model, "--device", "cpu", "--threads", str(threads), "--invokes", str(args.invokes)]
    xnnpack = peer("xnnpack", model, args.invokes) + ["--threads", str(threads)]
    mine, theirs = [], []
    for _ in range(args.rounds):
        theirs.append(last_json(xnnpack)[0])
        mine.append(last_json(ours)[0])
    row = {
        "model": pathlib.Path(model).stem, "threads": threads,
        "ms": min(run["min_ms"] for run in mine), "xnnpack_ms": min(run["min_ms"] for run in theirs),
        "mb": min(run.get("growth_mb") or 0 for run in mine), "litert_mb": min(run["peak_mb"] for run in theirs),
    }
    row["ratio"] = row["ms"] / row["xnnpack_ms"]
    if args.reference:
        plain = peer("reference", model, 2) + ["--threads", str(threads)]
        row["reference_ms"] = last_json(plain)[0]["min_ms"]
    return row


def line(row):
    """A row of the table."""
    reference = f"{row['reference_ms']:.1f}" if "reference_ms" in row else "–"
    return ("| {model} | {threads} | {ms:.2f} | {xnnpack_ms:.2f} | {ratio:.2f} | {reference} | {mb:.0f} | {litert_mb:.0f} |"
            .format(**{**row, "reference": reference}))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("models", nargs="+")
    ap.add_argument("--program", default="target/release/examples/bench_model")
    ap.add_argument("--threads", default="1,2", help="numbers of threads, separated by commas")
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--invokes", type=int, default=30)
    ap.add_argument("--reference", action="store_true", help="TFLite's reference kernels too")
    ap.add_argument("--update", type=pathlib.Path, metavar="DOCUMENT", help="write the table into a document")
    args = ap.parse_args()
    rows = []
    for model in args.models:
        for threads in map(int, args.threads.split(",")):
            rows.append(measure(model, threads, args))
            print(json.dumps(rows[-1]), flush=True)
    if args.update:
        update(args.update, "cpu", HEAD + "".join(line(row) + "\n" for row in rows))


if __name__ == "__main__":
    main()
