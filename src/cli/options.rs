//! The block of options that every command takes that runs a model: the delegate's keys, and threads.

use std::sync::LazyLock;

use clap::{
    Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches,
    error::{Error, ErrorKind},
};
use tflite_wgpu::{
    InterpreterBuilder,
    options::{DelegateOptions, DeviceChoice, KEYS},
};

const HEADING: &str = "Where it runs";

/// Flags of the keys: with hyphens.
static FLAGS: LazyLock<Vec<String>> = LazyLock::new(|| KEYS.iter().map(|(key, _)| key.replace('_', "-")).collect());

/// Options of the delegate and threads of the CPU's kernels.
#[derive(Clone, Debug)]
pub struct RunOptions {
    options: DelegateOptions,
    device_given: bool,
    threads: Option<usize>,
    memory_limit: Option<usize>,
}

/// Memory that tensors may take unless `--memory-limit` says otherwise.
const MEMORY_LIMIT: usize = usize::MAX >> usize::BITS.saturating_sub(33);

impl RunOptions {
    /// Bytes that tensors may take.
    pub fn memory_limit(&self) -> usize {
        self.memory_limit.unwrap_or(MEMORY_LIMIT)
    }

    /// An interpreter's builder with what the options say of it.
    pub fn configure(&self, builder: InterpreterBuilder) -> InterpreterBuilder {
        let builder = builder.memory_limit_bytes(self.memory_limit());
        self.threads.into_iter().fold(builder, |builder, threads| builder.threads(threads))
    }

    /// The delegate's options, with a device of the command's own if none is given.
    pub fn delegate(&self, device: DeviceChoice) -> DelegateOptions {
        let mut options = self.options.clone();
        if !self.device_given {
            options.device = device;
        }
        options
    }
}

impl Args for RunOptions {
    fn augment_args(command: Command) -> Command {
        let flags = LazyLock::force(&FLAGS).iter();
        let command = KEYS.iter().zip(flags).fold(command, |command, ((key, takes), flag)| {
            let arg = Arg::new(*key).long(flag.as_str()).value_name("VALUE").help(capitalised(takes));
            // The underscore is how files and other languages spell the key.
            let arg = if flag == key { arg } else { arg.alias(*key) };
            command.arg(arg.help_heading(HEADING).allow_hyphen_values(true))
        });
        let pairs = Arg::new("option").short('o').long("option").value_name("KEY=VALUE").action(ArgAction::Append);
        let threads = Arg::new("threads").long("threads").alias("num_threads").value_name("N");
        let threads = threads.value_parser(clap::value_parser!(u16).range(1..));
        let limit = Arg::new("memory_limit").long("memory-limit").value_name("SIZE").value_parser(size);
        command
            .arg(pairs.help("The same by key, several times").help_heading(HEADING))
            .arg(threads.help("Threads of the CPU's kernels").help_heading(HEADING))
            .arg(limit.help("Bytes that tensors may take, such as 512M; 8G by default").help_heading(HEADING))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for RunOptions {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let invalid = |error: &dyn std::fmt::Display| Error::raw(ErrorKind::ValueValidation, error);
        let pairs = matches.get_many::<String>("option").into_iter().flatten().map(String::as_str);
        let mut options = DelegateOptions::parse(pairs.clone()).map_err(|error| invalid(&error))?;
        let mut device_given = pairs.clone().any(|pair| pair.trim_start().starts_with("device="));
        for (key, _) in KEYS {
            if let Some(value) = matches.get_one::<String>(key) {
                options.set(key, value).map_err(|error| invalid(&error))?;
                device_given |= *key == "device";
            }
        }
        let threads = matches.get_one::<u16>("threads").map(|&n| usize::from(n));
        let memory_limit = matches.get_one::<usize>("memory_limit").copied();
        Ok(Self { options, device_given, threads, memory_limit })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// A number of bytes, perhaps with K, M or G.
fn size(text: &str) -> Result<usize, String> {
    let (digits, unit) = match text.char_indices().next_back() {
        Some((at, 'K' | 'k')) => (text.get(..at), 1usize << 10),
        Some((at, 'M' | 'm')) => (text.get(..at), 1 << 20),
        Some((at, 'G' | 'g')) => (text.get(..at), 1 << 30),
        _ => (Some(text), 1),
    };
    let number = digits.and_then(|digits| digits.parse::<usize>().ok());
    number.and_then(|n| n.checked_mul(unit)).ok_or_else(|| "expected a size such as 512M".to_owned())
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use tflite_wgpu::options::Validate;

    use super::*;

    fn parse(words: &[&str]) -> Result<RunOptions, Error> {
        let command = RunOptions::augment_args(Command::new("test"));
        let matches = command.try_get_matches_from([&["test"], words].concat())?;
        RunOptions::from_arg_matches(&matches)
    }

    #[test]
    fn flags_and_keys_are_the_same() -> Result<(), Error> {
        let flags = parse(&["--gpu-nodes", "2..5", "--deny-ops=ADD", "--validate", "every:2", "--threads", "3"])?;
        let keys = parse(&["-o", "gpu_nodes=2..5", "-o", "deny_ops=ADD", "-o", "validate=every:2"])?;
        assert_eq!(flags.options, keys.options);
        assert_eq!(flags.options.validate, Validate::Every(2));
        assert_eq!(flags.threads, Some(3));
        assert_eq!(parse(&["--memory-limit", "3M"])?.memory_limit(), 3 << 20);
        assert_eq!(parse(&[])?.memory_limit(), (8 << 30) - 1);
        Ok(())
    }

    #[test]
    fn a_command_chooses_the_device_only_where_none_is_given() -> Result<(), Error> {
        assert_eq!(parse(&[])?.delegate(DeviceChoice::Gpu).device, DeviceChoice::Gpu);
        assert_eq!(parse(&["--device", "auto"])?.delegate(DeviceChoice::Gpu).device, DeviceChoice::Auto);
        assert_eq!(parse(&["-o", "device=cpu"])?.delegate(DeviceChoice::Gpu).device, DeviceChoice::Cpu);
        Ok(())
    }

    #[test]
    fn what_is_wrong_with_a_value_is_said() {
        let text = parse(&["--precision", "f64"]).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(text.contains("precision") && text.contains("f64") && text.contains("f16 or f32"), "{text}");
        assert!(parse(&["-o", "colour=red"]).is_err());
        assert!(parse(&["--threads", "0"]).is_err());
        assert!(parse(&["--memory-limit", "3MB"]).is_err());
    }
}
