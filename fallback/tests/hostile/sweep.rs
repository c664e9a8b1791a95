//! The sweep: which variants run, what becomes of them, and a watch over time and memory.

use std::{
    collections::BTreeMap,
    fs,
    io::{Seek, SeekFrom, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tflite_wgpu_fallback::{Kernels, Model};
use tflite_wgpu_model::{Bytes, Program};

use crate::{
    damage::{Act, Damage},
    file, program,
    run::{Case, run},
    values,
};

/// A variant that takes longer hangs: the process ends with its name. The slowest take milliseconds.
const HANG: Duration = Duration::from_secs(60);
/// Address space that one variant may add; the limit of tensors is far below.
const ADDED_BYTES: u64 = 512 << 20;

/// The variant that is running.
type Current = Arc<Mutex<(Instant, String)>>;

/// Counts variants and keeps what was found.
pub struct Sweep {
    share: u64,
    seen: u64,
    ran: u64,
    refused: u64,
    sound: u64,
    /// Where a panic came from, how often, and the first variant.
    findings: BTreeMap<String, (u64, String)>,
    current: Current,
    panicked: Arc<Mutex<String>>,
    trace: Option<fs::File>,
    peak_bytes: u64,
}

impl Sweep {
    /// A sweep that runs one of `share` variants.
    pub fn new(share: u64, trace: Option<PathBuf>) -> std::io::Result<Self> {
        let panicked = Arc::new(Mutex::new(String::new()));
        let place = Arc::clone(&panicked);
        std::panic::set_hook(Box::new(move |info| {
            let location = info.location().map(|l| format!("{}:{}", l.file(), l.line())).unwrap_or_default();
            let message = info.payload_as_str().unwrap_or_default();
            *place.lock().unwrap_or_else(PoisonError::into_inner) = format!("{location}: {message}");
        }));
        let current: Current = Arc::new(Mutex::new((Instant::now(), String::new())));
        let watched = Arc::clone(&current);
        thread::spawn(move || watch(&watched));
        Ok(Self {
            share: share.max(1),
            seen: 0,
            ran: 0,
            refused: 0,
            sound: 0,
            findings: BTreeMap::new(),
            current,
            panicked,
            trace: trace.map(fs::File::create).transpose()?,
            peak_bytes: peak_bytes(),
        })
    }

    /// Runs the chosen variants of a case.
    pub fn case(&mut self, case: &Case) {
        let Ok(sound) = Program::read(Bytes::from(case.bytes.clone())) else { return };
        let explicit = sound.write_explicit().unwrap_or_default();
        let model = Model::new(sound.clone()).ok();
        if let Some(model) = &model {
            self.sound += 1;
            for damage in values::damages(case) {
                if let Act::Input(i, value) = &damage.act {
                    let replaced = Some((*i, value));
                    self.variant(case, &damage.what, "", |kernels| run(model, case, replaced, kernels).map_err(text));
                }
            }
        }
        for Damage { what, act } in program::damages(&sound) {
            let Act::Program(act) = act else { continue };
            let damaged = || {
                let mut program = sound.clone();
                act(&mut program);
                program
            };
            self.variant(case, &what, "typed: ", |kernels| load(damaged(), case, kernels));
            self.variant(case, &what, "written: ", |kernels| {
                let file = damaged().write().map_err(text)?;
                load(Program::read(file.into()).map_err(text)?, case, kernels)
            });
        }
        for Damage { what, act } in file::damages(&explicit) {
            let Act::Bytes(at, new) = act else { continue };
            self.variant(case, &what, "file: ", |kernels| {
                let mut damaged = explicit.clone();
                if let Some(place) = damaged.get_mut(at..at + new.len()) {
                    place.copy_from_slice(&new);
                }
                load(Program::read(damaged.into()).map_err(text)?, case, kernels)
            });
        }
    }

    /// Runs one variant, if it is chosen; fast and plain kernels take turns.
    fn variant(&mut self, case: &Case, what: &str, kind: &str, run: impl FnOnce(Kernels) -> Result<(), String>) {
        self.seen += 1;
        if !self.seen.is_multiple_of(self.share) {
            return;
        }
        let name = format!("{}: {kind}{what}", case.name);
        let plain = (self.ran + self.refused).is_multiple_of(2);
        let kernels = if plain { Kernels::Plain } else { Kernels::Fast };
        self.announce(&name);
        match catch_unwind(AssertUnwindSafe(|| run(kernels))) {
            Ok(Ok(())) => self.ran += 1,
            Ok(Err(message)) => {
                self.refused += 1;
                if message.is_empty() || message.contains('\n') || message.len() > 4000 {
                    self.found(format!("message {message:?}"), &name);
                }
            }
            Err(_) => {
                let place = std::mem::take(&mut *self.panicked.lock().unwrap_or_else(PoisonError::into_inner));
                self.found(place, &name);
            }
        }
        self.watch_memory(&name);
    }

    /// Looks now and then, as that takes longer than most variants.
    fn watch_memory(&mut self, name: &str) {
        if !(self.ran + self.refused).is_multiple_of(32) {
            return;
        }
        let peak = peak_bytes();
        if peak.saturating_sub(self.peak_bytes) > ADDED_BYTES {
            self.found(
                format!("{} MiB more in use, by this or one of 31 before", (peak - self.peak_bytes) >> 20),
                name,
            );
        }
        self.peak_bytes = peak;
    }

    fn announce(&mut self, name: &str) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = (Instant::now(), name.to_owned());
        if let Some(file) = &mut self.trace {
            let text = format!("{name}\n");
            let written = file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(text.as_bytes()));
            drop(written.and_then(|()| file.set_len(text.len() as u64)));
        }
    }

    fn found(&mut self, place: String, variant: &str) {
        self.findings.entry(place).or_insert_with(|| (0, variant.to_owned())).0 += 1;
    }

    /// Says what became of the variants.
    ///
    /// # Errors
    /// When something was found, or when the damages did nothing.
    pub fn finish(self) -> Result<(), Box<dyn std::error::Error>> {
        drop(std::panic::take_hook());
        let (ran, refused) = (self.ran, self.refused);
        let count = ran + refused;
        println!("{count} of {} variants of {} models: {ran} ran, {refused} were refused", self.seen, self.sound);
        for (place, (count, first)) in &self.findings {
            println!("{count} x {place}\n    {first}");
        }
        assert!(self.findings.is_empty(), "{} findings", self.findings.len());
        assert!(ran > 0 && refused > 0, "the damages test nothing");
        Ok(())
    }
}

fn load(program: Program, case: &Case, kernels: Kernels) -> Result<(), String> {
    let model = Model::new(program).map_err(text)?;
    run(&model, case, None, kernels).map_err(text)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Ends the process when a variant hangs.
fn watch(current: &Current) {
    loop {
        thread::sleep(Duration::from_secs(1));
        let (start, name) = &*current.lock().unwrap_or_else(PoisonError::into_inner);
        if start.elapsed() > HANG && !name.is_empty() {
            eprintln!("hangs: {name}");
            std::process::exit(101);
        }
    }
}

/// The most address space that the process has had; 0 where nothing says so.
fn peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    number.unwrap_or(0) << 10
}
