//! Keeps the library mapped once it is loaded: hosts close it while its threads and callbacks still live.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let unix = std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux" || os == "android");
    if unix {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
