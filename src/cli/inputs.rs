//! Inputs of a model: from files, or made up.

use std::path::{Path, PathBuf};

use tflite_wgpu::{
    Value,
    made_up::{self, Wanted},
    model::{DType, Dim, Shape, element_count},
    npy,
};

use super::{
    entry::{Entry, Port},
    failure::{Failure, InFile, Res},
    picture::{self, Normalisation},
    sound,
};

/// What a model is given
#[derive(Clone, clap::Args)]
#[command(next_help_heading = "Inputs")]
pub struct InputArgs {
    /// An input: .npy, a picture (PNG, JPEG, BMP), .wav, .json (strings), or raw bytes of the input's type
    #[arg(short = 'i', long = "input", value_name = "[NAME|INDEX=]FILE")]
    files: Vec<String>,
    /// Run this signature instead of the first subgraph
    #[arg(long, alias = "signature_to_run_for", value_name = "KEY")]
    signature: Option<String>,
    /// Give an input another shape, such as image=1,224,224,3
    #[arg(long, value_name = "[NAME|INDEX=]SHAPE")]
    resize: Vec<String>,
    /// Subtract this from a picture's values (0 to 255), for each channel or once for all
    #[arg(long, value_delimiter = ',', allow_hyphen_values = true)]
    mean: Vec<f32>,
    /// Divide the difference by this
    #[arg(long, value_delimiter = ',')]
    std: Vec<f32>,
    /// Seed of made-up inputs
    #[arg(long, default_value_t = 0)]
    seed: u32,
}

/// What becomes of inputs that no file is given for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// It is an error.
    Refused,
    /// They get random values, of up to so many bytes each.
    Random(usize),
}

impl InputArgs {
    /// The signature to run.
    pub fn signature(&self) -> Option<&str> {
        self.signature.as_deref()
    }

    /// The same with more shapes, as `--resize` has them.
    pub fn resized(&self, more: impl IntoIterator<Item = String>) -> Self {
        let mut all = self.clone();
        all.resize.extend(more);
        all
    }

    /// Whether anything belongs to one particular model.
    pub fn is_particular(&self) -> bool {
        !self.files.is_empty() || !self.resize.is_empty() || self.signature.is_some()
    }

    /// One value for each input of the entry.
    pub fn values(&self, entry: &Entry, missing: Missing) -> Res<Vec<Value>> {
        let shapes = self.shapes(entry)?;
        let files = self.assigned(entry)?;
        let mut values = Vec::with_capacity(entry.inputs.len());
        for (i, ((port, shape), file)) in entry.inputs.iter().zip(&shapes).zip(files).enumerate() {
            let value = match file {
                Some(file) => self.read(port, i, shape, &file).in_file(&file)?,
                None if let Missing::Random(limit) = missing => {
                    made_up(port, &port.closed(shape), self.seed.wrapping_add(i as u32), limit)?
                }
                None => {
                    let what = format!("{} {} {shape}", port.describe("input", i), port.dtype);
                    let how = format!("--input {}=FILE, or --random", port.name);
                    return Err(Failure::new(format!("{what} has no value, expected {how}")));
                }
            };
            values.push(value);
        }
        Ok(values)
    }

    /// The shape of each input, with what `--resize` says.
    fn shapes(&self, entry: &Entry) -> Res<Vec<Shape>> {
        let mut shapes: Vec<Shape> = entry.inputs.iter().map(|port| port.shape.clone()).collect();
        for text in &self.resize {
            let (name, dims) = text.rsplit_once('=').map_or((None, text.as_str()), |(name, dims)| (Some(name), dims));
            let option = || format!("option --resize {text}");
            let index = match name {
                Some(name) => entry.input(name),
                None => Some(0).filter(|_| entry.inputs.len() == 1),
            };
            let index = index.ok_or_else(|| {
                let found =
                    name.map_or_else(|| "names no input".to_owned(), |name| format!("input {name:?} does not exist"));
                Failure::new(format!("{}: {found}, expected one of {}", option(), entry.input_names()))
            })?;
            let sizes = dims.trim_matches(['[', ']']).split([',', 'x']).map(|d| d.trim().parse::<usize>());
            let sizes: Vec<usize> = sizes.collect::<Result<_, _>>().map_err(|_| {
                Failure::new(format!("{}: shape {dims:?} is none, expected sizes such as 1,224,224,3", option()))
            })?;
            if element_count(&sizes).is_none() {
                return Err(Failure::new(format!("{}: shape {dims} is too large", option())));
            }
            if let Some(shape) = shapes.get_mut(index) {
                *shape = Shape::known(&sizes);
            }
        }
        Ok(shapes)
    }

    /// The file of each input. One without a name is for the first input that has none yet.
    fn assigned(&self, entry: &Entry) -> Res<Vec<Option<PathBuf>>> {
        let mut files: Vec<Option<PathBuf>> = vec![None; entry.inputs.len()];
        for text in &self.files {
            let named =
                text.split_once('=').filter(|(name, _)| entry.input(name).is_some() || !Path::new(text).exists());
            let (index, file) = match named {
                Some((name, file)) => {
                    let not_found =
                        || format!("input {name:?} does not exist, expected one of {}", entry.input_names());
                    (entry.input(name).ok_or_else(|| Failure::new(not_found()))?, file)
                }
                None => {
                    let too_many = || format!("file {text} is one too many: the inputs are {}", entry.input_names());
                    let free = files.iter().position(Option::is_none);
                    (free.ok_or_else(|| Failure::new(too_many()))?, text.as_str())
                }
            };
            match files.get_mut(index) {
                Some(slot @ None) => *slot = Some(PathBuf::from(file)),
                _ => {
                    let name = entry.inputs.get(index).map(|port| port.name.clone()).unwrap_or_default();
                    return Err(Failure::new(format!("input {name:?} is given twice, expected one file")));
                }
            }
        }
        Ok(files)
    }

