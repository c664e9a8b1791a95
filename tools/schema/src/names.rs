//! Names in Rust of what the schema names.

/// `CONV_2D` → `Conv2d`.
pub fn camel(name: &str) -> String {
    if name == "RELU_N1_TO_1" {
        return "ReluN1To1".to_owned();
    }
    name.split('_').map(capitalise).collect()
}

fn capitalise(part: &str) -> String {
    let mut letters = part.chars();
    letters.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(letters.map(|c| c.to_ascii_lowercase())).collect()
}

/// `LSTMOptions` → `LstmOptions`: a table's or an enum's own name without runs of capitals.
pub fn type_name(name: &str) -> String {
    if name == "TensorType" {
        return "DType".to_owned();
    }
    [("LSTM", "Lstm"), ("RNN", "Rnn"), ("SVDF", "Svdf"), ("LSH", "Lsh"), ("StableHLO", "Stablehlo")]
        .iter()
        .fold(name.to_owned(), |name, (from, to)| name.replace(from, to))
}

/// Name of an enum's value: camel case, without the enum's own name in front.
pub fn variant(enum_name: &str, value: &str) -> String {
    let prefix = match enum_name {
        "StablehloComparisonDirection" => "STABLEHLO_COMPARISON_DIRECTION_",
        "StablehloComparisonType" => "STABLEHLO_COMPARISON_TYPE_",
        _ => "",
    };
    camel(value.strip_prefix(prefix).unwrap_or(value))
}

/// Name of a field; `type` is a word of the language.
pub fn field(name: &str) -> &str {
    if name == "type" { "kind" } else { name }
}

/// Name of a table's function: `Conv2DOptions` → `conv2_d_options` as the bindings have it is not ours: `conv2d_options`.
pub fn function(table: &str) -> String {
    let mut out = String::new();
    let mut previous = '_';
    for c in type_name(table).replace("2D", "2d").replace("3D", "3d").replace("ND", "Nd").chars() {
        if c.is_ascii_uppercase() && (previous.is_ascii_lowercase() || previous.is_ascii_digit()) {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
        previous = c;
    }
    out
}
