//! Packed constants of a device: made once, many in a buffer.
//!
//! wgpu follows every buffer through every dispatch, so that a few large ones cost an invoke less than one for each
//! constant (docs/decisions.md, "Host").

use std::{
    borrow::Cow,
    cmp::Reverse,
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
        mpsc::sync_channel,
    },
};

use half::{f16, slice::HalfFloatSliceExt};

use super::{
    buffers::{DeviceBuffer, Kind},
    device::GpuDevice,
    effort::Effort,
};
use crate::{
    constant::Constant,
    error::Error,
    plan::step::{Packing, WeightData, Weights},
    reason::Reason,
    region::Storage,
};

/// Constants get a buffer once they are this large together: little more than this lies in memory twice.
const BATCH: usize = 4 << 20;

/// Constants that a thread may have packed before they are taken.
const AHEAD: usize = 2;

/// Packed constants on the device: a range of a buffer, which lives as long as one of its ranges is used.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) buffer: Arc<DeviceBuffer>,
    pub(super) offset: usize,
    pub(super) bytes: usize,
    /// Constants that they were made from. As those live as long as this, their addresses tell them apart.
    sources: Mutex<Vec<Constant>>,
}

impl Packed {
    /// Notes that they were made from a constant.
    fn keep(&self, source: &Constant) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if !sources.iter().any(|own| own.is_same(source)) {
            sources.push(source.clone());
        }
    }

    /// Whether they were made from this very constant.
    fn is_of(&self, source: &Constant) -> bool {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|own| own.is_same(source))
    }
}

/// Packed constants by what they are and what they contain: partitions and interpreters share them, and they live while
/// one of them uses them.
#[derive(Default)]
pub(super) struct WeightStore(Mutex<HashMap<String, Vec<Stored>>>);

/// Packed constants on the device.
struct Stored {
    digest: u64,
    packed: Weak<Packed>,
}

/// Constants in their storage, on the host.
struct Elements {
    digest: u64,
    data: Encoded,
}

enum Encoded {
    Float(Vec<f32>),
    Half(Vec<f16>),
    Int(Vec<i32>),
}

impl WeightStore {
    /// Where these constants lie on the device. They are packed unless they were made from the very same constant before,
    /// and uploaded unless others have the same contents.
    ///
    /// # Errors
    /// When they cannot be packed, or exceed the device's limits.
    pub(super) fn get_all(
        &self,
        device: &GpuDevice,
        weights: &[Cow<'_, Weights>],
        effort: &Effort<'_>,
    ) -> Result<Vec<Arc<Packed>>, Error> {
        let of_source = |weights: &Cow<'_, Weights>| {
            let source = source(weights)?;
            self.find(&weights.key, |_, packed| packed.is_of(source))
        };
        let found: Vec<_> = weights.iter().map(of_source).collect();
        let missing = (0..).zip(&found).filter(|(_, found)| found.is_none()).map(|(i, _)| i);
        let (made, mut unpacked): (Vec<usize>, Vec<usize>) =
            missing.partition(|i| weights.get(*i).and_then(|weights| source(weights)).is_none());
        // The largest first, so that all threads end together.
        let size = |i: &usize| weights.get(*i).and_then(|weights| source(weights)).map_or(0, |source| source.len());
        unpacked.sort_by_key(|i| Reverse(size(i)));
        let mut uploads = Uploads { store: self, device, weights, found, batch: Vec::new(), bytes: 0 };
        let pack = |index: usize| weights.get(index).map(|weights| pack(device, weights));
        // What is there already is small: it is not worth a thread.
        for index in made {
            pack(index).map_or(Ok(()), |elements| uploads.take(index, elements?))?;
        }
        in_parallel(&unpacked, effort, pack, |index, elements| uploads.take(index, elements?))?;
        uploads.flush()?;
        let unmade = || device.failed("constants have no buffer");
        uploads.found.into_iter().map(|packed| packed.ok_or_else(unmade)).collect()
    }

    fn find(&self, key: &str, is_it: impl Fn(&Stored, &Packed) -> bool) -> Option<Arc<Packed>> {
        let stored = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stored.get(key)?.iter().find_map(|stored| stored.packed.upgrade().filter(|packed| is_it(stored, packed)))
    }

    fn forget_unused(&self) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, stored| {
            stored.retain(|stored| stored.packed.strong_count() > 0);
            !stored.is_empty()
        });
    }

    fn add(&self, key: &str, digest: u64, packed: &Arc<Packed>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(key.to_owned()).or_default().push(Stored { digest, packed: Arc::downgrade(packed) });
    }
}

