#!/usr/bin/env python3
"""One process of another engine: runs a model and prints one JSON line, as `bench_model` does.

    python benches/peers.py ENGINE MODEL.tflite --invokes 30 [--feed FOLDER] [--threads 1]

Engines: `xnnpack` and `reference` (ai-edge-litert's interpreter with and without XNNPACK), `litert-f16` and `litert-f32`
(the GPU accelerator of the same package), `ncnn-f16` and `ncnn-f32` (ncnn with Vulkan; f16 is storage, sums are f32).
Inputs are the files input_0.bin … of the feed's folder, outputs are written there as output_0.bin …; without one they are
made up. Times begin when the engine's libraries are loaded, and `peak_mb` is what the process has grown by since.
"""
import argparse
import json
import pathlib
import resource
import tempfile
import time

import numpy as np

ENGINES = ["xnnpack", "reference", "litert-f16", "litert-f32", "ncnn-f16", "ncnn-f32"]


def peak_mb():
    """The most memory that this process has had so far, where the system tells. (`getrusage` would tell that of the
    process that started this one, if it was more.)"""
    try:
        status = pathlib.Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM:")), 0.0)


def forgotten_peak_mb():
    """What this process has now, which counts as the most that it has had from now on, where the system can."""
    try:
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass
    return peak_mb()


def made_up(shape, dtype, rng):
    """Floats in -1..1, integers 0 or 1."""
    if np.dtype(dtype).kind == "f":
        return rng.uniform(-1, 1, shape).astype(dtype)
    return rng.integers(0, 2, shape).astype(dtype)


def inputs(model, feed):
    """A value for each of the model's inputs."""
    from ai_edge_litert.interpreter import Interpreter

    details = Interpreter(model).get_input_details()
    rng = np.random.default_rng(0)
    values = []
    for i, info in enumerate(details):
        if feed:
            values.append(np.fromfile(feed / f"input_{i}.bin", info["dtype"]).reshape(info["shape"]))
        else:
            values.append(made_up(info["shape"], info["dtype"], rng))
    return values


def timed(start, invoke, invokes):
    """The first result's time since `start`, and the best of `invokes` further ones; with the outputs."""
    outputs = invoke()
    first, times = time.perf_counter() - start, []
    for _ in range(invokes):
        begin = time.perf_counter()
        invoke()
        times.append(time.perf_counter() - begin)
    return {"first_ms": first * 1e3, "min_ms": min(times, default=0.0) * 1e3}, outputs


def interpreter(model, values, invokes, threads, reference):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolver = OpResolverType.BUILTIN_REF if reference else OpResolverType.AUTO
    before, start = forgotten_peak_mb(), time.perf_counter()
    runner = Interpreter(model, num_threads=threads, experimental_op_resolver_type=resolver)
    runner.allocate_tensors()
    slots = [info["index"] for info in runner.get_input_details()]
    results = [info["index"] for info in runner.get_output_details()]

    for slot, value in zip(slots, values):
        runner.set_tensor(slot, value)
    figures, _ = timed(start, runner.invoke, invokes)
    return figures | {"peak_mb": peak_mb() - before}, [runner.get_tensor(slot) for slot in results]


def litert(model, values, invokes, half):
    from ai_edge_litert.compiled_model import CompiledModel
    from ai_edge_litert.hardware_accelerator import HardwareAccelerator
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_litert.options import Options

    infos = Interpreter(model).get_output_details()
    before, start = forgotten_peak_mb(), time.perf_counter()
    options = Options.create()
    options.hardware_accelerators = HardwareAccelerator.GPU
    options.gpu_options.enforce_f32 = not half
    runner = CompiledModel.from_file(model, options=options)
    sources, results = runner.create_input_buffers(0), runner.create_output_buffers(0)

    def invoke():
        for buffer, value in zip(sources, values):
            buffer.write(value)
        runner.run_by_index(0, sources, results)
        return [buffer.read(int(np.prod(info["shape"])), info["dtype"]) for buffer, info in zip(results, infos)]

    figures, outputs = timed(start, invoke, invokes)
    return figures | {"peak_mb": peak_mb() - before}, outputs


def ncnn(model, values, invokes, half):
    import ncnn as engine
    import ncnn_model

    with tempfile.TemporaryDirectory() as folder:
        param, weights = f"{folder}/model.param", f"{folder}/model.bin"
        writer, sources, outputs = ncnn_model.convert(model, param, weights)
        # A Mat does not keep the array that it is made from, so that this one must outlive it.
        arrays = [writer.fed(value, t) for value, t in zip(values, writer.graph.inputs)]
        mats = [engine.Mat(array).clone() for array in arrays]
        before, start = forgotten_peak_mb(), time.perf_counter()
        net = engine.Net()
        net.opt.use_vulkan_compute = True
        net.opt.use_fp16_packed = net.opt.use_fp16_storage = half
        net.opt.use_fp16_arithmetic = False
        if net.load_param(param) or net.load_model(weights):
            raise SystemExit("ncnn does not take the network")

    def invoke():
        run = net.create_extractor()
        for source, mat in zip(sources, mats):
            run.input(source, mat)
        return [writer.read(np.array(run.extract(name)[1]), t) for name, t in zip(outputs, writer.graph.outputs)]

    figures, found = timed(start, invoke, invokes)
    device = engine.get_gpu_info(0).device_name() if engine.get_gpu_count() else "none"
    return figures | {"peak_mb": peak_mb() - before, "adapter": device}, found


def run(engine, model, feed, invokes, threads):
    """Figures of one engine."""
    name, _, precision = engine.partition("-")
    values = inputs(model, feed)
    if name == "ncnn":
        figures, outputs = ncnn(model, values, invokes, precision == "f16")
    elif name == "litert":
        figures, outputs = litert(model, values, invokes, precision == "f16")
    else:
        figures, outputs = interpreter(model, values, invokes, threads, name == "reference")
    if feed:
        for i, output in enumerate(outputs):
            np.ascontiguousarray(output).tofile(feed / f"output_{i}.bin")
    return figures


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("engine", choices=ENGINES)
    ap.add_argument("model")
    ap.add_argument("--invokes", type=int, default=30)
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--feed", type=pathlib.Path)
    args = ap.parse_args()
    print("\n" + json.dumps(run(args.engine, args.model, args.feed, args.invokes, args.threads)), flush=True)


if __name__ == "__main__":
    main()
