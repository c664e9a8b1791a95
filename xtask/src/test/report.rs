//! The table at the end of a test run.

use super::tally::Tally;
use std::fmt::Write;
use std::time::Duration;

/// How one leg went.
pub struct Result {
    /// The leg's name.
    pub name: &'static str,
    /// Its counts.
    pub tally: Tally,
    /// Time it took; none when it did not run.
    pub time: Option<Duration>,
    /// What it could have covered and did not.
    pub left_out: Option<&'static str>,
}

/// The whole report; its last line is `N passed, M failed, K skipped`.
pub fn text(results: &[Result]) -> String {
    let mut text = String::new();
    let mut total = Tally::default();
    row(&mut text, "leg", ["passed", "failed", "skipped", "time"]);
    for result in results {
        let tally = &result.tally;
        total.add(tally);
        let counts = [tally.passed(), tally.failed(), tally.skipped()].map(|n| n.to_string());
        let time = result.time.map_or("did not run".to_owned(), |time| format!("{:.0} s", time.as_secs_f64()));
        row(&mut text, result.name, [&counts[0], &counts[1], &counts[2], &time]);
    }
    list(&mut text, "skipped", results, |result| result.tally.notes.iter().map(String::as_str).collect());
    list(&mut text, "left out", results, |result| result.left_out.into_iter().collect());
    let (passed, failed, skipped) = (total.passed(), total.failed(), total.skipped());
    let _ = writeln!(text, "{passed} passed, {failed} failed, {skipped} skipped");
    text
}

fn row(text: &mut String, name: &str, [a, b, c, time]: [&str; 4]) {
    let _ = writeln!(text, "{name:<15}{a:>8}{b:>8}{c:>9}{time:>13}");
}

/// One line for each of the legs' notes, under a title; nothing when there are none.
fn list(text: &mut String, title: &str, results: &[Result], notes: impl Fn(&Result) -> Vec<&str>) {
    let mut title = Some(title);
    for result in results {
        for note in notes(result) {
            if let Some(title) = title.take() {
                let _ = writeln!(text, "{title}:");
            }
            let _ = writeln!(text, "  {}: {note}", result.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_names_what_did_not_run_and_ends_with_the_sum() {
        let mut ran = Tally::default();
        ran.line("test result: FAILED. 5 passed; 1 failed; 2 ignored; 0 measured");
        let mut absent = Tally::default();
        absent.skip("no driver".to_owned());
        let results = [
            Result {
                name: "lavapipe",
                tally: ran,
                time: Some(Duration::from_millis(61_400)),
                left_out: Some("half of it"),
            },
            Result { name: "swiftshader", tally: absent, time: None, left_out: None },
        ];
        let expected = "\
leg              passed  failed  skipped         time
lavapipe              5       1        2         61 s
swiftshader           0       0        1  did not run
skipped:
  swiftshader: no driver
left out:
  lavapipe: half of it
5 passed, 1 failed, 3 skipped
";
        assert_eq!(text(&results), expected);
    }
}
