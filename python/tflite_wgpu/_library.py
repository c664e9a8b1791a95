"""The native library: finding it, checking its version, calling it."""
from __future__ import annotations

import ctypes
import functools
import importlib
import json
import os
import pathlib
import sys
from typing import Any

VERSION = "0.1.0"

_NAMES = {"win32": "tflite_wgpu_delegate.dll", "darwin": "libtflite_wgpu_delegate.dylib"}
_LOADERS = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter", "tensorflow")


class LibraryError(RuntimeError):
    """The native library is missing, of another version, or could not do what it was asked for."""


def runtime_path() -> str:
    """Folder with the libraries: `Environment.create(runtime_path=…)` finds LiteRT's GPU accelerator there.

    TFLITE_WGPU_LIBRARY_DIR names another folder.
    """
    return os.environ.get("TFLITE_WGPU_LIBRARY_DIR") or str(pathlib.Path(__file__).resolve().parent / "lib")


def library_path() -> str:
    """The library as an external delegate.

    Raises:
        LibraryError: it is not there.
    """
    path = pathlib.Path(runtime_path(), _NAMES.get(sys.platform, "libtflite_wgpu_delegate.so"))
    if not path.is_file():
        raise LibraryError(f"{path} is missing, expected the native library; `pip install ./python` builds it")
    return str(path)


@functools.cache
def _library(path: str) -> ctypes.CDLL:
    library = ctypes.CDLL(path)
    library.tflite_wgpu_version.restype = ctypes.c_char_p
    found = library.tflite_wgpu_version().decode()
    if found != VERSION:
        raise LibraryError(f"{path} has version {found}, expected {VERSION}")
    texts = ctypes.POINTER(ctypes.c_char_p)
    library.tflite_wgpu_devices.restype = ctypes.c_void_p
    library.tflite_wgpu_verify.restype = ctypes.c_void_p
    library.tflite_wgpu_verify.argtypes = [ctypes.c_char_p, texts, texts, ctypes.c_size_t]
    library.tflite_wgpu_free.argtypes = [ctypes.c_void_p]
    return library


def _json(library: ctypes.CDLL, text: int | None) -> dict[str, Any]:
    if not text:
        raise LibraryError("the library gave no answer, expected JSON")
    try:
        answer = json.loads(ctypes.string_at(text))
    finally:
        library.tflite_wgpu_free(text)
    if "error" in answer:
        raise LibraryError(answer["error"])
    return answer


def _word(value: object) -> str:
    """An option's value as the library reads it."""
    if isinstance(value, (list, tuple, set)):
        return ",".join(str(item) for item in value)
    return str(value)


def load_delegate(**options: object) -> Any:
    """A delegate for `Interpreter(…, experimental_delegates=[delegate])` of the runtime that is installed.

    Options are those of docs/delegate.md, such as `precision="f16"`, `adapter="NVIDIA"`, `fallback=True`.

    Raises:
        ValueError: an option is unknown or has a wrong value.
        LibraryError: the native library or a runtime is missing.
    """
    path = library_path()
    _library(path)
    words = {key: _word(value) for key, value in options.items()}
    for name in _LOADERS:
        try:
            module = importlib.import_module(name)
        except ImportError:
            continue
        load = module.lite.experimental.load_delegate if name == "tensorflow" else module.load_delegate
        return load(path, words)
    raise LibraryError("no runtime is installed, expected ai-edge-litert, tflite-runtime or tensorflow")


def devices() -> list[dict[str, Any]]:
    """The adapters of this machine, best first."""
    library = _library(library_path())
    return _json(library, library.tflite_wgpu_devices())["adapters"]


def verify(model: str | os.PathLike[str], **options: object) -> dict[str, Any]:
    """Compares the GPU with the reference interpreter on random inputs, step by step.

    Returns `passed`, `gpu_nodes`, `cpu_nodes`, `outputs` with their figures, and `first_off`: the nodes of the first
    step that is off, or None.

    Raises:
        LibraryError: the model or the device fails.
    """
    library = _library(library_path())
    pairs = [(key.encode(), _word(value).encode()) for key, value in options.items()]
    texts = ctypes.c_char_p * len(pairs)
    keys, values = texts(*(key for key, _ in pairs)), texts(*(value for _, value in pairs))
    return _json(library, library.tflite_wgpu_verify(os.fsencode(model), keys, values, len(pairs)))
