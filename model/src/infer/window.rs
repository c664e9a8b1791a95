//! Windows that slide along a dimension: SAME and VALID padding of convolutions and pools.

use crate::Padding;

use super::InferError;

/// A window's way along one dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Number of positions, the output's size.
    pub output: usize,
    /// Elements of padding before the input.
    pub before: usize,
    /// Elements of padding after it.
    pub after: usize,
}

/// What a dilated filter spans; `None` when it does not fit or a factor is 0.
fn span(filter: usize, stride: usize, dilation: usize) -> Option<usize> {
    if filter == 0 || stride == 0 || dilation == 0 {
        return None;
    }
    (filter - 1).checked_mul(dilation)?.checked_add(1)
}

/// SAME padding along one dimension: `(output, before, after)` with `output = ceil(input / stride)`; an odd element
/// of padding goes after the input.
///
/// # Errors
/// When `filter`, `stride` or `dilation` is 0 or the sizes overflow.
pub fn same_padding(
    input: usize,
    filter: usize,
    stride: usize,
    dilation: usize,
) -> Result<(usize, usize, usize), InferError> {
    let fault = || fault(input, filter, stride, dilation);
    let span = span(filter, stride, dilation).ok_or_else(fault)?;
    let output = input.div_ceil(stride);
    let reach = match output.checked_sub(1) {
        Some(steps) => steps.checked_mul(stride).and_then(|start| start.checked_add(span)).ok_or_else(fault)?,
        None => 0,
    };
    let padding = reach.saturating_sub(input);
    Ok((output, padding / 2, padding - padding / 2))
}

/// VALID padding along one dimension: the number of positions where the whole window lies inside the input, 0 when
/// there is none.
///
/// # Errors
/// When `filter`, `stride` or `dilation` is 0 or the sizes overflow.
pub fn valid_padding(input: usize, filter: usize, stride: usize, dilation: usize) -> Result<usize, InferError> {
    let span = span(filter, stride, dilation).ok_or_else(|| fault(input, filter, stride, dilation))?;
    Ok(input.checked_sub(span).map_or(0, |room| room / stride + 1))
}

/// The window's way with the padding of a convolution or pool.
///
/// # Errors
/// As [`same_padding`] and [`valid_padding`].
pub fn window(
    padding: Padding,
    input: usize,
    filter: usize,
    stride: usize,
    dilation: usize,
) -> Result<Window, InferError> {
    match padding {
        Padding::Same => {
            let (output, before, after) = same_padding(input, filter, stride, dilation)?;
            Ok(Window { output, before, after })
        }
        Padding::Valid => Ok(Window { output: valid_padding(input, filter, stride, dilation)?, before: 0, after: 0 }),
    }
}

fn fault(input: usize, filter: usize, stride: usize, dilation: usize) -> InferError {
    InferError::new(
        format!("size {input}, filter {filter}, stride {stride}, dilation {dilation}"),
        "a filter, stride and dilation of at least 1 that fit",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_pads_for_ceil_of_input_over_stride() {
        // input, filter, stride, dilation, (output, before, after)
        for (input, filter, stride, dilation, expected) in [
            (5, 3, 1, 1, (5, 1, 1)),
            (5, 2, 1, 1, (5, 0, 1)),
            (5, 3, 2, 1, (3, 1, 1)),
            (6, 3, 2, 1, (3, 0, 1)),
            (7, 3, 1, 2, (7, 2, 2)),
            (7, 2, 2, 3, (4, 1, 2)),
            (5, 1, 3, 1, (2, 0, 0)),
            (7, 2, 4, 1, (2, 0, 0)),
            (1, 5, 1, 1, (1, 2, 2)),
            (0, 3, 1, 1, (0, 0, 0)),
        ] {
            assert_eq!(same_padding(input, filter, stride, dilation), Ok(expected), "{input} {filter} {stride}");
        }
    }

    #[test]
    fn valid_counts_whole_windows() {
        for (input, filter, stride, dilation, expected) in
            [(5, 3, 1, 1, 3), (5, 3, 2, 1, 2), (6, 3, 2, 1, 2), (7, 3, 1, 2, 3), (2, 3, 1, 1, 0), (5, 1, 3, 1, 2)]
        {
            assert_eq!(valid_padding(input, filter, stride, dilation), Ok(expected), "{input} {filter} {stride}");
        }
    }

    #[test]
    fn zeros_and_overflow_are_errors() {
        assert!(same_padding(5, 3, 0, 1).is_err());
        assert!(same_padding(5, 0, 1, 1).is_err());
        assert!(valid_padding(5, 3, 1, 0).is_err());
        assert!(valid_padding(5, usize::MAX, 1, 2).is_err());
        assert!(same_padding(usize::MAX, usize::MAX, 1, 1).is_err());
    }
}
