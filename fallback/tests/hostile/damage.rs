//! One damage of one case.

use tflite_wgpu_fallback::Value;
use tflite_wgpu_model::Program;

/// What is damaged.
pub enum Act {
    /// The typed program.
    Program(Box<dyn Fn(&mut Program)>),
    /// Bytes of the file, from a place on.
    Bytes(usize, Vec<u8>),
    /// The value of an input, in all steps that have it.
    Input(usize, Value),
}

/// A damage and its name.
pub struct Damage {
    /// Where and what, in words.
    pub what: String,
    /// What is done.
    pub act: Act,
}

impl Damage {
    /// A damage of the typed program.
    pub fn program(what: String, act: impl Fn(&mut Program) + 'static) -> Self {
        Self { what, act: Act::Program(Box::new(act)) }
    }
}
