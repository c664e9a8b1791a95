//! What ends a command: one line for people.

use std::{fmt, path::Path};

/// Result of whatever can end a command.
pub type Res<T> = Result<T, Failure>;

/// What a file has in it may be as long as the file.
const MOST_CHARACTERS: usize = 800;

/// Why a command failed, in one line.
#[derive(Clone, Debug)]
pub struct Failure(String);

impl Failure {
    pub fn new(message: impl fmt::Display) -> Self {
        Self(message.to_string())
    }

    /// Says which file is at fault, unless the message does so already.
    pub fn in_file(self, path: &Path) -> Self {
        let path = path.display().to_string();
        if self.0.starts_with(&path) { self } else { Self(format!("{path}: {}", self.0)) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.0.split(|c: char| c.is_control()).filter(|part| !part.is_empty()).collect();
        let line = words.join(" ");
        match line.char_indices().nth(MOST_CHARACTERS) {
            Some((end, _)) => write!(f, "{}…", line.get(..end).unwrap_or_default()),
            None => f.write_str(&line),
        }
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

/// The same for results.
pub trait InFile<T> {
    fn in_file(self, path: &Path) -> Res<T>;
}

impl<T, E: Into<Failure>> InFile<T> for Result<T, E> {
    fn in_file(self, path: &Path) -> Res<T> {
        self.map_err(|error| error.into().in_file(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_that_names_the_file_once() {
        let path = Path::new("a/b.tflite");
        let text = Failure::new("x\n  y\r\nz").in_file(path).in_file(path).to_string();
        assert_eq!(text, "a/b.tflite: x   y z");
        let long = Failure::new("ä".repeat(5000)).to_string();
        assert_eq!(long.chars().count(), MOST_CHARACTERS + 1);
    }
}
