//! The command line on the digits model, and on real models where they are.

mod command;

use command::{Scratch, TestResult, digits, has_adapter, run, run_in, shared_models};
use serde_json::Value as Json;
use tflite_wgpu::{model::DType, npy};

/// Weights of the digits model.
const KINDS: [&str; 3] = ["f32", "f16", "int8"];

/// Runs all ten pictures; probabilities may differ by `tolerance` from what LiteRT gives.
fn classify(kind: &str, tolerance: f64, options: &[&str]) -> TestResult {
    let accuracy: Json = serde_json::from_slice(&std::fs::read(digits("accuracy.json"))?)?;
    let images = accuracy["images"].as_array().ok_or("no images")?;
    assert_eq!(images.len(), 10);
    for image in images {
        let picture = digits(image["file"].as_str().unwrap_or_default());
        let (model, labels) = (digits(&format!("digits_{kind}.tflite")), digits("labels.txt"));
        let words = ["run", &model, "--input", &picture, "--labels", &labels, "--json"];
        let found = run(&[&words, options].concat())?.json()?;
        let best = &found["outputs"][0]["top"][0];
        let (score, expected) =
            (best["score"].as_f64().unwrap_or(-1.0), image["probability"][kind].as_f64().unwrap_or(0.0));
        assert_eq!(best["index"], image["label"], "{picture} {kind}");
        assert_eq!(best["label"].as_str(), Some(image["label"].to_string().as_str()), "{picture} {kind}");
        assert!((score - expected).abs() <= tolerance, "{picture} {kind}: {score}, expected {expected}");
    }
    Ok(())
}

#[test]
fn digits_are_classified_on_the_cpu() -> TestResult {
    classify("f32", 1e-5, &["--device", "cpu"])?;
    classify("f16", 1e-5, &["--device", "cpu"])?;
    classify("int8", 0.01, &["--device", "cpu"])
}

#[test]
fn digits_are_classified_on_the_gpu() -> TestResult {
    if !has_adapter()? {
        return Ok(());
    }
    classify("f32", 1e-4, &["--device", "gpu", "--precision", "f32"])?;
    classify("f16", 0.01, &["--device", "gpu"])
}

#[test]
fn outputs_are_written_as_npy_and_all_forms_of_an_input_give_the_same() -> TestResult {
    let scratch = Scratch::new()?;
    let (model, picture) = (digits("digits_f32.tflite"), digits("digit_3.png"));
    let of = |input: &str, folder: &str| -> Result<tflite_wgpu::Value, Box<dyn std::error::Error>> {
        let folder = scratch.file(folder);
        run(&["run", &model, "-i", input, "--device", "cpu", "--output-dir", &folder])?.good()?;
        Ok(npy::read(&std::path::Path::new(&folder).join("out_0.npy"), None)?)
    };
    let expected = of(&picture, "a")?;
    assert_eq!((expected.dtype(), expected.shape()), (DType::Float32, [1, 10].as_slice()));
    let scores = expected.as_slice::<f32>()?;
    assert!((scores.iter().sum::<f32>() - 1.0).abs() < 1e-5 && scores[3] > 0.9, "{scores:?}");
    let pixels: Vec<f32> = image::open(&picture)?.into_luma8().iter().map(|&p| f32::from(p) / 255.0).collect();
    let (as_npy, as_raw) = (scratch.file("input.npy"), scratch.file("input.raw"));
    npy::write(std::path::Path::new(&as_npy), &tflite_wgpu::Value::f32(&[1, 16, 16, 1], &pixels)?)?;
    std::fs::write(&as_raw, pixels.iter().flat_map(|p| p.to_le_bytes()).collect::<Vec<_>>())?;
    for (i, input) in [as_npy.clone(), as_raw.clone(), format!("0={as_npy}")].iter().enumerate() {
        assert_eq!(of(input, &format!("b{i}"))?, expected, "{input}");
    }
    assert_eq!(scratch.entries()?, ["a", "b0", "b1", "b2", "input.npy", "input.raw"]);
    Ok(())
}

