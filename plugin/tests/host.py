"""One scenario inside an official runtime; the last line of standard output is JSON.

    host.py run LIBRARY MODEL FOLDER [--shape 2,8,8,1]… [--plain] [key=value]…
    host.py compiled FOLDER_OF_LIBRARY MODEL FOLDER [gpu|gpu+cpu]
    host.py refuse LIBRARY [key=value]…
    host.py twice LIBRARY MODEL FOLDER [key=value]…
    host.py alive LIBRARY MODEL FOLDER COUNT CYCLES
    host.py threads LIBRARY MODEL FOLDER COUNT INVOKES

`run` reads FOLDER/in_K.bin for every --shape (the model's own shape without one), resizes, invokes, and writes
FOLDER/out_K.bin of the last one. Values are float32.

`twice` does everything anew once more, whatever became of the first time, and writes FOLDER/out_N.bin each time.

`alive` keeps COUNT interpreters with a delegate each, says in how many the outputs are as in the first one, makes and
ends as many more as CYCLES says, tells the resident bytes after each of them, and leaves the interpreters to the
process's end.

`threads` lets COUNT threads with an interpreter each invoke INVOKES times at once, with one delegate for all and then
with one for each; thread N reads FOLDER/in_N.bin, and `same` says how many results are as when it ran by itself.
"""
import gc
import importlib
import json
import pathlib
import sys
import threading

import numpy as np


