//! Pictures as inputs: resized to the input's shape and normalised.

use std::path::Path;

use half::f16;
use image::{DynamicImage, imageops::FilterType};
use tflite_wgpu::{
    Value,
    model::{DType, Dim, Shape},
};

use super::{
    entry::Port,
    failure::{Failure, Res},
};

/// What becomes of a picture's values of 0 to 255: `(value - mean) / std`, for each channel or once for all.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalisation {
    mean: Vec<f32>,
    std: Vec<f32>,
    /// Whether the user asks for it. Quantised inputs take a picture's bytes as they are unless he does: what metadata
    /// say is of the model before its quantisation.
    given: bool,
}

impl Normalisation {
    /// The user's, else the metadata's, else to 0 to 1.
    pub fn choose(mean: &[f32], std: &[f32], port: &Port) -> Res<Self> {
        let metadata = port.metadata.as_ref().filter(|m| !m.mean.is_empty() && m.mean.len() == m.std.len());
        let or = |own: &[f32], other: f32| if own.is_empty() { vec![other] } else { own.to_vec() };
        let chosen = match metadata {
            _ if !mean.is_empty() || !std.is_empty() => {
                let std = if std.is_empty() && !mean.is_empty() { vec![1.0] } else { or(std, 1.0) };
                Self { mean: or(mean, 0.0), std, given: true }
            }
            Some(metadata) => Self { mean: metadata.mean.clone(), std: metadata.std.clone(), given: false },
            None => Self { mean: vec![0.0], std: vec![255.0], given: false },
        };
        if chosen.std.iter().any(|&s| s == 0.0 || !s.is_finite()) || chosen.mean.iter().any(|m| !m.is_finite()) {
            return Err(Failure::new(format!("option --std: {:?}, expected finite numbers other than 0", chosen.std)));
        }
        Ok(chosen)
    }

    fn apply(&self, value: u8, channel: usize) -> f32 {
        let of = |list: &[f32], default: f32| list.get(channel).or(list.first()).copied().unwrap_or(default);
        (f32::from(value) - of(&self.mean, 0.0)) / of(&self.std, 1.0)
    }
}

/// How a picture lies in a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    channels: usize,
    /// None where the shape leaves it open: the picture's own.
    height: Option<usize>,
    width: Option<usize>,
    /// Channels before rows.
    planar: bool,
}

impl Layout {
    fn of(shape: &Shape) -> Option<Self> {
        let (dims, batch) = match shape.0.as_slice() {
            [batch, rest @ ..] if rest.len() == 3 => (rest, *batch),
            dims => (dims, Dim::Known(1)),
        };
        let open = |dim: &Dim| match dim {
            Dim::Known(size) => Some(*size),
            Dim::Unknown => None,
        };
        let colours = |dim: &Dim| matches!(dim, Dim::Known(1 | 3 | 4));
        if !matches!(batch, Dim::Known(1) | Dim::Unknown) {
            return None;
        }
        let known = |dim: &Dim| open(dim).unwrap_or(3);
        Some(match dims {
            [h, w, c] if colours(c) || *c == Dim::Unknown => {
                Self { channels: known(c), height: open(h), width: open(w), planar: false }
            }
            [c, h, w] if colours(c) => Self { channels: known(c), height: open(h), width: open(w), planar: true },
            [h, w] => Self { channels: 1, height: open(h), width: open(w), planar: false },
            _ => return None,
        })
    }
}

/// Reads a picture as an input's value.
pub fn read(file: &Path, port: &Port, index: usize, shape: &Shape, normalisation: &Normalisation) -> Res<Value> {
    let layout = Layout::of(shape).ok_or_else(|| {
        let found = format!("is a picture, but {} has shape {shape}", port.describe("input", index));
        Failure::new(format!("{found}, expected one picture of 1, 3 or 4 channels (--resize changes the shape)"))
    })?;
    let picture = image::ImageReader::open(file)?.with_guessed_format()?.decode()?;
    let (height, width) =
        (layout.height.unwrap_or(picture.height() as usize), layout.width.unwrap_or(picture.width() as usize));
    let pixels = resized(&picture, layout.channels, height, width)?;
    let order = |at: usize| {
        let (pixel, channel) = (at % (height * width), at / (height * width));
        if layout.planar { (pixel * layout.channels + channel, channel) } else { (at, at % layout.channels) }
    };
    let values = (0..pixels.len()).map(order).filter_map(|(at, channel)| Some((*pixels.get(at)?, channel)));
    let dims = sizes(shape, layout, height, width);
    store(port, &dims, values, normalisation)
}

fn sizes(shape: &Shape, layout: Layout, height: usize, width: usize) -> Vec<usize> {
    let mut dims = vec![1; shape.0.len().saturating_sub(3)];
    match (layout.planar, shape.0.len()) {
        (true, _) => dims.extend([layout.channels, height, width]),
        (false, 2) => dims.extend([height, width]),
        (false, _) => dims.extend([height, width, layout.channels]),
    }
    dims
}