#[test]
fn names_of_inputs_are_the_signatures_and_the_files() -> TestResult {
    let (model, picture) = (digits("digits_f32.tflite"), digits("digit_7.png"));
    let inspected = run(&["inspect", &model, "--json"])?.json()?;
    let signature = &inspected["signatures"][0];
    let key = signature["key"].as_str().ok_or("no signature")?;
    let input = signature["inputs"][0]["name"].as_str().ok_or("no input")?;
    let tensor = signature["inputs"][0]["tensor"].as_u64().ok_or("no tensor")? as usize;
    let in_file = inspected["subgraphs"][0]["tensors"][tensor]["name"].as_str().ok_or("no name")?;
    let top = |words: &[&str]| -> Result<Json, Box<dyn std::error::Error>> {
        let found = run(&[&["run", &model, "--device", "cpu", "--json"], words].concat())?.json()?;
        Ok(found["outputs"][0]["top"][0].clone())
    };
    let expected = top(&["-i", &picture])?;
    assert_eq!(expected["index"], 7);
    let (by_signature, by_file) = (format!("{input}={picture}"), format!("{in_file}={picture}"));
    assert_eq!(top(&["-i", &by_signature])?, expected);
    assert_eq!(top(&["-i", &by_file])?, expected);
    assert_eq!(top(&["--signature", key, "-i", &by_signature])?, expected);
    Ok(())
}

#[test]
fn a_resize_changes_the_shape_of_the_output() -> TestResult {
    let model = digits("digits_f32.tflite");
    for resize in ["3x16x16x1", "3,16,16,1"] {
        let words = ["run", &model, "--random", "--resize", resize, "--device", "cpu", "--json"];
        assert_eq!(run(&words)?.json()?["outputs"][0]["shape"], serde_json::json!([3, 10]), "{resize}");
    }
    Ok(())
}

#[test]
fn inspect_says_what_a_file_holds() -> TestResult {
    for (kind, expected) in KINDS.into_iter().zip(["float", "float16", "int8"]) {
        let found = run(&["inspect", &digits(&format!("digits_{kind}.tflite")), "--json"])?.json()?;
        assert_eq!(found["kind"], expected);
        assert_eq!(found["operators"]["SOFTMAX"], 1);
        let nodes = found["subgraphs"][0]["nodes"].as_array().map_or(0, Vec::len);
        assert_eq!(found["nodes"].as_u64(), Some(nodes as u64));
        assert!(nodes > 5);
    }
    let text = run(&["inspect", &digits("digits_int8.tflite"), "--tensors"])?;
    text.good()?;
    for part in ["int8 model", "CONV_2D", "signature", "scale", "INT8 [1,16,16,1]"] {
        assert!(text.stdout.contains(part), "{part} is not in {}", text.stdout);
    }
    Ok(())
}

#[test]
fn a_plan_names_every_node_with_device_and_reason() -> TestResult {
    let model = digits("digits_f32.tflite");
    let on_cpu = run(&["inspect", &model, "--plan", "--device", "cpu", "--json"])?.json()?;
    let nodes = on_cpu["plan"]["nodes"].as_array().ok_or("no nodes")?;
    assert_eq!(Some(nodes.len() as u64), on_cpu["nodes"].as_u64());
    assert!(nodes.iter().all(|node| node["device"] == "cpu" && node["reason"] == "device=cpu"), "{nodes:?}");
    if !has_adapter()? {
        return Ok(());
    }
    let words = ["inspect", &model, "--plan", "--device", "gpu", "--deny-ops", "MAX_POOL_2D", "--json"];
    let on_gpu = run(&words)?.json()?;
    let plan = &on_gpu["plan"];
    let nodes = plan["nodes"].as_array().ok_or("no nodes")?;
    for node in nodes {
        let denied = node["op"] == "MAX_POOL_2D";
        assert_eq!(node["device"], if denied { "cpu" } else { "gpu" }, "{node}");
        assert_eq!(node["reason"].as_str(), denied.then_some("left out by the option deny_ops"), "{node}");
    }
    let denied = nodes.iter().filter(|node| node["device"] == "cpu").count();
    assert!(denied > 0 && plan["cpu_nodes"].as_u64() == Some(denied as u64), "{plan}");
    assert!(plan["partitions"].as_array().is_some_and(|list| list.len() > 1 && list.iter().all(has_steps)), "{plan}");
    assert!(plan["gpu_memory_bytes"]["total"].as_u64() > Some(0) && plan["pipelines"].as_u64() > Some(0), "{plan}");
    Ok(())
}

