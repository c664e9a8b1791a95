//! tflite-wgpu.
