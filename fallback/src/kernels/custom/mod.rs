//! Custom operators that are known by their names, whoever registers them elsewhere.

mod audio;
mod checks;
mod detection;
mod landmarks;
mod pooling;
mod roll;
mod signal;
mod signal_frames;
mod tf_pools;
mod transpose_bias;
mod warp;

use tflite_wgpu_model::Op;

use super::flexbuffer::{self, Flex};
use super::support::refuse;
use super::{CustomRow, EvalCtx, KernelError};

pub(super) const ROWS: &[CustomRow] = &[
    CustomRow { name: "TFLite_Detection_PostProcess", eval: detection::eval },
    CustomRow { name: "Convolution2DTransposeBias", eval: transpose_bias::eval },
    CustomRow { name: "MaxPoolingWithArgmax2D", eval: pooling::max_with_position },
    CustomRow { name: "MaxUnpooling2D", eval: pooling::unpool },
    CustomRow { name: "Landmarks2TransformMatrix", eval: landmarks::to_matrix },
    CustomRow { name: "TransformLandmarks", eval: landmarks::transform },
    CustomRow { name: "TransformTensorBilinear", eval: warp::bilinear },
    CustomRow { name: "Resampler", eval: warp::resampler },
    CustomRow { name: "DenseImageWarp", eval: warp::dense_image_warp },
    CustomRow { name: "AvgPool3D", eval: tf_pools::average_3d },
    CustomRow { name: "MaxPool3D", eval: tf_pools::max_3d },
    CustomRow { name: "MaxPoolWithArgmax", eval: tf_pools::max_with_index },
    CustomRow { name: "Roll", eval: roll::eval },
    CustomRow { name: "AudioSpectrogram", eval: audio::spectrogram },
    CustomRow { name: "Mfcc", eval: audio::mfcc },
    CustomRow { name: "NumericVerify", eval: checks::numeric_verify },
    CustomRow { name: "aeq.hadamard_rotation", eval: checks::hadamard },
    CustomRow { name: "BroadcastGradientArgs", eval: checks::broadcast_gradient_args },
    CustomRow { name: "SignalWindow", eval: signal::window },
    CustomRow { name: "SignalFftAutoScale", eval: signal::auto_scale },
    CustomRow { name: "SignalEnergy", eval: signal::energy },
    CustomRow { name: "SignalFilterBank", eval: signal::filter_bank },
    CustomRow { name: "SignalFilterBankSquareRoot", eval: signal::square_root },
    CustomRow { name: "SignalFilterBankSpectralSubtraction", eval: signal::spectral_subtraction },
    CustomRow { name: "SignalPCAN", eval: signal::pcan },
    CustomRow { name: "SignalFilterBankLog", eval: signal::filter_bank_log },
    CustomRow { name: "SignalDelay", eval: signal_frames::delay },
    CustomRow { name: "SignalFramer", eval: signal_frames::framer },
    CustomRow { name: "SignalStacker", eval: signal_frames::stacker },
    CustomRow { name: "SignalOverlapAdd", eval: signal_frames::overlap_add },
    CustomRow { name: "SignalRfft", eval: signal_frames::rfft },
    CustomRow { name: "SignalIrfft", eval: signal_frames::irfft },
];

/// The bytes of the node's options.
fn bytes<'a>(ctx: &EvalCtx<'a>) -> &'a [u8] {
    match &ctx.node.op {
        Op::Custom { options, .. } => options,
        _ => &[],
    }
}

/// The options as a map.
fn map<'a>(ctx: &EvalCtx<'a>) -> Result<Options<'a>, KernelError> {
    let bytes = bytes(ctx);
    let map = flexbuffer::root(bytes).ok_or_else(|| refuse("options", format!("{} bytes", bytes.len()), "a map"))?;
    Ok(Options(map))
}

/// Options by name.
#[derive(Clone, Copy)]
struct Options<'a>(Flex<'a>);

impl Options<'_> {
    fn find<T>(&self, name: &str, kind: &str, read: impl Fn(Flex<'_>) -> Option<T>) -> Result<T, KernelError> {
        match self.0.get(name) {
            None => Err(refuse(format!("option {name}"), "missing", kind)),
            Some(value) => read(value).ok_or_else(|| refuse(format!("option {name}"), format!("{value:?}"), kind)),
        }
    }

    fn size(&self, name: &str) -> Result<usize, KernelError> {
        self.find(name, "a size", |value| usize::try_from(value.int()?).ok())
    }

    fn float(&self, name: &str) -> Result<f32, KernelError> {
        self.find(name, "a number", |value| value.float().map(|v| v as f32))
    }

    fn sizes(&self, name: &str) -> Result<Vec<usize>, KernelError> {
        self.find(name, "a list of sizes", |value| value.ints()?.into_iter().map(|v| usize::try_from(v).ok()).collect())
    }

    /// The option where it is there, or else `default`.
    fn truth_or(&self, name: &str, default: bool) -> bool {
        self.0.get(name).and_then(Flex::truth).unwrap_or(default)
    }

    /// The option where it is there, or else `default`.
    fn size_or(&self, name: &str, default: usize) -> Result<usize, KernelError> {
        if self.0.get(name).is_some() { self.size(name) } else { Ok(default) }
    }
}

/// Options that are a C struct of INT32 with at least `N` fields.
fn fields<const N: usize>(ctx: &EvalCtx<'_>) -> Result<[i32; N], KernelError> {
    let bytes = bytes(ctx);
    let (words, _) = bytes.as_chunks::<4>();
    let first = words.first_chunk::<N>();
    let first = first.ok_or_else(|| refuse("options", format!("{} bytes", bytes.len()), format!("{N} INT32")))?;
    Ok(first.map(i32::from_le_bytes))
}

/// Padding as the runtime's C header numbers it.
fn padding(code: i32) -> Result<tflite_wgpu_model::Padding, KernelError> {
    match code {
        1 => Ok(tflite_wgpu_model::Padding::Same),
        2 => Ok(tflite_wgpu_model::Padding::Valid),
        other => Err(refuse("padding", other, "1 (SAME) or 2 (VALID)")),
    }
}