fn has_steps(partition: &Json) -> bool {
    let steps = partition["steps"].as_array();
    steps.is_some_and(|steps| !steps.is_empty() && steps.iter().all(|step| step["kernel"].is_string()))
}

#[test]
fn benchmark_gives_the_documented_fields() -> TestResult {
    let model = digits("digits_f32.tflite");
    let graph = format!("--graph={model}");
    for words in
        [vec!["benchmark", &model, "--runs", "7"], vec!["benchmark", &graph, "--num_runs=7", "--num_threads=1"]]
    {
        let found = run(&[&words[..], &["--device", "cpu", "--json"]].concat())?.json()?;
        let latency = found["latency"].as_object().ok_or("no latency")?;
        let keys =
            ["init_ms", "first_ms", "avg_ms", "min_ms", "median_ms", "p5_ms", "p90_ms", "p95_ms", "max_ms", "std_ms"];
        for key in keys {
            assert!(latency.get(key).and_then(Json::as_f64) >= Some(0.0), "{key} in {latency:?}");
        }
        assert_eq!(latency["num_runs"], 7);
        assert!(latency["min_ms"].as_f64() <= latency["median_ms"].as_f64());
        assert_eq!((found["gpu_nodes"].as_u64(), found["adapter"].is_null()), (Some(0), true));
        for key in ["cpu_nodes", "dispatches", "pipelines", "partitions", "gpu_memory_bytes", "cpu_memory_bytes"] {
            assert!(found[key].is_u64(), "{key} in {found}");
        }
    }
    let text = run(&["benchmark", &model, "--runs", "2", "--device", "cpu"])?;
    text.good()?;
    let timings = "Inference timings in us: Init: ";
    assert!(text.stdout.contains(timings) && text.stdout.contains("count=2 "), "{}", text.stdout);
    Ok(())
}

#[test]
fn benchmark_takes_the_words_of_benchmark_model() -> TestResult {
    let graph = format!("--graph={}", digits("digits_f32.tflite"));
    let with =
        |words: &[&str]| run(&[&["benchmark", &graph, "--num_runs=1", "--warmup_runs=0", "--json"], words].concat());
    let shape = ["--use_gpu=false", "--input_layer=serving_default_image:0", "--input_layer_shape=2,16,16,1"];
    let found = with(&shape)?.json()?;
    assert!(found["adapter"].is_null() && found["resizes"].is_object(), "{found}");
    let found = with(&["--use_gpu=false", "--signature_to_run_for=serving_default"])?.json()?;
    assert!(found["adapter"].is_null() && found["resizes"].is_null(), "{found}");
    if has_adapter()? {
        assert_eq!(with(&["--use_gpu=true"])?.json()?["cpu_nodes"], 0);
    }
    for (words, expected) in [
        (&["--input_layer=a,b", "--input_layer_shape=1,2"][..], "has 1 shapes, expected 2"),
        (&["--input_layer=a", "--input_layer_shape=1,2"][..], "\"a\" does not exist"),
        (&["--input_layer=a"][..], "--input_layer_shape"),
        (&["--use_gpu=true", "--device", "cpu"][..], "--device"),
    ] {
        let found = with(words)?;
        assert!(found.code != Some(0) && found.stderr.contains(expected), "{words:?}: {}", found.stderr);
    }
    Ok(())
}

#[test]
fn benchmark_counts_what_is_on_the_gpu() -> TestResult {
    if !has_adapter()? {
        return Ok(());
    }
    let words = ["benchmark", &digits("digits_f32.tflite"), "--runs", "3", "--device", "gpu", "--json"];
    let found = run(&words)?.json()?;
    assert_eq!(found["cpu_nodes"], 0, "{found}");
    assert!(found["adapter"].is_string() && found["driver"].is_string() && found["software"].is_boolean(), "{found}");
    assert!(found["gpu_memory_bytes"].as_u64() > Some(0) && found["dispatches"].as_u64() > Some(0), "{found}");
    Ok(())
}

#[test]
fn adapters_are_ranked_and_software_is_called_so() -> TestResult {
    let found = run(&["devices", "--json"])?.json()?;
    let adapters = found["adapters"].as_array().ok_or("no list")?;
    let text = run(&["devices"])?;
    text.good()?;
    for (i, adapter) in adapters.iter().enumerate() {
        assert_eq!(adapter["index"].as_u64(), Some(i as u64));
        let name = adapter["name"].as_str().unwrap_or_default();
        let line = text.stdout.lines().find(|line| line.starts_with(&format!("{i} {name}"))).unwrap_or_default();
        assert_eq!(line.contains("a software adapter"), adapter["software"] == true, "{line:?}");
    }
    let software: Vec<bool> = adapters.iter().map(|adapter| adapter["software"] == true).collect();
    assert!(software.is_sorted(), "hardware comes first: {software:?}");
    Ok(())
}

