//! Files that keep compiled pipelines and measured tiles between processes: one of each per adapter and driver, written
//! whole or not at all.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

/// Where compiled pipelines are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CacheDir {
    /// `tflite-wgpu` in the user's cache folder.
    #[default]
    User,
    /// Nowhere.
    Off,
    /// In this folder.
    At(PathBuf),
}

impl CacheDir {
    /// `default` (or nothing), `off`, or a folder.
    pub fn parse(text: &str) -> Self {
        match text {
            "" | "default" => Self::User,
            "off" => Self::Off,
            folder => Self::At(folder.into()),
        }
    }

    /// The file of an adapter; `None` when there is no folder, or the backend keeps no pipelines.
    pub(super) fn file(&self, info: &wgpu::AdapterInfo) -> Option<CacheFile> {
        let adapter = wgpu::util::pipeline_cache_key(info)?;
        let key = format!("{adapter} {} {} {}", info.name, info.driver, info.driver_info);
        let path = self.folder()?.join(format!("{adapter}_{:016x}.bin", checksum(key.as_bytes())));
        Some(CacheFile { path, key, magic: PIPELINES })
    }

    /// The file of what was measured on an adapter with this version of the kernels; `None` when there is no folder.
    pub(super) fn tiles(&self, info: &wgpu::AdapterInfo) -> Option<CacheFile> {
        let adapter = format!("{}_{:04x}_{:04x}", info.backend, info.vendor, info.device);
        let version = env!("CARGO_PKG_VERSION");
        let key = format!("{adapter} {} {} {} {version}", info.name, info.driver, info.driver_info);
        let path = self.folder()?.join(format!("{adapter}_{:016x}.tiles", checksum(key.as_bytes())));
        Some(CacheFile { path, key, magic: TILES })
    }

    fn folder(&self) -> Option<PathBuf> {
        match self {
            Self::Off => None,
            Self::At(folder) => Some(folder.clone()),
            Self::User => Some(user_folder()?.join("tflite-wgpu")),
        }
    }
}

/// The folder that the system has for files a program can make again.
fn user_folder() -> Option<PathBuf> {
    let variable = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if cfg!(target_os = "windows") {
        variable("LOCALAPPDATA")
    } else if cfg!(target_vendor = "apple") {
        Some(variable("HOME")?.join("Library/Caches"))
    } else {
        variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")))
    }
}

/// First bytes of a file of pipelines; the number is the format's.
const PIPELINES: &[u8] = b"tflite-wgpu pipelines 1\n";

/// First bytes of a file of measured tiles.
const TILES: &[u8] = b"tflite-wgpu tiles 1\n";

/// A file of one adapter and driver.
#[derive(Clone, Debug)]
pub(super) struct CacheFile {
    path: PathBuf,
    /// Adapter and driver.
    key: String,
    magic: &'static [u8],
}

impl CacheFile {
    /// What an earlier process has written; `None` when there is nothing, or it is damaged or another driver's.
    pub(super) fn read(&self) -> Option<Vec<u8>> {
        let file = fs::read(&self.path).ok()?;
        let data = unpack(&file, &self.key, self.magic);
        if data.is_none() {
            tracing::warn!(file = %self.path.display(), "ignored: damaged, or of another driver");
        }
        data.map(<[u8]>::to_vec)
    }

    /// Replaces the file as a whole.
    pub(super) fn write(&self, data: &[u8]) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        // Another process may be writing the same file.
        let part = self.path.with_extension(format!("{}.part", std::process::id()));
        let written = fs::write(&part, pack(data, &self.key, self.magic)).and_then(|()| fs::rename(&part, &self.path));
        if written.is_err() {
            // Nothing half done stays; that this fails, too, changes nothing.
            let _ = fs::remove_file(&part);
        }
        written
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Head, key and data, each with its length, and a checksum of all before it.
fn pack(data: &[u8], key: &str, magic: &[u8]) -> Vec<u8> {
    let mut file = magic.to_vec();
    for part in [key.as_bytes(), data] {
        file.extend_from_slice(&(part.len() as u64).to_le_bytes());
        file.extend_from_slice(part);
    }
    file.extend_from_slice(&checksum(&file).to_le_bytes());
    file
}

/// The data of a file that is whole, of this kind, and has this key.
fn unpack<'a>(file: &'a [u8], key: &str, magic: &[u8]) -> Option<&'a [u8]> {
    let (body, sum) = file.split_last_chunk::<8>()?;
    let rest = body.strip_prefix(magic)?;
    let (own_key, rest) = part(rest)?;
    let (data, rest) = part(rest)?;
    let whole = rest.is_empty() && checksum(body) == u64::from_le_bytes(*sum);
    (whole && own_key == key.as_bytes()).then_some(data)
}

fn part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)
}

/// FNV-1a.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_files_of_the_same_driver_are_read() {
        let file = pack(b"pipelines", "driver 1", PIPELINES);
        assert_eq!(unpack(&file, "driver 1", PIPELINES), Some(&b"pipelines"[..]));
        assert_eq!(unpack(&file, "driver 2", PIPELINES), None);
        assert_eq!(unpack(&file, "driver 1", TILES), None);
        assert_eq!(unpack(b"", "driver 1", PIPELINES), None);
        for i in 0..file.len() {
            assert_eq!(unpack(&file[..i], "driver 1", PIPELINES), None, "cut at {i}");
            let mut damaged = file.clone();
            damaged[i] ^= 0x10;
            assert_eq!(unpack(&damaged, "driver 1", PIPELINES), None, "flipped at {i}");
        }
    }

    #[test]
    fn files_are_replaced_whole() -> io::Result<()> {
        let folder = env::temp_dir().join(format!("tflite-wgpu-cache-{}", std::process::id()));
        let file = CacheFile { path: folder.join("deep/er.bin"), key: "driver".to_owned(), magic: TILES };
        assert_eq!(file.read(), None);
        for data in [b"one".as_slice(), b"two"] {
            file.write(data)?;
            assert_eq!(file.read().as_deref(), Some(data));
        }
        assert_eq!(fs::read_dir(folder.join("deep"))?.count(), 1);
        fs::remove_dir_all(folder)
    }

    #[test]
    fn folders_are_parsed() {
        assert_eq!(CacheDir::parse("default"), CacheDir::User);
        assert_eq!(CacheDir::parse("off"), CacheDir::Off);
        assert_eq!(CacheDir::parse("some/where"), CacheDir::At("some/where".into()));
        let software = wgpu::AdapterInfo::new(wgpu::DeviceType::Cpu, wgpu::Backend::Vulkan);
        assert!(CacheDir::Off.file(&software).is_none());
        let mut other = software.clone();
        other.driver_info = "2".to_owned();
        assert!(CacheDir::Off.tiles(&software).is_none());
        let tiles = |info| CacheDir::parse("x").tiles(info).map(|file| file.path);
        assert!(tiles(&software).is_some() && tiles(&software) != tiles(&other));
        let at = |info| CacheDir::parse("x").file(info).map(|file| file.path);
        assert_ne!(at(&software), at(&other), "a driver's update has a file of its own");
    }
}