/// Packed constants on their way to buffers.
struct Uploads<'a> {
    store: &'a WeightStore,
    device: &'a GpuDevice,
    weights: &'a [Cow<'a, Weights>],
    found: Vec<Option<Arc<Packed>>>,
    /// What has no buffer yet, and whose constants they are.
    batch: Vec<(Vec<usize>, Elements)>,
    bytes: usize,
}

impl Uploads<'_> {
    fn take(&mut self, index: usize, elements: Elements) -> Result<(), Error> {
        let Some(own) = self.weights.get(index) else { return Ok(()) };
        if let Some(same) = self.store.find(&own.key, |stored, _| stored.digest == elements.digest) {
            self.found(index, same);
            return Ok(());
        }
        let key = |index: &usize| self.weights.get(*index).map(|weights| &weights.key);
        let is_same = |(of, other): &&mut (Vec<usize>, Elements)| {
            other.digest == elements.digest && of.first().and_then(key) == Some(&own.key)
        };
        if let Some((of, _)) = self.batch.iter_mut().find(is_same) {
            of.push(index);
            return Ok(());
        }
        let bytes = elements.room(self.device);
        if self.bytes.saturating_add(bytes) > self.device.max_buffer_bytes() {
            self.flush()?;
        }
        self.batch.push((vec![index], elements));
        self.bytes += bytes;
        if self.bytes >= BATCH { self.flush() } else { Ok(()) }
    }

    /// Makes a buffer of what has none yet.
    fn flush(&mut self) -> Result<(), Error> {
        let batch = std::mem::take(&mut self.batch);
        self.bytes = 0;
        let mut end = 0;
        let mut parts = Vec::with_capacity(batch.len());
        for (_, elements) in &batch {
            parts.push((end, elements.bytes()));
            end += elements.room(self.device);
        }
        if batch.is_empty() {
            return Ok(());
        }
        let buffer = Arc::new(DeviceBuffer::of_parts(self.device, Kind::Weights, &parts));
        // What was written through a mapping lies in memory of the host as well until something is submitted.
        self.device.queue.submit([]);
        let places: Vec<(usize, usize)> = parts.iter().map(|(offset, part)| (*offset, part.len())).collect();
        self.store.forget_unused();
        for ((of, elements), (offset, bytes)) in batch.iter().zip(places) {
            let (buffer, bytes) = (Arc::clone(&buffer), bytes.max(16).next_multiple_of(16));
            let packed = Arc::new(Packed { buffer, offset, bytes, sources: Mutex::default() });
            if let Some(own) = of.first().and_then(|index| self.weights.get(*index)) {
                self.store.add(&own.key, elements.digest, &packed);
            }
            of.iter().for_each(|index| self.found(*index, Arc::clone(&packed)));
        }
        Ok(())
    }

    fn found(&mut self, index: usize, packed: Arc<Packed>) {
        if let Some(source) = self.weights.get(index).and_then(|weights| source(weights)) {
            packed.keep(source);
        }
        if let Some(slot) = self.found.get_mut(index) {
            *slot = Some(packed);
        }
    }
}

/// The constant of the region that they are made from.
fn source(weights: &Weights) -> Option<&Constant> {
    match &weights.data {
        Packing::Of(constant, _) => Some(constant),
        Packing::Made(_) => None,
    }
}