/// The picture's bytes, channels innermost, scaled bilinearly where the size differs.
fn resized(picture: &DynamicImage, channels: usize, height: usize, width: usize) -> Res<Vec<u8>> {
    let too_large = |_| Failure::new(format!("cannot be resized to {width} x {height}"));
    let (w, h) = (u32::try_from(width).map_err(too_large)?, u32::try_from(height).map_err(too_large)?);
    let same = picture.width() == w && picture.height() == h;
    let picture = if same { picture.clone() } else { picture.resize_exact(w, h, FilterType::Triangle) };
    Ok(match channels {
        1 => picture.into_luma8().into_raw(),
        4 => picture.into_rgba8().into_raw(),
        _ => picture.into_rgb8().into_raw(),
    })
}

fn store(port: &Port, dims: &[usize], values: impl Iterator<Item = (u8, usize)>, by: &Normalisation) -> Res<Value> {
    let real = |(value, channel)| by.apply(value, channel);
    let unsupported = || Failure::new(format!("is a picture, but input {:?} has type {}", port.name, port.dtype));
    match port.dtype {
        DType::Float32 => Ok(Value::f32(dims, &values.map(real).collect::<Vec<_>>())?),
        DType::Float16 => {
            let halves: Vec<f16> = values.map(|v| f16::from_f32(real(v))).collect();
            Ok(Value::from_slice(port.dtype, dims, &halves)?)
        }
        DType::UInt8 | DType::Int8 => {
            let scale = port.quant.as_ref().and_then(|quant| quant.per_tensor()).filter(|_| by.given);
            let signed = port.dtype == DType::Int8;
            let (low, high) = if signed { (-128.0, 127.0) } else { (0.0, 255.0) };
            let quantise = |(value, channel): (u8, usize)| {
                let q = match scale {
                    Some((scale, zero)) => (by.apply(value, channel) / scale).round() + zero as f32,
                    None => f32::from(value) + low,
                };
                q.clamp(low, high) as i16 as u8
            };
            Ok(Value::from_bytes(port.dtype, dims, &values.map(quantise).collect::<Vec<_>>())?)
        }
        _ => Err(unsupported()),
    }
}

#[cfg(test)]
mod tests {
    use tflite_wgpu::model::{Quant, QuantKind, TensorId};

    use super::*;

    fn port(dtype: DType, dims: &[usize]) -> Port {
        Port {
            name: "x".into(),
            tensor_name: "x".into(),
            tensor: TensorId(0),
            dtype,
            shape: Shape::known(dims),
            dims: dims.to_vec(),
            quant: None,
            metadata: None,
        }
    }

    fn stored(port: &Port, by: &Normalisation, pixels: &[u8]) -> Res<Value> {
        store(port, &[pixels.len()], pixels.iter().map(|&p| (p, 0)), by)
    }

    #[test]
    fn layouts_follow_from_shapes() {
        let of = |dims: &[usize]| Layout::of(&Shape::known(dims)).map(|l| (l.channels, l.height, l.width, l.planar));
        assert_eq!(of(&[1, 32, 24, 3]), Some((3, Some(32), Some(24), false)));
        assert_eq!(of(&[1, 3, 32, 24]), Some((3, Some(32), Some(24), true)));
        assert_eq!(of(&[28, 28]), Some((1, Some(28), Some(28), false)));
        assert_eq!(of(&[2, 32, 32, 3]), None);
        assert_eq!(of(&[1, 32, 32, 7]), None);
        assert_eq!(of(&[10]), None);
        let open = Shape(vec![Dim::Known(1), Dim::Unknown, Dim::Unknown, Dim::Known(3)]);
        assert_eq!(Layout::of(&open).map(|l| (l.height, l.width)), Some((None, None)));
    }

    #[test]
    fn values_are_normalised_and_quantised() -> Res<()> {
        let float = port(DType::Float32, &[3]);
        let unit = Normalisation::choose(&[], &[], &float)?;
        assert_eq!(stored(&float, &unit, &[0, 51, 255])?.as_slice::<f32>()?, [0.0, 0.2, 1.0]);
        let symmetric = Normalisation::choose(&[127.5], &[127.5], &float)?;
        assert_eq!(stored(&float, &symmetric, &[0, 255])?.as_slice::<f32>()?, [-1.0, 1.0]);
        let mut int8 = port(DType::Int8, &[3]);
        assert_eq!(stored(&int8, &unit, &[0, 128, 255])?.as_slice::<i8>()?, [-128, 0, 127]);
        assert_eq!(stored(&port(DType::UInt8, &[2]), &unit, &[7, 255])?.as_slice::<u8>()?, [7, 255]);
        let kind = QuantKind::Affine { scale: vec![0.5], zero_point: vec![3], axis: 0 };
        int8.quant = Some(Quant { kind, ..Quant::default() });
        assert_eq!(stored(&int8, &symmetric, &[0, 255])?.as_slice::<i8>()?, [1, 5]);
        assert!(Normalisation::choose(&[0.0], &[0.0], &float).is_err());
        Ok(())
    }
}
