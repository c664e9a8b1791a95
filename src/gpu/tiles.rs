//! What was measured on an adapter, in this process and in earlier ones.

use std::sync::{Arc, Mutex, PoisonError};

use super::cache::CacheFile;
use crate::tuning::Measured;

/// The measured tiles of a device, and the file that keeps them.
#[derive(Debug, Default)]
pub(super) struct Tiles {
    file: Option<CacheFile>,
    /// Nothing until somebody asks: no file is read at the start.
    known: Mutex<Option<Arc<Measured>>>,
}

impl Tiles {
    /// Keeps them in this file.
    pub(super) fn keep_in(&mut self, file: Option<CacheFile>) {
        self.file = file;
    }

    /// What is known.
    pub(super) fn known(&self) -> Arc<Measured> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.get_or_insert_with(|| Arc::new(self.read())))
    }

    /// Adds what was measured. That it cannot be written costs the next process time, nothing else.
    pub(super) fn add(&self, found: Measured) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // Another process may have measured something else meanwhile.
        let mut all = self.read();
        all.extend(known.iter().flat_map(|known| known.iter()).map(|(shape, choice)| (shape.clone(), choice.clone())));
        all.extend(found);
        let text: String = all.iter().map(|(shape, choice)| format!("{shape}\t{choice}\n")).collect();
        if let Some(file) = &self.file
            && let Err(error) = file.write(text.as_bytes())
        {
            tracing::warn!(file = %file.path().display(), %error, "measured tiles are not kept");
        }
        *known = Some(Arc::new(all));
    }

    fn read(&self) -> Measured {
        let Some(data) = self.file.as_ref().and_then(CacheFile::read) else { return Measured::new() };
        let text = String::from_utf8(data).unwrap_or_default();
        let pairs = text.lines().filter_map(|line| line.split_once('\t'));
        pairs.map(|(shape, choice)| (shape.to_owned(), choice.to_owned())).collect()
    }
}
