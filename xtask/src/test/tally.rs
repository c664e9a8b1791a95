//! Counting tests in what `cargo test` prints.
//!
//! Counts come from the `test result:` lines. A test that finds something absent and returns early is `passed` to the test
//! harness: it says so by printing a line `SKIPPED name: reason` (several times, if its cases do), and moves from passed to skipped.

/// Counts of one leg, or of all.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Tests that ran and succeeded, including those that skipped themselves.
    succeeded: usize,
    failed: usize,
    ignored: usize,
    /// `name: reason` of each test that skipped itself.
    pub notes: Vec<String>,
    /// Where the notes of the test binary that runs now begin.
    current: usize,
}

impl Tally {
    /// Takes one line of output into account.
    pub fn line(&mut self, line: &str) {
        if let Some(counts) = line.strip_prefix("test result:") {
            self.succeeded += count_before(counts, "passed");
            self.failed += count_before(counts, "failed");
            self.ignored += count_before(counts, "ignored");
            self.current = self.notes.len();
        } else if let Some(note) = line.strip_prefix("SKIPPED ")
            && !self.notes.iter().skip(self.current).any(|known| known == note)
        {
            self.notes.push(note.to_owned());
        }
    }

    /// Counts a leg that did not run as one skipped test.
    pub fn skip(&mut self, note: String) {
        self.succeeded += 1;
        self.notes.push(note);
    }

    /// Counts a process that failed without naming a failed test (a crash, a compile error) as one.
    pub fn require_failure(&mut self) {
        self.failed = self.failed.max(1);
    }

    /// Adds another leg's counts.
    pub fn add(&mut self, other: &Self) {
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.ignored += other.ignored;
        self.notes.extend_from_slice(&other.notes);
    }

    /// Tests that ran, in full, and succeeded.
    pub fn passed(&self) -> usize {
        self.succeeded.saturating_sub(self.notes.len())
    }

    /// Tests that failed.
    pub fn failed(&self) -> usize {
        self.failed
    }

    /// Tests that are marked as ignored or skipped themselves.
    pub fn skipped(&self) -> usize {
        self.ignored + self.notes.len()
    }
}

/// The number before `word` in `ok. 3 passed; 0 failed; 1 ignored; …`; 0 when there is none.
fn count_before(counts: &str, word: &str) -> usize {
    let words: Vec<&str> = counts.split([' ', ';']).collect();
    let pair = words.windows(2).find(|pair| pair[1] == word);
    pair.and_then(|pair| pair[0].parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(lines: &str) -> (usize, usize, usize) {
        let mut tally = Tally::default();
        lines.lines().for_each(|line| tally.line(line));
        (tally.passed(), tally.failed(), tally.skipped())
    }

    #[test]
    fn lines_are_counted() {
        let cases = [
            ("nothing of note", "running 3 tests\ntest a ... ok", (0, 0, 0)),
            (
                "one binary",
                "test result: ok. 12 passed; 0 failed; 3 ignored; 0 measured; 7 filtered out; finished in 0.52s",
                (12, 0, 3),
            ),
            (
                "two binaries, one failing",
                "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out\n\
                 test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out",
                (5, 2, 0),
            ),
            ("coloured", "test result: \u{1b}[32mok\u{1b}[m. 2 passed; 0 failed; 1 ignored; 0 measured", (2, 0, 1)),
            (
                "a test that skipped itself",
                "SKIPPED ops::big: needs 2 GiB\ntest result: ok. 3 passed; 0 failed; 0 ignored",
                (2, 0, 1),
            ),
            (
                "two cases of a test that skipped itself, and its namesake",
                "SKIPPED a: no adapter\nSKIPPED a: no adapter\ntest result: ok. 3 passed; 0 failed; 0 ignored\n\
                 SKIPPED a: no adapter\ntest result: ok. 1 passed; 0 failed; 0 ignored",
                (2, 0, 2),
            ),
            ("quoted in a message", "got `test result: ok. 9 passed; 0 failed`", (0, 0, 0)),
        ];
        for (name, lines, expected) in cases {
            assert_eq!(tally(lines), expected, "{name}");
        }
    }

    #[test]
    fn failure_without_a_failed_test_counts_once() {
        let mut crashed = Tally::default();
        crashed.require_failure();
        assert_eq!(crashed.failed(), 1);
        let mut failed = Tally::default();
        failed.line("test result: FAILED. 1 passed; 2 failed; 0 ignored");
        failed.require_failure();
        assert_eq!(failed.failed(), 2);
    }

    #[test]
    fn sum_keeps_skipped_legs_apart_from_passed() {
        let mut sum = Tally::default();
        sum.skip("leg: no adapter".to_owned());
        let mut other = Tally::default();
        other.line("test result: ok. 3 passed; 0 failed; 1 ignored");
        sum.add(&other);
        assert_eq!((sum.passed(), sum.failed(), sum.skipped()), (3, 0, 2));
        assert_eq!(sum.notes, ["leg: no adapter"]);
    }
}
