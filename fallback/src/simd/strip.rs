//! Parts of an output that have some columns of some rows.

use std::marker::PhantomData;

/// Some columns of rows that are `stride` elements apart; nobody else has them.
pub(crate) struct Strip<'a> {
    start: *mut f32,
    rows: usize,
    stride: usize,
    columns: usize,
    _elements: PhantomData<&'a mut [f32]>,
}

// SAFETY: it stands for the elements of its rows' columns, which it alone reaches; floats may be written by any thread.
unsafe impl Send for Strip<'_> {}

impl<'a> Strip<'a> {
    /// The first `columns` of `rows` rows that begin `stride` elements after each other.
    ///
    /// # Panics
    /// When `out` is too short, or rows overlap.
    pub(crate) fn new(out: &'a mut [f32], rows: usize, stride: usize, columns: usize) -> Self {
        let last = rows.saturating_sub(1);
        let end = last.checked_mul(stride).and_then(|start| start.checked_add(columns));
        assert!(rows == 0 || end.is_some_and(|end| end <= out.len()), "room for all rows");
        assert!(rows <= 1 || columns <= stride, "rows beside each other");
        Self { start: out.as_mut_ptr(), rows, stride, columns, _elements: PhantomData }
    }

    /// Cuts it into strips of `columns` columns and these of `rows` rows each, those of the first columns first; the last
    /// ones may have fewer.
    pub(crate) fn cut(self, rows: usize, columns: usize) -> Vec<Strip<'a>> {
        let (rows, columns) = (rows.max(1), columns.max(1));
        let (all_rows, all_columns) = (self.rows, self.columns);
        let strip = |column: usize, row: usize| Strip {
            // Inside what this strip has, or not used.
            start: self.start.wrapping_add(row * self.stride + column),
            rows: rows.min(all_rows - row),
            stride: self.stride,
            columns: columns.min(all_columns - column),
            _elements: PhantomData,
        };
        (0..all_columns)
            .step_by(columns)
            .flat_map(|column| (0..all_rows).step_by(rows).map(move |row| (column, row)))
            .map(|(column, row)| strip(column, row))
            .collect()
    }

    /// The same strip for a shorter time.
    pub(crate) fn reborrow(&mut self) -> Strip<'_> {
        Strip { _elements: PhantomData, ..*self }
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    #[cfg(test)]
    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// The columns of a row.
    ///
    /// # Panics
    /// When there is no such row.
    #[inline(always)]
    pub(crate) fn row(&mut self, row: usize) -> &mut [f32] {
        assert!(row < self.rows, "a row of the strip");
        // SAFETY: `new` has compared the last row's end with the slice's, `cut` deals disjoint rows and columns of it
        // out, and the borrow of this strip keeps others from its elements.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(row * self.stride), self.columns) }
    }
}

#[cfg(test)]
mod tests {
    use super::Strip;

    #[test]
    fn strips_have_each_element_once() {
        for (rows, stride, columns) in [(7, 10, 9), (1, 5, 5), (4, 3, 3), (0, 4, 4), (3, 8, 0)] {
            let mut out = vec![0.0; rows * stride];
            for (i, mut strip) in Strip::new(&mut out, rows, stride, columns).cut(3, 4).into_iter().enumerate() {
                assert!((1..=3).contains(&strip.rows()) && (1..=4).contains(&strip.columns()));
                (0..strip.rows()).for_each(|row| strip.row(row).iter_mut().for_each(|v| *v += 1.0 + i as f32));
            }
            for (at, v) in out.into_iter().enumerate() {
                let (row, column) = (at / stride, at % stride);
                let strip = column / 4 * rows.div_ceil(3) + row / 3;
                assert_eq!(v, if column < columns { 1.0 + strip as f32 } else { 0.0 }, "{rows} {columns}: {at}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "room for all rows")]
    fn a_strip_beyond_the_end_is_refused() {
        Strip::new(&mut [0.0; 9], 2, 5, 5);
    }

    #[test]
    #[should_panic(expected = "a row of the strip")]
    fn a_row_behind_the_last_is_refused() {
        Strip::new(&mut [0.0; 9], 1, 5, 5).row(1);
    }
}
