#!/usr/bin/env python3
"""Times models on this library's GPU path, on other engines' and on XNNPACK's one thread, process by process in turns.

    python benches/against_xnnpack.py MODEL.tflite … [--engines ours-f16,ncnn-f32] [--rounds 5] [--invokes 30]
        [--results FILE] [--update docs/benchmarks.md --table NAME] [--plot docs/NAME.svg]

Needs numpy and ai-edge-litert, for `ncnn-…` also ncnn, and the program `bench_model` (cargo build --release --example
bench_model); `cargo xtask bench gpu` does it all. Engines: `ours-f16`, `ours-f32` and those of benches/peers.py.

A machine is never quite idle, so only figures of the same run are comparable: each round starts every engine once for every
model, the figure of an engine is the best invoke of all its processes, and the ratio is its over XNNPACK's. `cold` is a
process with an empty shader cache, from its start to the first result; `warm` the best of the others. All engines get the
same inputs, and their results are compared with XNNPACK's. `--results` adds to what earlier runs on the same machine have
left in a file; with `--rounds 0` the tables are only written anew. Exits with 1 when a result is wrong.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

import peers
import ratio_plot

# The least cosine with XNNPACK's result.
LEAST_COSINE = 0.999
HEAD = """| model | engine | ms | ratio | cold ms | warm ms | MB | cosine |
|---|---|---|---|---|---|---|---|
"""


def peer(engine, model, invokes):
    """How another engine's process is started."""
    return [sys.executable, str(pathlib.Path(__file__).parent / "peers.py"), engine, model, "--invokes", str(invokes)]


def last_json(command, environment=None):
    """Runs a program; its last line as JSON, and whether it exited well."""
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    lines = done.stdout.strip().splitlines()
    if not lines:
        sys.exit(f"{' '.join(command)}: {done.stderr.strip()[-500:]}")
    return json.loads(lines[-1]), done.returncode == 0


def command(engine, model, feed, invokes, args):
    """How an engine is started."""
    name, _, precision = engine.partition("-")
    if name != "ours":
        return peer(engine, model, invokes) + ["--feed", str(feed)]
    options = [word for option in args.option for word in ("--option", option)]
    return [args.program, model, "--precision", precision, "--adapter", args.adapter, "--invokes", str(invokes),
            "--feed", str(feed), *options]


def outputs(feed):
    """The outputs that the last process has left, and no more."""
    values = []
    for path in sorted(feed.glob("output_*.bin"), key=lambda path: int(path.stem.split("_")[1])):
        values.append(np.fromfile(path, np.float32).astype(np.float64))
        path.unlink()
    return values


def cosine(found, expected):
    """The least cosine of the outputs; zero when one is missing, not finite or of another size."""
    if not expected or [v.size for v in found] != [v.size for v in expected]:
        return 0.0
    least = 1.0
    for a, b in zip(found, expected):
        length = np.linalg.norm(a) * np.linalg.norm(b)
        value = float(a @ b / length) if length > 0 else float(np.array_equal(a, b))
        least = min(least, value if np.isfinite(value) else 0.0)
    return least


def write_inputs(model, feed):
    for i, value in enumerate(peers.inputs(model, None)):
        value.tofile(feed / f"input_{i}.bin")


def attempt(command, environment):
    """A process of a peer, which may not take the model: its figures, or why there are none."""
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode == 0 and lines:
        return json.loads(lines[-1])
    words = (done.stderr or done.stdout).strip().splitlines()
    return {"error": words[-1][-200:] if words else f"exit status {done.returncode}"}


def measure(model, args, folder, known):
    """All rounds of one model; adds to what is known of it: figures by engine."""
    feed = folder / "feed"
    feed.mkdir()
    write_inputs(model, feed)
    expected = None
    for turn in range(args.rounds):
        for engine in ["xnnpack", *args.engines]:
            row = known.setdefault(engine, {})
            if "error" in row:
                continue
            cache = folder / engine
            # The first process of an engine finds no compiled shaders.
            runs = [0] if not cache.exists() and engine != "xnnpack" else []
            cache.mkdir(exist_ok=True)
            environment = dict(os.environ, MESA_SHADER_CACHE_DIR=str(cache), XDG_CACHE_HOME=str(cache))
            for invokes in runs + [args.invokes]:
                figures = attempt(command(engine, model, feed, invokes, args), environment)
                found = outputs(feed)
                if "error" in figures:
                    row["error"] = figures["error"]
                    break
                expected = expected or found
                row["cosine"] = min(row.get("cosine", 1.0), cosine(found, expected))
                keep(row, figures, "cold_ms" if invokes == 0 else "warm_ms")
        print(json.dumps({"model": pathlib.Path(model).stem, "round": turn + 1, **known}), flush=True)