#[test]
fn without_an_adapter_the_cpu_runs_everything_and_says_so_once() -> TestResult {
    if cfg!(any(target_os = "macos", target_os = "windows")) {
        println!("skipped: adapters cannot be hidden here");
        return Ok(());
    }
    let hidden = [("VK_DRIVER_FILES", "/nonexistent"), ("VK_ICD_FILENAMES", "/nonexistent")];
    let (model, picture) = (digits("digits_f32.tflite"), digits("digit_4.png"));
    let words = ["run", &model, "-i", &picture, "--json"];
    let auto = run_in(&words, &hidden)?;
    let found = auto.json()?;
    assert_eq!((&found["outputs"][0]["top"][0]["index"], found["gpu_nodes"].as_u64()), (&Json::from(4), Some(0)));
    assert_eq!(auto.stderr.matches("the CPU runs everything").count(), 1, "{}", auto.stderr);
    assert_eq!(auto.stderr.lines().count(), 1, "{}", auto.stderr);
    let gpu = run_in(&[&words[..], &["--device", "gpu"]].concat(), &hidden)?;
    let message = gpu.failure()?;
    assert!(message.contains("no GPU adapter") && message.contains("--device cpu"), "{message}");
    let cpu = run_in(&[&words[..], &["--device", "cpu"]].concat(), &hidden)?;
    cpu.good()?;
    assert_eq!(cpu.stderr, "");
    assert_eq!(run_in(&["devices"], &hidden)?.stdout, "no adapter: everything runs on the CPU\n");
    Ok(())
}

#[test]
fn an_adapter_that_is_not_there_is_named() -> TestResult {
    if !has_adapter()? {
        return Ok(());
    }
    let words = ["run", &digits("digits_f32.tflite"), "--random", "--device", "gpu", "--adapter", "no such adapter"];
    let found = run(&words)?;
    let message = found.failure()?;
    assert!(message.contains("no such adapter"), "{message}");
    Ok(())
}

#[test]
fn usage_errors_have_status_2() -> TestResult {
    let model = digits("digits_f32.tflite");
    let cases: &[&[&str]] = &[
        &[],
        &["walk"],
        &["run"],
        &["run", &model, "--device", "tpu"],
        &["run", &model, "--option", "colour=red"],
        &["run", &model, "--threads", "0"],
        &["benchmark", &model, "--runs", "many"],
    ];
    for words in cases {
        let found = run(words)?;
        assert_eq!(found.code, Some(2), "{words:?}: {found:?}");
        assert!(!found.stderr.is_empty() && found.stdout.is_empty(), "{words:?}: {found:?}");
    }
    Ok(())
}

/// Recorded results of real models: the best class, and scores within 0.02.
#[test]
fn real_models_give_their_recorded_results() -> TestResult {
    let Some(folder) = shared_models() else { return Ok(()) };
    let path = |parts: &str| folder.join(parts).display().to_string();
    let expected: Json = serde_json::from_slice(&std::fs::read(folder.join("inputs/EXPECTED.json"))?)?;
    let mut judged = 0;
    for entry in expected.as_array().into_iter().flatten() {
        let model = entry["model"].as_str().unwrap_or_default();
        if entry["read"] != "top" || !model.ends_with("_float.tflite") {
            continue;
        }
        let (model, input) = (path(model), path(&format!("inputs/{}", entry["input"].as_str().unwrap_or_default())));
        let (mean, std) = (entry["preprocess"]["mean"].to_string(), entry["preprocess"]["std"].to_string());
        let words =
            ["run", &model, "-i", &input, "--mean", &mean, "--std", &std, "--top", "3", "--device", "cpu", "--json"];
        let found = run(&words)?.json()?;
        let top = found["outputs"][0]["top"].as_array().ok_or("no classes")?;
        let recorded = &entry["litert_result"];
        assert_eq!(top[0]["index"], recorded["top"][0], "{model} {input}");
        for (class, score) in top.iter().zip(recorded["scores"].as_array().into_iter().flatten()) {
            let (found, expected) = (class["score"].as_f64().unwrap_or(-1.0), score.as_f64().unwrap_or(0.0));
            assert!((found - expected).abs() <= 0.02, "{model} {input}: {found}, expected {expected}");
        }
        judged += 1;
    }
    assert!(judged >= 6, "{judged} entries");
    Ok(())
}

