//! Labels of a classification, and its best classes.

use std::path::Path;

use tflite_wgpu::{
    Value,
    model::{BuiltinOperator, Bytes, FileKind, Graph, packed_files},
};

use super::{
    entry::Port,
    failure::{InFile, Res},
};

/// A class and its score.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Class {
    pub index: usize,
    pub label: Option<String>,
    pub score: f64,
}

/// A label in each line of a file.
pub fn read(path: &Path) -> Res<Vec<String>> {
    Ok(lines(&std::fs::read(path).in_file(path)?))
}

/// The labels that are packed with the model for an output.
pub fn packed(model: &Path, port: &Port) -> Res<Option<Vec<String>>> {
    let files = port.metadata.iter().flat_map(|metadata| &metadata.files);
    let mut files = files.filter(|f| matches!(f.kind, FileKind::AxisLabels | FileKind::ValueLabels));
    let Some(file) = files.next() else { return Ok(None) };
    let packed = packed_files(&Bytes::open(model).in_file(model)?).in_file(model)?;
    Ok(packed.iter().find(|p| p.name == file.name).map(|p| lines(&p.data)))
}

fn lines(bytes: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(bytes).lines().map(|line| line.trim().to_owned()).collect()
}

/// The best classes of a row of scores, best first; `None` for a value that is none. Quantised scores are scaled.
pub fn best(value: &Value, port: &Port, labels: Option<&[String]>, count: usize) -> Option<Vec<Class>> {
    let (&classes, outer) = value.shape().split_last()?;
    if outer.iter().any(|&d| d != 1) || classes < 2 {
        return None;
    }
    let scale = port.quant.as_ref().and_then(|quant| quant.per_tensor());
    let scores = match (value.to_floats(), scale) {
        (Some(floats), _) => floats,
        (None, Some((scale, zero))) => {
            value.to_ints()?.into_iter().map(|v| (v - zero) as f64 * f64::from(scale)).collect()
        }
        _ => return None,
    };
    // A list with one entry more than there are classes begins with a line for the background.
    let shift = labels.map_or(0, |labels| usize::from(labels.len() == classes + 1));
    let mut ranked: Vec<Class> = scores
        .into_iter()
        .enumerate()
        .map(|(index, score)| Class { index, label: labels.and_then(|l| l.get(index + shift)).cloned(), score })
        .collect();
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score));
    ranked.truncate(count);
    Some(ranked)
}

/// Whether an output is made by SOFTMAX or LOGISTIC, perhaps through nodes that only change its form.
pub fn is_classification(graph: &Graph, port: &Port) -> bool {
    let mut tensor = port.tensor;
    loop {
        let Some(node) = graph.nodes.iter().find(|node| node.outputs.contains(&Some(tensor))) else { return false };
        match node.op.builtin() {
            BuiltinOperator::Softmax | BuiltinOperator::Logistic | BuiltinOperator::LogSoftmax => return true,
            BuiltinOperator::Reshape
            | BuiltinOperator::Squeeze
            | BuiltinOperator::Quantize
            | BuiltinOperator::Dequantize => match node.input(0) {
                Some(input) => tensor = input,
                None => return false,
            },
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use tflite_wgpu::model::{DType, Quant, QuantKind, Shape, TensorId};

    use super::*;

    fn port(quant: Option<Quant>) -> Port {
        let (dtype, shape) = (DType::UInt8, Shape::known(&[1, 3]));
        let name = || "y".to_owned();
        Port {
            name: name(),
            tensor_name: name(),
            tensor: TensorId(0),
            dtype,
            shape,
            dims: vec![1, 3],
            quant,
            metadata: None,
        }
    }

    #[test]
    fn the_best_classes_come_first() -> Res<()> {
        let labels = ["background", "a", "b", "c"].map(str::to_owned);
        let value = Value::f32(&[1, 3], &[0.1, 0.7, 0.2])?;
        let found = best(&value, &port(None), Some(&labels), 2).unwrap_or_default();
        let found: Vec<_> = found.iter().map(|class| (class.index, class.label.as_deref())).collect();
        assert_eq!(found, [(1, Some("b")), (2, Some("c"))]);
        let kind = QuantKind::Affine { scale: vec![0.5], zero_point: vec![10], axis: 0 };
        let bytes = Value::from_slice(DType::UInt8, &[1, 3], &[10u8, 12, 14])?;
        let found = best(&bytes, &port(Some(Quant { kind, ..Quant::default() })), None, 1).unwrap_or_default();
        assert_eq!(found, [Class { index: 2, label: None, score: 2.0 }]);
        assert_eq!(best(&Value::f32(&[2, 3], &[0.0; 6])?, &port(None), None, 5), None);
        Ok(())
    }
}
