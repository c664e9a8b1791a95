"""Calls an entry of the library twice, as a host would; the last line of standard output is JSON.

    entries.py LIBRARY ENTRY MODEL FOLDER

These are entries that no scenario of `host.py` reaches at will, because hosts call them where they like, or never.
`statuses` has what the calls returned, `answers` what they left behind. MODEL has a tensor that goes from one of our
partitions to another; its value is read with `copy_from_buffer_handle`, after a run with FOLDER/in_0.bin.
"""
import ctypes
import json
import pathlib
import struct
import sys

import numpy as np

# Offsets in TfLiteDelegate and LiteRtAcceleratorDef, and what a TfLiteTensor is made of.
CALLBACKS = {"copy_from_buffer_handle": 16, "copy_to_buffer_handle": 24, "free_buffer_handle": 32}
QUESTIONS = {"get_name": 8, "get_version": 16, "get_hardware_support": 24, "is_responsible_for_jit": 32}
CREATE = 40
TENSOR_BYTES, FLOAT32, DYNAMIC = 112, 1, 4
# LiteRT's table of functions: its size, and where it has `wrap_delegate`.
TABLE_BYTES, WRAP = 416, 144

POINTER, INT = ctypes.c_void_p, ctypes.c_int


def function(address, result, *arguments):
    return ctypes.CFUNCTYPE(result, *arguments)(POINTER.from_address(address).value)


def delegate_of(library):
    create = library.tflite_plugin_create_delegate
    create.restype, create.argtypes = POINTER, [POINTER, POINTER, ctypes.c_size_t, POINTER]
    return create(None, None, 0, None)


def run(path, model, folder):
    """An interpreter that has run, so that values of it are on the device."""
    try:
        from ai_edge_litert import interpreter as tflite
    except ImportError:
        from tflite_runtime import interpreter as tflite
    delegate = tflite.load_delegate(path, {"precision": "f32"})
    interpreter = tflite.Interpreter(model_path=model, experimental_delegates=[delegate])
    interpreter.allocate_tensors()
    details = interpreter.get_input_details()[0]
    values = np.fromfile(folder / "in_0.bin", np.float32).reshape(details["shape"])
    interpreter.set_tensor(details["index"], values)
    interpreter.invoke()
    return interpreter, values.size


def copy_from(path, library, model, folder):
    # The first handle of a process is 1.
    interpreter, count = run(path, model, folder)
    call = function(delegate_of(library) + CALLBACKS["copy_from_buffer_handle"], INT, POINTER, POINTER, INT, POINTER)
    statuses, answers = [], []
    for _ in range(2):
        values = (ctypes.c_float * count)()
        tensor = ctypes.create_string_buffer(TENSOR_BYTES)
        # Type and address at its beginning, then where its memory comes from, and how much there is.
        struct.pack_into("<iiQ", tensor, 0, FLOAT32, 0, ctypes.addressof(values))
        struct.pack_into("<i4xQ", tensor, 32, DYNAMIC, 4 * count)
        statuses.append(call(None, None, 1, tensor))
        answers.append(list(values))
    # What nobody has, and nothing to put it into.
    refused = [call(None, None, 1 << 20, tensor), call(None, None, 1, None)]
    del interpreter
    return statuses, answers, refused


def copy_to(library):
    call = function(delegate_of(library) + CALLBACKS["copy_to_buffer_handle"], INT, POINTER, POINTER, INT, POINTER)
    return [call(None, None, 1, None) for _ in range(2)], [], []


def free_handle(library):
    call = function(delegate_of(library) + CALLBACKS["free_buffer_handle"], None, POINTER, POINTER, POINTER)
    answers = []
    for _ in range(2):
        handle = INT(7)
        call(None, None, ctypes.byref(handle))
        answers.append(handle.value)
    call(None, None, None)
    return [], answers, []


def accelerator(library):
    return ctypes.addressof(ctypes.c_char.in_dll(library, "LiteRtAcceleratorImpl"))


def ask(library, entry):
    call = function(accelerator(library) + QUESTIONS[entry], INT, POINTER, POINTER)
    statuses, answers = [], []
    for _ in range(2):
        place = ctypes.create_string_buffer(16)
        statuses.append(call(None, place))
        if entry == "get_name":
            address = struct.unpack_from("<Q", place)[0]
            answers.append(ctypes.string_at(address).decode() if address else None)
        elif entry == "is_responsible_for_jit":
            answers.append(place.raw[0])
        else:
            answers.append(list(struct.unpack_from("<3i" if entry == "get_version" else "<i", place)))
    return statuses, answers, [call(None, None)]


def accelerate(library):
    wrapped = []

    @ctypes.CFUNCTYPE(INT, POINTER, POINTER, POINTER)
    def wrap(delegate, deleter, out):
        POINTER.from_address(out).value = delegate
        wrapped.append((delegate, deleter))
        return 0

    table = ctypes.create_string_buffer(TABLE_BYTES)
    struct.pack_into("<4H", table, 0, TABLE_BYTES, 1, 2, 0)
    struct.pack_into("<Q", table, WRAP, ctypes.cast(wrap, POINTER).value)
    call = function(accelerator(library) + CREATE, INT, *[POINTER] * 5)
    statuses, answers = [], []
    for _ in range(2):
        out = POINTER()
        statuses.append(call(table, None, None, None, ctypes.byref(out)))
        answers.append(out.value is not None)
    for delegate, deleter in wrapped:
        ctypes.CFUNCTYPE(None, POINTER)(deleter)(delegate)
    return statuses, answers, [call(None, None, None, None, None)]


def main(path, entry, model, folder):
    library = ctypes.CDLL(path)
    if entry == "copy_from_buffer_handle":
        found = copy_from(path, library, model, pathlib.Path(folder))
    elif entry == "copy_to_buffer_handle":
        found = copy_to(library)
    elif entry == "free_buffer_handle":
        found = free_handle(library)
    elif entry == "accelerate":
        found = accelerate(library)
    else:
        found = ask(library, entry)
    print(json.dumps(dict(zip(("statuses", "answers", "refused"), found))), flush=True)


main(*sys.argv[1:])