def keep(row, figures, first):
    """Keeps the best of what was measured so far. A cold start is one of many, so the first counts."""
    # Ours tells both the whole process and, as the others do, by how much it has grown.
    least = [("peak_mb", figures.get("growth_mb", figures.get("peak_mb")))]
    if first == "cold_ms":
        row.setdefault("cold_ms", figures["first_ms"])
    else:
        least += [("ms", figures["min_ms"]), ("warm_ms", figures["first_ms"])]
    for key, value in least:
        if value is not None:
            row[key] = min(row.get(key, value), value)
    for key in ("adapter", "driver", "dispatches", "pipelines", "gpu_nodes", "nodes"):
        if key in figures:
            row[key] = figures[key]


def table(results):
    """Rows by model and engine."""
    def cell(value, digits=0):
        return "–" if value is None else f"{value:.{digits}f}"

    text = HEAD
    for model, engines in results.items():
        base = engines.get("xnnpack", {}).get("ms")
        for engine, row in engines.items():
            if "error" in row:
                text += f"| {model} | {engine} | {row['error'].replace('|', '/')} | | | | | |\n"
                continue
            ratio = row["ms"] / base if base and "ms" in row else None
            text += (f"| {model} | {engine} | {cell(row.get('ms'), 2)} | {cell(ratio, 1)} | {cell(row.get('cold_ms'))} | "
                     f"{cell(row.get('warm_ms'))} | {cell(row.get('peak_mb'))} | {cell(row.get('cosine'), 6)} |\n")
    return text


def wrong(results):
    """Engines of ours whose results are not XNNPACK's, or that did not run; a peer's fault is a row of the table."""
    rows = [(model, engine, row) for model, engines in results.items() for engine, row in engines.items()]
    return [f"{model} {engine}: {row.get('error') or row.get('cosine', 0.0)}" for model, engine, row in rows
            if engine.startswith("ours") and ("error" in row or row.get("cosine", 0.0) < LEAST_COSINE)]


def update(document, name, text):
    """Puts a table between the markers of a document."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    old = document.read_text()
    if begin not in old or end not in old:
        sys.exit(f"{document} has no {begin} and {end}")
    head, rest = old.split(begin, 1)
    document.write_text(f"{head}{begin}\n{text}{end}{rest.split(end, 1)[1]}")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("models", nargs="*")
    ap.add_argument("--program", default="target/release/examples/bench_model")
    ap.add_argument("--engines", default="ours-f16", help="separated by commas")
    ap.add_argument("--adapter", default="", help="part of the adapter's name, or its position")
    ap.add_argument("--option", action="append", default=[], help="further options of the delegate, key=value")
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--invokes", type=int, default=30)
    ap.add_argument("--results", type=pathlib.Path, help="figures of earlier runs, to which these are added")
    ap.add_argument("--update", type=pathlib.Path, metavar="DOCUMENT", help="write the table into a document")
    ap.add_argument("--table", default="lavapipe", help="name of the table in the document's markers")
    ap.add_argument("--plot", type=pathlib.Path, metavar="FILE", help="draw the ratios")
    args = ap.parse_args()
    args.engines = [engine for engine in args.engines.split(",") if engine]
    results = {}
    if args.results and args.results.exists():
        results = json.loads(args.results.read_text())
    for model in args.models:
        with tempfile.TemporaryDirectory() as folder:
            measure(model, args, pathlib.Path(folder), results.setdefault(pathlib.Path(model).stem, {}))
        if args.results:
            args.results.write_text(json.dumps(results, indent=1))
    if not results:
        sys.exit("there are no figures: no model was given, and no earlier run has left any")
    print(table(results))
    if args.update:
        update(args.update, f"gpu {args.table}", table(results))
    if args.plot:
        args.plot.write_text(ratio_plot.svg(results, args.table))
    found = wrong(results)
    for line in found:
        print(f"wrong: {line}", file=sys.stderr)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
