//! Every kernel, in the variants that lowering can ask for, parses, validates and translates with naga.

mod translate;

use tflite_wgpu::{
    kernels,
    plan::step::{Variant, VariantValue},
    region::Storage,
};

#[test]
fn transfer_kernels_validate() -> Result<(), Box<dyn std::error::Error>> {
    for dialect in translate::DIALECTS {
        for name in ["import_host", "export_host"] {
            for host in ["f32", "f16", "bf16", "i32", "i64", "u8", "i8", "i16"] {
                for (device, storage) in [("f32", Storage::F32), ("f32", Storage::F16), ("i32", Storage::I32)] {
                    let row = kernels::row(name).ok_or("no such kernel")?;
                    let storage =
                        if name == "import_host" { vec![Storage::Raw, storage] } else { vec![storage, Storage::Raw] };
                    let whole = name == "export_host" && ["f32", "i32"].contains(&host);
                    let forms = if whole { &[0, 1][..] } else { &[0] };
                    for (single, by_texel) in
                        [0, 1].into_iter().flat_map(|single| forms.iter().map(move |by_texel| (single, *by_texel)))
                    {
                        let values = vec![
                            ("device", VariantValue::Text(device)),
                            ("host", VariantValue::Text(host)),
                            ("single", VariantValue::Int(single)),
                            ("by_texel", VariantValue::Int(by_texel)),
                        ];
                        let storage = storage.clone();
                        let text = kernels::render(row, &Variant { storage, values, epilogue: vec![] }, dialect)?;
                        let module = naga::front::wgsl::parse_str(&text)
                            .map_err(|e| format!("{name} {host}: {}", e.emit_to_string(&text)))?;
                        naga::valid::Validator::new(
                            naga::valid::ValidationFlags::all(),
                            naga::valid::Capabilities::all(),
                        )
                        .validate(&module)
                        .map_err(|e| format!("{name} {host}: {}\n{text}", e.emit_to_string(&text)))?;
                    }
                }
            }
        }
    }
    Ok(())
}
