//! Times of a change to another shape.

use std::time::Instant;

use tflite_wgpu::{Model, Value};

use super::{entry::Entry, failure::Res, session::Session};

/// Changes that are timed, after the first.
const CHANGES: usize = 5;

/// What it takes to get ready for the shapes of `--resize`, from those of the file.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Resizes {
    /// The first time, when nothing is known of them.
    pub first_ms: f64,
    /// The best of all.
    pub best_ms: f64,
    /// Pipelines that were made for them.
    pub pipelines: u64,
}

impl Resizes {
    /// Changes the inputs' shapes back and forth; nothing where they are those of the file, or of a signature.
    pub fn measure(session: &Session, model: &Model, entry: &Entry, inputs: &[Value]) -> Res<Option<Self>> {
        let own: Vec<Vec<usize>> = entry.inputs.iter().map(|port| port.closed(&port.shape)).collect();
        let wanted: Vec<Vec<usize>> = inputs.iter().map(|value| value.shape().to_vec()).collect();
        if own == wanted || entry.signature.is_some() {
            return Ok(None);
        }
        let mut loaded = session.load(model)?;
        let mut change = |shapes: &[Vec<usize>]| -> Res<f64> {
            let begin = Instant::now();
            for (i, dims) in shapes.iter().enumerate() {
                loaded.interpreter.resize_input(i, dims)?;
            }
            loaded.interpreter.allocate_tensors()?;
            Ok(begin.elapsed().as_secs_f64() * 1e3)
        };
        let made = || session.device.as_ref().map_or(0, |device| device.usage.made()[2]);
        change(&own)?;
        let before = made();
        let first_ms = change(&wanted)?;
        let pipelines = made() - before;
        let mut best_ms = first_ms;
        for _ in 0..CHANGES {
            change(&own)?;
            best_ms = best_ms.min(change(&wanted)?);
        }
        Ok(Some(Self { first_ms, best_ms, pipelines }))
    }
}
