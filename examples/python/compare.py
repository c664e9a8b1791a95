"""Runs a .tflite file with the delegate in the runtime that is installed, and without: `compare.py MODEL [key=value]…`"""
import sys

import numpy as np
import tflite_wgpu

try:
    from ai_edge_litert.interpreter import Interpreter
except ImportError:
    from tflite_runtime.interpreter import Interpreter


def run(model, delegates, values):
    interpreter = Interpreter(model_path=model, experimental_delegates=delegates)
    interpreter.allocate_tensors()
    for details, value in zip(interpreter.get_input_details(), values):
        interpreter.set_tensor(details["index"], value)
    interpreter.invoke()
    return [interpreter.get_tensor(details["index"]) for details in interpreter.get_output_details()]


def main():
    model, *words = sys.argv[1:]
    generator = np.random.default_rng(0)
    inputs = Interpreter(model_path=model).get_input_details()
    values = [generator.uniform(-1, 1, details["shape"]).astype(details["dtype"]) for details in inputs]
    delegate = tflite_wgpu.load_delegate(**dict(word.split("=", 1) for word in words))
    for place, (gpu, cpu) in enumerate(zip(run(model, [delegate], values), run(model, [], values))):
        difference = np.abs(gpu.astype(float) - cpu.astype(float)).max()
        print(f"output {place}: {gpu.size} values, largest difference from the CPU {difference:.2g}")


main()