def runtime():
    for name in ("ai_edge_litert.interpreter", "tflite_runtime.interpreter"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    sys.exit("no runtime in this environment")


def options(words):
    return dict(word.split("=", 1) for word in words)


def run(library, model, folder, shapes, plain, words):
    tflite = runtime()
    delegates = [] if plain else [tflite.load_delegate(library, options(words))]
    interpreter = tflite.Interpreter(model_path=model, experimental_delegates=delegates)
    operators = [details["op_name"] for details in interpreter._get_ops_details()]
    shapes = shapes or [tuple(interpreter.get_input_details()[0]["shape"])]
    results = []
    for number, shape in enumerate(shapes):
        index = interpreter.get_input_details()[0]["index"]
        interpreter.resize_tensor_input(index, shape)
        interpreter.allocate_tensors()
        values = np.fromfile(folder / f"in_{number}.bin", np.float32).reshape(shape)
        for _ in range(2):
            interpreter.set_tensor(index, values)
            interpreter.invoke()
        results = [interpreter.get_tensor(output["index"]) for output in interpreter.get_output_details()]
        for place, result in enumerate(results):
            result.tofile(folder / f"out_{number}_{place}.bin")
    return {"operators": operators, "shapes": [list(result.shape) for result in results]}


def compiled(folder_of_library, model, folder, accelerators):
    from ai_edge_litert.compiled_model import CompiledModel
    from ai_edge_litert.environment import Environment
    from ai_edge_litert.hardware_accelerator import HardwareAccelerator

    wanted = HardwareAccelerator.GPU
    if accelerators == "gpu+cpu":
        wanted |= HardwareAccelerator.CPU
    environment = Environment.create(runtime_path=folder_of_library)
    made = CompiledModel.from_file(model, hardware_accel=wanted, environment=environment)
    inputs, outputs = made.create_input_buffers(0), made.create_output_buffers(0)
    inputs[0].write(np.fromfile(folder / "in_0.bin", np.float32))
    made.run_by_index(0, inputs, outputs)
    count = made.get_output_buffer_requirements(0, 0)["buffer_size"] // 4
    np.asarray(outputs[0].read(count, np.float32)).tofile(folder / "out_0_0.bin")
    return {"count": count}


def invoked(library, model, folder, words):
    """An interpreter that has run FOLDER/in_0.bin, and how many partitions our delegate has."""
    tflite = runtime()
    delegates = [tflite.load_delegate(library, options(words))]
    interpreter = tflite.Interpreter(model_path=model, experimental_delegates=delegates)
    # The runtime's own delegate comes when tensors are allocated.
    partitions = sum(details["op_name"] == "DELEGATE" for details in interpreter._get_ops_details())
    interpreter.allocate_tensors()
    details = interpreter.get_input_details()[0]
    values = np.fromfile(folder / "in_0.bin", np.float32).reshape(details["shape"])
    interpreter.set_tensor(details["index"], values)
    interpreter.invoke()
    return interpreter, partitions


def output(interpreter):
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def twice(library, model, folder, words):
    messages, partitions = [], []
    for number in range(2):
        try:
            interpreter, count = invoked(library, model, folder, words)
            output(interpreter).tofile(folder / f"out_{number}.bin")
            partitions.append(count)
            interpreter = None
            messages.append(None)
        except (RuntimeError, ValueError) as error:
            messages.append(str(error))
            partitions.append(0)
    return {"messages": messages, "partitions": partitions}


def resident():
    try:
        return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * 4096
    except OSError:
        return 0


KEPT = []


def alive(library, model, folder, count, cycles):
    KEPT.extend(invoked(library, model, folder, []) for _ in range(count))
    first = output(KEPT[0][0])
    same = sum(int(np.array_equal(output(kept), first)) for kept, _ in KEPT)
    sizes = []
    for _ in range(cycles):
        interpreter, _ = invoked(library, model, folder, [])
        same += int(np.array_equal(output(interpreter), first))
        interpreter = None
        gc.collect()
        sizes.append(resident())
    return {"same": same, "partitions": sum(partitions for _, partitions in KEPT), "sizes": sizes}


def threads(library, model, folder, count, invokes):
    tflite = runtime()

    def load():
        return tflite.load_delegate(library, {"precision": "f32"})

    def start(number, delegate):
        interpreter = tflite.Interpreter(model_path=model, experimental_delegates=[delegate])
        interpreter.allocate_tensors()
        details = interpreter.get_input_details()[0]
        values = np.fromfile(folder / f"in_{number}.bin", np.float32).reshape(details["shape"])
        return interpreter, details["index"], values

    def invoke(interpreter, index, values):
        interpreter.set_tensor(index, values)
        interpreter.invoke()
        return output(interpreter)

    alone = [invoke(*start(number, load())) for number in range(count)]
    found = []

    def work(number, delegate):
        begun = start(number, delegate)
        for _ in range(invokes):
            found.append(bool(np.array_equal(invoke(*begun), alone[number])))

    for delegates in ([load()] * count, [load() for _ in range(count)]):
        workers = [threading.Thread(target=work, args=pair) for pair in enumerate(delegates)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    different = len({values.tobytes() for values in alone})
    return {"same": sum(found), "different": different}


def refuse(library, words):
    tflite = runtime()
    try:
        tflite.load_delegate(library, options(words))
    except ValueError as error:
        return {"message": str(error)}
    return {"message": None}


def main(words):
    shapes, plain, rest = [], False, []
    words = iter(words)
    for word in words:
        if word == "--shape":
            shapes.append(tuple(int(size) for size in next(words).split(",")))
        elif word == "--plain":
            plain = True
        else:
            rest.append(word)
    if rest[0] == "run":
        answer = run(rest[1], rest[2], pathlib.Path(rest[3]), shapes, plain, rest[4:])
    elif rest[0] == "compiled":
        answer = compiled(rest[1], rest[2], pathlib.Path(rest[3]), rest[4])
    elif rest[0] == "twice":
        answer = twice(rest[1], rest[2], pathlib.Path(rest[3]), rest[4:])
    elif rest[0] == "alive":
        answer = alive(rest[1], rest[2], pathlib.Path(rest[3]), int(rest[4]), int(rest[5]))
    elif rest[0] == "threads":
        answer = threads(rest[1], rest[2], pathlib.Path(rest[3]), int(rest[4]), int(rest[5]))
    else:
        answer = refuse(rest[1], rest[2:])
    print(json.dumps(answer), flush=True)


main(sys.argv[1:])
