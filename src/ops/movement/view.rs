//! Where each index of a result is read.

use super::MAX_AXES;
use crate::{reason::Reason, region::Texels};

/// Axes that a column index is cut into at most.
const MAX_INNER: usize = 3;

/// What happens outside an axis' bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// There are none.
    #[default]
    Plain,
    /// The result is a constant there.
    Bounded,
    /// Indices are reflected; with `edge` 1 the edge itself is left out.
    Mirror {
        /// 1 for REFLECT, 0 for SYMMETRIC.
        edge: usize,
    },
}

/// An axis of the result, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Number of indices.
    pub size: usize,
    /// Elements of the source, padding included, from one index to the next.
    pub step: isize,
    /// Index that stands for the source's first.
    pub low: usize,
    /// Indices of the source.
    pub count: usize,
}

impl Axis {
    /// An axis without bounds.
    pub fn new(size: usize, step: isize) -> Self {
        Self { size, step, low: 0, count: size }
    }

    /// An axis of `count` indices of the source with others before and after.
    pub fn padded(size: usize, step: isize, low: usize, count: usize) -> Self {
        Self { size, step, low, count }
    }

    fn is_whole(self) -> bool {
        self.low == 0 && self.count == self.size
    }
}

/// Where each index of a result is read in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Place of the first index, in elements with padding.
    pub offset: isize,
    /// Axes of the rows, outermost first, merged.
    pub outer: Vec<Axis>,
    /// Axes of the columns, outermost first, merged; at least one.
    pub inner: Vec<Axis>,
    /// What happens outside bounds.
    pub mode: Mode,
    /// Channels of the source.
    pub source_channels: usize,
}

impl View {
    /// A view of a source of shape `source` by the axes of each output dimension; an output without dimensions is one
    /// element.
    pub fn new(source: &[usize], offset: isize, mut dims: Vec<Vec<Axis>>, mode: Mode) -> Self {
        let inner = dims.pop().unwrap_or_default();
        let mut inner = merged(inner, mode);
        if inner.is_empty() {
            inner.push(Axis::new(1, 1));
        }
        let outer = merged(dims.concat(), mode);
        Self { offset, outer, inner, mode, source_channels: Texels::of(source).channels }
    }

    /// Checks that a kernel has room for the axes.
    ///
    /// # Errors
    /// [`Reason::Shape`].
    pub fn check(&self) -> Result<(), Reason> {
        let bounded = self.mode != Mode::Plain && self.inner.len() > 1;
        if self.outer.len() > MAX_AXES || self.inner.len() > MAX_INNER || bounded {
            return Err(Reason::Shape("more dimensions after merging than the movement kernels have"));
        }
        Ok(())
    }

    /// The columns' only axis.
    pub fn column(&self) -> Option<Axis> {
        match self.inner.as_slice() {
            [axis] => Some(*axis),
            _ => None,
        }
    }

    /// The columns' axis, if rows can be read in whole texels.
    pub fn whole_texels(&self) -> Option<Axis> {
        let column = self.column()?;
        let aligned = self.offset % 4 == 0 && self.outer.iter().all(|axis| axis.step % 4 == 0);
        let contiguous = column.step == 1 || column.size == 1;
        (aligned && contiguous && column.is_whole()).then_some(column)
    }

    /// Whether lanes beyond the columns may hold something else than zero in the source.
    pub fn needs_mask(&self) -> bool {
        let pitch = self.source_channels.next_multiple_of(4).cast_signed();
        let size = self.inner.iter().map(|axis| axis.size).product::<usize>();
        let ends_row = self.offset.rem_euclid(pitch) + size.cast_signed() == self.source_channels.cast_signed();
        !size.is_multiple_of(4) && !ends_row
    }
}

/// Elements from one index of each dimension to the next, with padding.
pub fn steps(dims: &[usize]) -> Vec<isize> {
    let mut step = 1;
    let mut steps: Vec<isize> = dims
        .iter()
        .rev()
        .enumerate()
        .map(|(i, &size)| {
            let this = step;
            step *= if i == 0 { size.next_multiple_of(4) } else { size }.cast_signed();
            this
        })
        .collect();
    steps.reverse();
    steps
}

/// Neighbours that one axis can stand for become one; axes of a single index vanish.
fn merged(axes: Vec<Axis>, mode: Mode) -> Vec<Axis> {
    let mut merged: Vec<Axis> = Vec::with_capacity(axes.len());
    for axis in axes.into_iter().filter(|axis| axis.size != 1 || !axis.is_whole()) {
        match merged.last_mut() {
            Some(last) if joins(*last, axis, mode) => {
                *last = Axis {
                    size: last.size * axis.size,
                    step: axis.step,
                    low: last.low * axis.size,
                    count: last.count * axis.size,
                };
            }
            _ => merged.push(axis),
        }
    }
    merged
}

fn joins(outer: Axis, inner: Axis, mode: Mode) -> bool {
    let bounds = match mode {
        Mode::Plain => true,
        Mode::Bounded => inner.is_whole(),
        Mode::Mirror { .. } => inner.is_whole() && outer.is_whole(),
    };
    bounds && outer.step == inner.step * inner.size.cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_count_padding() {
        assert_eq!(steps(&[2, 3, 5]), [24, 8, 1]);
        assert_eq!(steps(&[7]), [1]);
        assert!(steps(&[]).is_empty());
    }

    #[test]
    fn neighbours_merge() {
        let steps = steps(&[2, 3, 4, 5]);
        let dims: Vec<Vec<Axis>> =
            [2, 3, 4, 5].into_iter().zip(&steps).map(|(n, &step)| vec![Axis::new(n, step)]).collect();
        let view = View::new(&[2, 3, 4, 5], 0, dims, Mode::Plain);
        assert_eq!(view.outer, [Axis::new(24, 8)]);
        assert_eq!(view.inner, [Axis::new(5, 1)]);
        assert!(view.whole_texels().is_some() && !view.needs_mask());
        let scalar = View::new(&[], 0, vec![], Mode::Plain);
        assert_eq!((scalar.outer.len(), scalar.inner.len()), (0, 1));
    }

    #[test]
    fn bounds_merge_only_outwards() {
        let rows =
            |h: Axis, w: Axis| View::new(&[3, 4, 4], 0, vec![vec![h], vec![w], vec![Axis::new(4, 1)]], Mode::Bounded);
        let (padded, whole) = (Axis::padded(5, 16, 1, 3), Axis::new(4, 4));
        assert_eq!(rows(padded, whole).outer, [Axis::padded(20, 4, 4, 12)]);
        assert_eq!(rows(Axis::new(3, 16), Axis::padded(6, 4, 1, 4)).outer.len(), 2);
    }

    #[test]
    fn cut_rows_are_masked() {
        let cut = |offset: isize, size: usize| {
            View::new(&[2, 9], offset, vec![vec![Axis::new(2, 12)], vec![Axis::new(size, 1)]], Mode::Plain)
        };
        assert!(cut(0, 5).needs_mask());
        assert!(!cut(4, 5).needs_mask());
        assert!(!cut(0, 8).needs_mask());
        assert!(cut(1, 8).whole_texels().is_none());
    }
}