/// Does `work` for all `items` on as many threads as the effort allows, and gives the results to `take`, in any order.
fn in_parallel<T: Send>(
    items: &[usize],
    effort: &Effort<'_>,
    work: impl Fn(usize) -> Option<T> + Sync,
    mut take: impl FnMut(usize, T) -> Result<(), Error>,
) -> Result<(), Error> {
    let threads = effort.threads().min(items.len());
    if threads <= 1 {
        for &item in items {
            effort.check()?;
            work(item).map_or(Ok(()), |result| take(item, result))?;
        }
        return Ok(());
    }
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let (give, results) = sync_channel(AHEAD * threads);
        for _ in 0..threads {
            let (give, next, work) = (give.clone(), &next, &work);
            scope.spawn(move || {
                while let Some(&item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let Some(result) = work(item) else { continue };
                    // Nobody takes results behind an error.
                    if give.send((item, result)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(give);
        results.into_iter().try_for_each(|(item, result)| {
            effort.check()?;
            take(item, result)
        })
    })
}

fn pack(device: &GpuDevice, weights: &Weights) -> Result<Elements, Error> {
    let data = weights.data.elements()?;
    if source(weights).is_some() {
        device.usage.constants_packed.fetch_add(1, Ordering::Relaxed);
    }
    // Nobody reads the file's copy until weights are packed anew.
    if let Some(source) = source(weights) {
        source.release();
    }
    let digest = digest(&data);
    let elements = Elements { digest, data: encode(data, weights.storage) };
    let (found, limit) = (elements.bytes().len(), device.max_binding_bytes());
    if found > limit {
        let (found, limit) = (found as u64, limit as u64);
        return Err(Reason::TooLarge { what: "constant", found, limit }.into());
    }
    Ok(elements)
}

impl Elements {
    fn bytes(&self) -> &[u8] {
        match &self.data {
            Encoded::Float(values) => bytemuck::cast_slice(values),
            Encoded::Half(values) => bytemuck::cast_slice(values),
            Encoded::Int(values) => bytemuck::cast_slice(values),
        }
    }

    /// What they take in a buffer, up to where others may begin.
    fn room(&self, device: &GpuDevice) -> usize {
        self.bytes().len().max(16).next_multiple_of(device.tuning.alignment)
    }
}

/// Constants in a storage.
fn encode(data: WeightData, storage: Storage) -> Encoded {
    match (data, storage) {
        (WeightData::Float(mut values), Storage::F16) => {
            values.iter_mut().for_each(|v| *v = v.clamp(-65504.0, 65504.0));
            let mut halves = vec![f16::ZERO; values.len()];
            halves.convert_from_f32_slice(&values);
            Encoded::Half(halves)
        }
        (WeightData::Float(values), _) => Encoded::Float(values),
        (WeightData::Int(values), _) => Encoded::Int(values),
    }
}

/// Tells the contents of packed constants apart: a constant that follows from shapes changes with them.
fn digest(data: &WeightData) -> u64 {
    let words: &[u32] = match data {
        WeightData::Float(values) => bytemuck::cast_slice(values),
        WeightData::Int(values) => bytemuck::cast_slice(values),
    };
    let mix = |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    // Four sums side by side, as each waits for its own multiplication.
    let mut sums = [words.len() as u64, 1, 2, 3];
    let groups = words.chunks_exact(sums.len());
    let rest = groups.remainder();
    for group in groups {
        sums.iter_mut().zip(group).for_each(|(sum, word)| *sum = mix(*sum, u64::from(*word)));
    }
    let rest = rest.iter().map(|word| u64::from(*word));
    sums.into_iter().chain(rest).fold(0, mix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_counts_for_the_digest() {
        let of = |values: &[i32]| digest(&WeightData::Int(values.to_vec()));
        let values: Vec<i32> = (0..11).collect();
        let whole = of(&values);
        assert_eq!(of(&values), whole);
        for at in 0..values.len() {
            let mut other = values.clone();
            other[at] += 1;
            assert_ne!(of(&other), whole, "word {at}");
        }
        assert_ne!(of(&[0, 0]), of(&[0]), "the count is one of its parts");
        assert_ne!(of(&[1, 2, 3, 4, 5, 6, 7, 8]), of(&[5, 6, 7, 8, 1, 2, 3, 4]), "so is the order");
    }

    #[test]
    fn halves_are_rounded_and_clamped() {
        let encoded = encode(WeightData::Float(vec![1.0 / 3.0, 1e9, -1e9, 0.0]), Storage::F16);
        let expected = [f16::from_f32(1.0 / 3.0), f16::MAX, f16::MIN, f16::ZERO];
        assert!(matches!(&encoded, Encoded::Half(halves) if halves[..] == expected));
    }

    #[test]
    fn results_come_from_all_threads_and_errors_end_it() {
        let items: Vec<usize> = (0..50).collect();
        for threads in [1, 4] {
            let effort = Effort::of(threads);
            let mut taken = Vec::new();
            let done = in_parallel(
                &items,
                &effort,
                |i| (i != 7).then_some(i * 2),
                |i, twice| {
                    taken.push((i, twice));
                    Ok(())
                },
            );
            taken.sort_unstable();
            let expected: Vec<_> = items.iter().filter(|i| **i != 7).map(|i| (*i, i * 2)).collect();
            assert!(done.is_ok() && taken == expected, "{threads} threads");
            let mut taken = 0;
            let failed = in_parallel(&items, &effort, Some, |_, _| {
                taken += 1;
                Err(Error::Internal("no".to_owned()))
            });
            assert!(failed.is_err() && taken == 1);
            let given_up = || true;
            let mut taken = 0;
            let ended = in_parallel(&items, &Effort::of(threads).until(&given_up), Some, |_, _| {
                taken += 1;
                Ok(())
            });
            assert!(ended.is_err() && taken == 0, "nobody wants it any more");
        }
    }
}
