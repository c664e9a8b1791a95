"""TensorFlow Lite models on any GPU, inside the official runtimes."""
from ._library import VERSION as __version__
from ._library import devices, library_path, load_delegate, runtime_path, verify

__all__ = ["__version__", "devices", "library_path", "load_delegate", "runtime_path", "verify"]