#[test]
fn verify_compares_every_step_of_the_production_plan() -> TestResult {
    if !has_adapter()? {
        return Ok(());
    }
    let (f32, f16) = (digits("digits_f32.tflite"), digits("digits_f16.tflite"));
    for precision in ["f32", "f16"] {
        let found = run(&["verify", &f32, &f16, "--precision", precision, "--json"])?.json()?;
        let models = found["models"].as_array().ok_or("no models")?;
        assert_eq!(models.len(), 2);
        for model in models {
            assert_eq!((&model["status"], &model["cpu_nodes"]), (&Json::from("ok"), &Json::from(0)), "{model}");
            let steps = model["steps"].as_array().ok_or("no steps")?;
            assert!(steps.iter().all(|step| step["isolated"]["passed"] == true && step["chained"]["passed"] == true));
            assert!(steps.iter().all(|step| step["isolated"]["figures"]["count"].as_u64() > Some(0)));
            let named = |op: &str| {
                let nodes = steps.iter().flat_map(|step| step["nodes"].as_array().into_iter().flatten());
                nodes.filter(|node| node["op"] == op).count()
            };
            let ops = ["CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "MEAN", "FULLY_CONNECTED", "SOFTMAX"];
            assert_eq!(ops.map(named), [5, 2, 1, 1, 2, 1], "{model}");
        }
    }
    Ok(())
}

#[test]
fn a_perturbed_result_makes_verify_fail_and_is_named() -> TestResult {
    if !has_adapter()? {
        return Ok(());
    }
    let (scratch, model) = (Scratch::new()?, digits("digits_f32.tflite"));
    let head = "node 9 MEAN + node 10 FULLY_CONNECTED + node 11 FULLY_CONNECTED";
    for (node, named) in [(0, "node 0 CONV_2D"), (3, "node 3 CONV_2D"), (5, "node 5 DEPTHWISE_CONV_2D"), (11, head)] {
        for precision in ["f32", "f16"] {
            let (folder, perturbed) = (scratch.file(&format!("{node}{precision}")), node.to_string());
            let words = ["verify", &model, "--perturb", &perturbed, "--failures", &folder, "--precision", precision];
            let found = run(&words)?;
            assert_eq!(found.code, Some(1), "{found:?}");
            let line = found.stderr.strip_prefix("error: ").unwrap_or_default();
            let expected = format!("{model}: {named}");
            assert!(line.starts_with(&expected) && line.lines().count() == 1, "{expected}, found {line}");
            let left = std::path::Path::new(&folder).join("digits_f32");
            let read = |name: &str| npy::read(&left.join(name), Some(DType::Float32));
            assert_ne!(read("step_reference.npy")?, read("step_found.npy")?);
            assert!(std::fs::read_to_string(left.join("step.txt"))?.contains("kernel"));
        }
    }
    Ok(())
}

#[test]
fn verify_fails_when_nothing_is_compared() -> TestResult {
    let found = run(&["verify", &digits("digits_f32.tflite"), "--device", "cpu"])?;
    assert_eq!(found.code, Some(1), "{found:?}");
    assert!(found.stderr.contains("digits_f32.tflite: nothing was compared"), "{}", found.stderr);
    Ok(())
}

#[test]
fn real_models_are_verified() -> TestResult {
    let Some(folder) = shared_models().filter(|_| has_adapter().unwrap_or(false)) else { return Ok(()) };
    let model = |name: &str| folder.join(name).display().to_string();
    let (a, b) = (model("mlperf_tiny/resnet8_cifar10_float.tflite"), model("mlperf_tiny/vww_96_float.tflite"));
    let found = run(&["verify", &a, &b, "--json"])?.json()?;
    for model in found["models"].as_array().ok_or("no models")? {
        assert_eq!((&model["status"], &model["cpu_nodes"]), (&Json::from("ok"), &Json::from(0)), "{}", model["model"]);
    }
    Ok(())
}
