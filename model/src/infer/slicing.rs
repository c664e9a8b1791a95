//! STRIDED_SLICE's way from ranges and masks to the elements it takes, as TensorFlow and NumPy have it.

use crate::StridedSliceOptions;

use super::InferError;

/// The inputs and masks of STRIDED_SLICE. A mask's bit `i` speaks of the `i`-th range.
#[derive(Clone, Copy, Debug)]
pub struct StridedSliceArgs<'a> {
    /// First index of each range.
    pub begin: &'a [i64],
    /// Index after the last of each range; with `options.offset` its distance from `begin`.
    pub end: &'a [i64],
    /// Step of each range.
    pub strides: &'a [i64],
    /// Masks.
    pub options: &'a StridedSliceOptions,
}

/// What is taken of one input dimension: the indices `begin, begin + stride, …`, `size` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SliceDim {
    /// First index; 0 when nothing is taken.
    pub begin: usize,
    /// Step to the next index, may be negative.
    pub stride: isize,
    /// Number of indices.
    pub size: usize,
}

/// What a slice takes, and the output dimensions it forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlicePlan {
    /// One entry per input dimension.
    pub dims: Vec<SliceDim>,
    /// One entry per output dimension: the input dimension it comes from, or `None` for a new one of size 1. Input
    /// dimensions that are missing here are dropped (`shrink_axis_mask`; their size is 1).
    pub outputs: Vec<Option<usize>>,
}

impl SlicePlan {
    /// Shape of the output.
    pub fn shape(&self) -> Vec<usize> {
        let size = |dim: &Option<usize>| dim.and_then(|dim| self.dims.get(dim)).map_or(1, |dim| dim.size);
        self.outputs.iter().map(size).collect()
    }
}

/// Resolves STRIDED_SLICE on an input of shape `input`: masks, negative indices and strides, ranges that reach
/// beyond the input. Dimensions without a range are taken whole.
///
/// # Errors
/// When the three lists differ in length, there are more ranges than dimensions, a stride is 0, two bits of
/// `ellipsis_mask` are set, or a dropped dimension's index is outside the input.
pub fn strided_slice_plan(input: &[usize], args: &StridedSliceArgs) -> Result<SlicePlan, InferError> {
    let ranges = args.begin.len();
    if args.end.len() != ranges || args.strides.len() != ranges {
        let found = format!("{ranges} begins, {} ends, {} strides", args.end.len(), args.strides.len());
        return Err(InferError::new(found, "as many of each"));
    }
    let bit = |mask: i32, i: usize| i < 32 && mask & (1i32 << i) != 0;
    let options = args.options;
    let ellipses = (0..ranges).filter(|&i| bit(options.ellipsis_mask, i)).count();
    if ellipses > 1 {
        return Err(InferError::new(format!("ellipsis_mask {:#b}", options.ellipsis_mask), "at most one bit"));
    }
    let is_new = |i: usize| bit(options.new_axis_mask, i) && !bit(options.ellipsis_mask, i);
    let addressed = (0..ranges).filter(|&i| !is_new(i) && !bit(options.ellipsis_mask, i)).count();
    let Some(whole) = input.len().checked_sub(addressed) else {
        return Err(InferError::new(format!("{addressed} ranges for shape {input:?}"), "at most one per dimension"));
    };

    let mut plan = SlicePlan { dims: Vec::with_capacity(input.len()), outputs: Vec::new() };
    for i in 0..ranges {
        if bit(options.ellipsis_mask, i) {
            take_whole(&mut plan, input, whole);
        } else if is_new(i) {
            plan.outputs.push(None);
        } else {
            let position = plan.dims.len();
            let size = input.get(position).copied().unwrap_or(0);
            let shrink = bit(options.shrink_axis_mask, i);
            let begin = (!bit(options.begin_mask, i)).then_some(args.begin[i]);
            let end = (!bit(options.end_mask, i)).then_some(args.end[i]);
            let dim = if shrink {
                single(begin, args.strides[i], size)?
            } else {
                range(begin, end, args.strides[i], options.offset, size)?
            };
            plan.dims.push(dim);
            if !shrink {
                plan.outputs.push(Some(position));
            }
        }
    }
    let rest = input.len() - plan.dims.len();
    take_whole(&mut plan, input, rest);
    Ok(plan)
}

/// Takes the next `count` dimensions as they are.
fn take_whole(plan: &mut SlicePlan, input: &[usize], count: usize) {
    for _ in 0..count {
        let position = plan.dims.len();
        let size = input.get(position).copied().unwrap_or(0);
        plan.dims.push(SliceDim { begin: 0, stride: 1, size });
        plan.outputs.push(Some(position));
    }
}