    fn read(&self, port: &Port, index: usize, shape: &Shape, file: &Path) -> Res<Value> {
        let extension = file.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
        let value = match extension.as_str() {
            "npy" => npy::read(file, Some(port.dtype))?,
            "png" | "jpg" | "jpeg" | "bmp" => {
                let normalisation = Normalisation::choose(&self.mean, &self.std, port)?;
                picture::read(file, port, index, shape, &normalisation)?
            }
            "wav" => sound::read(file, port, shape)?,
            "json" => strings(&std::fs::read(file)?, port, shape)?,
            _ => raw(&std::fs::read(file)?, port, index, shape)?,
        };
        let expected = || format!("{} {} {shape}", port.describe("input", index), port.dtype);
        if value.dtype() != port.dtype {
            return Err(Failure::new(format!("has type {}, expected {}", value.dtype(), expected())));
        }
        if !fits(shape, value.shape()) {
            let found = Shape::known(value.shape());
            return Err(Failure::new(format!("has shape {found}, expected {} (--resize changes it)", expected())));
        }
        Ok(value)
    }
}

/// Whether sizes are those of a shape where that knows them.
fn fits(shape: &Shape, dims: &[usize]) -> bool {
    let same = |(dim, &size): (&Dim, &usize)| *dim == Dim::Unknown || *dim == Dim::Known(size);
    // A shape without dimensions may be a scalar's or one that is not known at all.
    shape.0.len() == dims.len() && shape.0.iter().zip(dims).all(same)
}

/// A made-up value of at most `limit` bytes.
fn made_up(port: &Port, dims: &[usize], seed: u32, limit: usize) -> Res<Value> {
    let bytes = Value::bytes_of(port.dtype, dims)?;
    if bytes > limit {
        let what = format!("input {:?} of {bytes} bytes exceeds the memory limit {limit}", port.name);
        return Err(Failure::new(what));
    }
    let (quant, about) = (port.quant.as_ref(), port.metadata.as_ref());
    let wanted = Wanted { name: &port.name, dtype: port.dtype, dims, quant, about };
    made_up::value(&wanted, seed).map_err(Failure::new)
}

/// Bytes as they stand in memory; one open dimension follows from their number.
fn raw(bytes: &[u8], port: &Port, index: usize, shape: &Shape) -> Res<Value> {
    let mut dims = port.closed(shape);
    let open: Vec<usize> = (0..shape.0.len()).filter(|&i| shape.0.get(i) == Some(&Dim::Unknown)).collect();
    if let (&[at], Some(size)) = (open.as_slice(), port.dtype.size()) {
        let rest = dims.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, d)| *d).collect::<Vec<_>>();
        let row = element_count(&rest).and_then(|n| n.checked_mul(size)).filter(|&n| n > 0);
        if let (Some(row), Some(dim)) = (row, dims.get_mut(at)) {
            *dim = bytes.len() / row;
        }
    }
    let expected = format!("{} {} {shape}", port.describe("input", index), port.dtype);
    Value::from_bytes(port.dtype, &dims, bytes).map_err(|error| Failure::new(format!("{error} for {expected}")))
}

/// A JSON list of strings.
fn strings(json: &[u8], port: &Port, shape: &Shape) -> Res<Value> {
    let list: Vec<String> = serde_json::from_slice(json)?;
    if port.dtype != DType::String {
        return Err(Failure::new(format!("holds strings, expected {} for {:?}", port.dtype, port.name)));
    }
    let mut dims = port.closed(shape);
    if shape.0.contains(&Dim::Unknown) && dims.len() == 1 {
        dims = vec![list.len()];
    }
    Ok(Value::strings(&dims, list.into_iter().map(String::into_bytes).collect())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_dimensions_take_any_size() {
        let shape = Shape(vec![Dim::Known(1), Dim::Unknown]);
        assert!(fits(&shape, &[1, 7]));
        assert!(!fits(&shape, &[2, 7]));
        assert!(!fits(&shape, &[1]));
    }

    #[test]
    fn raw_bytes_size_an_open_dimension() -> Res<()> {
        let shape = Shape(vec![Dim::Unknown, Dim::Known(2)]);
        let port = Port {
            name: "x".into(),
            tensor_name: "x".into(),
            tensor: tflite_wgpu::model::TensorId(0),
            dtype: DType::Int16,
            shape: shape.clone(),
            dims: vec![1, 2],
            quant: None,
            metadata: None,
        };
        assert_eq!(raw(&[0; 12], &port, 0, &shape)?.shape(), [3, 2]);
        let message = raw(&[0; 11], &port, 0, &shape).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(message.contains("11 bytes") && message.contains("INT16 [?,2]"), "{message}");
        Ok(())
    }
}
