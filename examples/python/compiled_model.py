"""Runs a .tflite file with LiteRT's CompiledModel on the GPU: `compiled_model.py MODEL`.

Options of the plugin go into the variable TFLITE_WGPU_OPTIONS, such as `precision=f32;log_level=info`.
"""
import sys

import numpy as np
import tflite_wgpu
from ai_edge_litert.compiled_model import CompiledModel
from ai_edge_litert.environment import Environment
from ai_edge_litert.hardware_accelerator import HardwareAccelerator


def main():
    environment = Environment.create(runtime_path=tflite_wgpu.runtime_path())
    accelerators = HardwareAccelerator.GPU | HardwareAccelerator.CPU
    model = CompiledModel.from_file(sys.argv[1], hardware_accel=accelerators, environment=environment)
    inputs, outputs = model.create_input_buffers(0), model.create_output_buffers(0)
    floats = [model.get_input_buffer_requirements(0, place)["buffer_size"] // 4 for place in range(len(inputs))]
    for buffer, count in zip(inputs, floats):
        buffer.write(np.sin(0.1 * np.arange(count)).astype(np.float32))
    model.run_by_index(0, inputs, outputs)
    for place, buffer in enumerate(outputs):
        count = model.get_output_buffer_requirements(place, 0)["buffer_size"] // 4
        values = np.asarray(buffer.read(count, np.float32))
        print(f"output {place}: {count} values, between {values.min():.3g} and {values.max():.3g}")


main()
