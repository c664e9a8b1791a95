//! Running other programs.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::{env, io, thread};

/// Runs a program that shares our terminal; its failure is an error that names it.
pub fn checked(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| shown(command))?;
    if !status.success() {
        bail!("{} failed ({status})", shown(command));
    }
    Ok(())
}

/// Standard output of a program; the error of one that failed carries what it said last.
pub fn output(command: &mut Command) -> Result<String> {
    let result = command.stdin(Stdio::null()).output().with_context(|| shown(command))?;
    if !result.status.success() {
        bail!("{} failed: {}", shown(command), last_words(&result));
    }
    String::from_utf8(result.stdout).with_context(|| format!("output of {}", shown(command)))
}

/// Runs a program, passes on its output at once, and hands every line of it to `line` too.
pub fn streamed(command: &mut Command, line: &(dyn Fn(&str) + Sync)) -> Result<ExitStatus> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| shown(command))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        scope.spawn(|| relay(stderr, io::stderr(), line));
        relay(stdout, io::stdout(), line);
    });
    child.wait().with_context(|| shown(command))
}

/// Copies line by line until the other side closes; a terminal that went away ends nothing.
fn relay(from: Option<impl Read>, mut to: impl Write, line: &dyn Fn(&str)) {
    let Some(from) = from else { return };
    let mut from = BufReader::new(from);
    let mut bytes = Vec::new();
    while matches!(from.read_until(b'\n', &mut bytes), Ok(count) if count > 0) {
        let _ = to.write_all(&bytes).and_then(|()| to.flush());
        line(String::from_utf8_lossy(&bytes).trim_end());
        bytes.clear();
    }
}

/// Whether a program of this name is in `PATH`.
pub fn is_installed(program: &str) -> bool {
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders).any(|folder| {
        let file = folder.join(program);
        file.is_file() || file.with_extension("exe").is_file()
    })
}

/// The command line, for messages.
fn shown(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

/// The last line with text, of standard error if there is one.
fn last_words(result: &Output) -> String {
    let all = [&result.stderr, &result.stdout].map(|bytes| String::from_utf8_lossy(bytes));
    let last = all.iter().find_map(|text| text.lines().rev().find(|line| !line.trim().is_empty()));
    last.map_or_else(|| result.status.to_string(), |line| line.trim().to_owned())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn streamed_sees_both_outputs_and_the_status() -> Result<()> {
        let seen = Mutex::new(Vec::new());
        let status = streamed(Command::new("sh").args(["-c", "echo one; echo two >&2; exit 3"]), &|line| {
            if let Ok(mut seen) = seen.lock() {
                seen.push(line.to_owned());
            }
        })?;
        let mut seen = seen.into_inner()?;
        seen.sort();
        assert_eq!(seen, ["one", "two"]);
        assert_eq!(status.code(), Some(3));
        Ok(())
    }

    #[test]
    fn failure_names_the_command_and_its_last_words() {
        let error = output(Command::new("sh").args(["-c", "echo why >&2; exit 1"]));
        let text = error.map_err(|error| error.to_string());
        assert_eq!(text, Err("sh -c echo why >&2; exit 1 failed: why".to_owned()));
    }

    #[test]
    fn programs_are_looked_up_in_path() {
        assert!(is_installed("sh"));
        assert!(!is_installed("no-such-program"));
    }
}
