//! Text for people: sizes, tables, and writing to stdout.

use std::io::{self, Write};

use tflite_wgpu::{gpu::AdapterSummary, model::Shape};

use super::failure::Res;

/// Writes to stdout; a reader that has gone away is no failure.
pub fn print(text: &str) -> Res<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Writes JSON to stdout.
pub fn print_json(json: &serde_json::Value) -> Res<()> {
    print(&format!("{json:#}\n"))
}

/// A size with a unit.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut size = count as f64;
    let mut unit = "B";
    for next in UNITS {
        if size < 1024.0 {
            break;
        }
        size /= 1024.0;
        unit = next;
    }
    if unit == "B" { format!("{count} B") } else { format!("{size:.1} {unit}") }
}

/// Dimensions as `[1,2,3]`.
pub fn dims(dims: &[usize]) -> String {
    Shape::known(dims).to_string()
}

/// The adapter, or that there is none.
pub fn adapter(summary: Option<&AdapterSummary>) -> String {
    summary.map_or_else(|| "none (CPU)".to_owned(), ToString::to_string)
}

/// `1 node`, `2 nodes`.
pub fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// Rows as columns of equal width, each row indented; the last column is left as it is.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::from(" ");
        for (i, (cell, width)) in row.iter().zip(&widths).enumerate() {
            line.push(' ');
            line.push_str(cell);
            if i + 1 < row.len() {
                line.extend(std::iter::repeat_n(' ', (width + 1).saturating_sub(cell.chars().count())));
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Positions with runs joined: `0–3, 5`.
pub fn ranges(positions: &[usize]) -> String {
    let mut parts: Vec<(usize, usize)> = Vec::new();
    for &at in positions {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == at => *last = at,
            _ => parts.push((at, at)),
        }
    }
    let part = |&(first, last): &(usize, usize)| {
        if first == last { first.to_string() } else { format!("{first}–{last}") }
    };
    parts.iter().map(part).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!([bytes(0), bytes(1023), bytes(1536)].join(" "), "0 B 1023 B 1.5 KiB");
        assert_eq!(bytes(5 << 30), "5.0 GiB");
    }

    #[test]
    fn runs_are_joined() {
        assert_eq!(ranges(&[0, 1, 2, 5, 7, 8]), "0–2, 5, 7–8");
        assert_eq!(ranges(&[]), "");
    }

    #[test]
    fn columns_line_up() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        assert_eq!(table(&[row(["a", "b"]), row(["long", "c"])]), "  a     b\n  long  c\n");
    }
}