/// One index of a dimension that is dropped; an index before the first is the first, as TFLite has it.
fn single(begin: Option<i64>, stride: i64, size: usize) -> Result<SliceDim, InferError> {
    let length = as_i64(size)?;
    let begin = begin.unwrap_or(if stride < 0 { length - 1 } else { 0 });
    let index = if begin < 0 { begin.saturating_add(length) } else { begin };
    match usize::try_from(index.max(0)) {
        Ok(index) if index < size => Ok(SliceDim { begin: index, stride: 1, size: 1 }),
        _ => Err(InferError::new(format!("index {begin}"), format!("an index of a dimension of {size}"))),
    }
}

/// A range of a dimension of `size` elements; `None` reaches to the end of the input on that side.
fn range(begin: Option<i64>, end: Option<i64>, stride: i64, offset: bool, size: usize) -> Result<SliceDim, InferError> {
    let length = as_i64(size)?;
    let step =
        isize::try_from(stride).map_err(|_| InferError::new(format!("stride {stride}"), "a stride that fits"))?;
    if stride == 0 {
        return Err(InferError::new("stride 0", "a stride other than 0"));
    }
    // A forward range stays within 0..=length, a backward one within -1..=length-1.
    let (low, high) = if stride > 0 { (0, length) } else { (-1, length - 1) };
    let resolve = |index: i64| (if index < 0 { index.saturating_add(length) } else { index }).clamp(low, high);
    let (first, last) = if stride > 0 { (0, length) } else { (length - 1, -1) };
    let begin = begin.map_or(first, resolve);
    let end = match end {
        None => last,
        // A sum is a position already: below 0 it means nothing, not the end of the input.
        Some(end) if offset => begin.saturating_add(end).clamp(low, high),
        Some(end) => resolve(end),
    };
    let distance = if stride > 0 { end - begin } else { begin - end };
    if distance <= 0 {
        return Ok(SliceDim { begin: 0, stride: step, size: 0 });
    }
    let count = distance.unsigned_abs().div_ceil(stride.unsigned_abs());
    let fault = || InferError::new(format!("{count} indices"), "a size that fits");
    Ok(SliceDim {
        begin: usize::try_from(begin).map_err(|_| fault())?,
        stride: step,
        size: usize::try_from(count).map_err(|_| fault())?,
    })
}

