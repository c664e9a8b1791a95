"""Builds the library into the wheel: `cargo xtask plugin`, or TFLITE_WGPU_LIBRARY_DIR with what it made before."""
import os
import pathlib
import shutil
import subprocess

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

HERE = pathlib.Path(__file__).resolve().parent


class BuildLibrary(build_py):
    """Puts the native library beside the modules."""

    def run(self):
        super().run()
        out = pathlib.Path(self.build_lib, "tflite_wgpu", "lib").resolve()
        made = os.environ.get("TFLITE_WGPU_LIBRARY_DIR")
        if made:
            shutil.copytree(made, out, dirs_exist_ok=True)
        else:
            subprocess.run(["cargo", "xtask", "plugin", "--out", str(out)], cwd=HERE.parent, check=True)


class PlatformWheel(bdist_wheel):
    """One wheel for all Pythons of a platform."""

    def finalize_options(self):
        super().finalize_options()
        self.root_is_pure = False

    def get_tag(self):
        return ("py3", "none", super().get_tag()[2])


class NativeDistribution(Distribution):
    """Says that the wheel has native code."""

    def has_ext_modules(self):
        return True


setup(cmdclass={"build_py": BuildLibrary, "bdist_wheel": PlatformWheel}, distclass=NativeDistribution)