fn as_i64(size: usize) -> Result<i64, InferError> {
    i64::try_from(size).map_err(|_| InferError::new(format!("size {size}"), "a size that fits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (begin, stride, size) per input dimension, and the output's shape.
    type Taken<'a> = (&'a [(usize, isize, usize)], &'a [usize]);

    struct Case<'a> {
        name: &'a str,
        input: &'a [usize],
        ranges: &'a [(i64, i64, i64)],
        /// begin, end, ellipsis, new axis, shrink axis.
        masks: [i32; 5],
        offset: bool,
        expected: Option<Taken<'a>>,
    }

    fn check(case: &Case) {
        let list = |f: fn(&(i64, i64, i64)) -> i64| case.ranges.iter().map(f).collect::<Vec<_>>();
        let (begin, end, strides) = (list(|r| r.0), list(|r| r.1), list(|r| r.2));
        let [begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask] = case.masks;
        let options = StridedSliceOptions {
            begin_mask,
            end_mask,
            ellipsis_mask,
            new_axis_mask,
            shrink_axis_mask,
            offset: case.offset,
        };
        let args = StridedSliceArgs { begin: &begin, end: &end, strides: &strides, options: &options };
        let found = strided_slice_plan(case.input, &args).ok();
        let expected = case.expected.map(|(dims, shape)| {
            let dims = dims.iter().map(|&(begin, stride, size)| SliceDim { begin, stride, size });
            (dims.collect::<Vec<_>>(), shape.to_vec())
        });
        assert_eq!(found.map(|plan| (plan.dims.clone(), plan.shape())), expected, "{}", case.name);
    }

    const PLAIN: Case = Case { name: "", input: &[], ranges: &[], masks: [0; 5], offset: false, expected: None };

    #[test]
    fn ranges() {
        let cases = [
            Case { name: "x[1:3]", input: &[5], ranges: &[(1, 3, 1)], expected: Some((&[(1, 1, 2)], &[2])), ..PLAIN },
            Case { name: "x[0:5:2]", input: &[5], ranges: &[(0, 5, 2)], expected: Some((&[(0, 2, 3)], &[3])), ..PLAIN },
            Case { name: "x[-2:9]", input: &[5], ranges: &[(-2, 9, 1)], expected: Some((&[(3, 1, 2)], &[2])), ..PLAIN },
            Case { name: "x[3:1]", input: &[5], ranges: &[(3, 1, 1)], expected: Some((&[(0, 1, 0)], &[0])), ..PLAIN },
            Case {
                name: "x[3:0:-1]",
                input: &[5],
                ranges: &[(3, 0, -1)],
                expected: Some((&[(3, -1, 3)], &[3])),
                ..PLAIN
            },
            Case {
                name: "x[::-2]",
                input: &[5],
                ranges: &[(0, 0, -2)],
                masks: [1, 1, 0, 0, 0],
                expected: Some((&[(4, -2, 3)], &[3])),
                ..PLAIN
            },
            Case {
                name: "x[9:-9:-1]",
                input: &[5],
                ranges: &[(9, -9, -1)],
                expected: Some((&[(4, -1, 5)], &[5])),
                ..PLAIN
            },
            Case { name: "stride 0", input: &[5], ranges: &[(0, 5, 0)], ..PLAIN },
            Case {
                name: "fewer ranges",
                input: &[4, 5],
                ranges: &[(1, 3, 1)],
                expected: Some((&[(1, 1, 2), (0, 1, 5)], &[2, 5])),
                ..PLAIN
            },
            Case { name: "more ranges", input: &[4], ranges: &[(0, 1, 1), (0, 1, 1)], ..PLAIN },
            Case {
                name: "offset",
                input: &[5],
                ranges: &[(-4, 2, 1)],
                offset: true,
                expected: Some((&[(1, 1, 2)], &[2])),
                ..PLAIN
            },
            Case {
                name: "offset below 0",
                input: &[5],
                ranges: &[(1, -2, 1)],
                offset: true,
                expected: Some((&[(0, 1, 0)], &[0])),
                ..PLAIN
            },
            Case {
                name: "offset backwards to the first",
                input: &[5],
                ranges: &[(2, -9, -1)],
                offset: true,
                expected: Some((&[(2, -1, 3)], &[3])),
                ..PLAIN
            },
            Case {
                name: "offset from before the first",
                input: &[5],
                ranges: &[(-9, 3, 1)],
                offset: true,
                expected: Some((&[(0, 1, 3)], &[3])),
                ..PLAIN
            },
            Case { name: "empty", input: &[0], ranges: &[(0, 3, 1)], expected: Some((&[(0, 1, 0)], &[0])), ..PLAIN },
        ];
        cases.iter().for_each(check);
    }

    #[test]
    fn masks_that_change_the_rank() {
        let cases = [
            Case {
                name: "x[-1]",
                input: &[3, 4],
                ranges: &[(-1, 0, 1)],
                masks: [0, 0, 0, 0, 1],
                expected: Some((&[(2, 1, 1), (0, 1, 4)], &[4])),
                ..PLAIN
            },
            Case {
                name: "x[-9] is x[0]",
                input: &[3],
                ranges: &[(-9, -8, 1)],
                masks: [0, 0, 0, 0, 1],
                expected: Some((&[(0, 1, 1)], &[])),
                ..PLAIN
            },
            Case { name: "x[3] of 3", input: &[3], ranges: &[(3, 4, 1)], masks: [0, 0, 0, 0, 1], ..PLAIN },
            Case {
                name: "x[..., 1]",
                input: &[2, 3, 4],
                ranges: &[(0, 0, 1), (1, 2, 1)],
                masks: [0, 0, 1, 0, 2],
                expected: Some((&[(0, 1, 2), (0, 1, 3), (1, 1, 1)], &[2, 3])),
                ..PLAIN
            },
            Case {
                name: "x[0:1, ..., None, 1:3]",
                input: &[2, 3, 4],
                ranges: &[(0, 1, 1), (0, 0, 1), (0, 0, 1), (1, 3, 1)],
                masks: [0, 0, 2, 4, 0],
                expected: Some((&[(0, 1, 1), (0, 1, 3), (1, 1, 2)], &[1, 3, 1, 2])),
                ..PLAIN
            },
            Case {
                name: "an ellipsis of no dimension",
                input: &[2, 3],
                ranges: &[(0, 1, 1), (0, 0, 1), (1, 3, 1)],
                masks: [0, 0, 2, 0, 0],
                expected: Some((&[(0, 1, 1), (1, 1, 2)], &[1, 2])),
                ..PLAIN
            },
            Case {
                name: "x[None, 1, None]",
                input: &[2, 3],
                ranges: &[(0, 0, 1), (1, 2, 1), (0, 0, 1)],
                masks: [0, 0, 0, 5, 2],
                expected: Some((&[(1, 1, 1), (0, 1, 3)], &[1, 1, 3])),
                ..PLAIN
            },
            Case {
                name: "new axis wins over shrink",
                input: &[2],
                ranges: &[(7, 8, 1)],
                masks: [0, 0, 0, 1, 1],
                expected: Some((&[(0, 1, 2)], &[1, 2])),
                ..PLAIN
            },
            Case {
                name: "two ellipses",
                input: &[2, 3],
                ranges: &[(0, 0, 1), (0, 0, 1)],
                masks: [0, 0, 3, 0, 0],
                ..PLAIN
            },
        ];
        cases.iter().for_each(check);
    }
}
