//! TFLite_Detection_PostProcess: boxes relative to anchors and scores of classes become the best detections.

use tflite_wgpu_model::DType;

use super::{Options, map};
use crate::kernels::support::{check_len, dims, float_weights, larger_first, refuse};
use crate::kernels::{EvalCtx, KernelError};

/// Corners: y and x of the first, y and x of the second.
type Corners = [f32; 4];

struct Settings {
    max_detections: usize,
    classes_per_detection: usize,
    detections_per_class: usize,
    regular: bool,
    score: f32,
    iou: f32,
    classes: usize,
    /// Of y, x, height, width.
    scales: [f32; 4],
}

impl Settings {
    fn read(options: &Options<'_>) -> Result<Self, KernelError> {
        let scale = |name| options.float(name);
        Ok(Self {
            max_detections: options.size("max_detections")?,
            classes_per_detection: options.size("max_classes_per_detection")?,
            detections_per_class: options.size_or("detections_per_class", 100)?,
            regular: options.truth_or("use_regular_nms", false),
            score: options.float("nms_score_threshold")?,
            iou: options.float("nms_iou_threshold")?,
            classes: options.size("num_classes")?,
            scales: [scale("y_scale")?, scale("x_scale")?, scale("h_scale")?, scale("w_scale")?],
        })
    }
}

struct Detection {
    corners: Corners,
    class: usize,
    score: f32,
}

pub(super) fn eval(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let settings = Settings::read(&map(ctx)?)?;
    let [count, coordinates, columns] = sizes(ctx.shape(0)?, ctx.shape(1)?, settings.classes)?;
    let (encoded, anchors) = (real(ctx, 0)?, real(ctx, 2)?);
    check_len(&anchors, count * 4, "input 2")?;
    let boxes: Vec<Corners> = encoded
        .chunks_exact(coordinates)
        .zip(anchors.chunks_exact(4))
        .map(|(code, anchor)| decode(code, anchor, &settings.scales))
        .collect();
    // Classes come last; before them there may be one for the background.
    let scores: Vec<Vec<f32>> = match columns {
        0 => vec![Vec::new(); count],
        _ => real(ctx, 1)?.chunks_exact(columns).map(|row| row[columns - settings.classes..].to_vec()).collect(),
    };
    let detections = match settings.regular {
        true => per_class(&settings, &boxes, &scores),
        false => across_classes(&settings, &boxes, &scores),
    };
    write(ctx, &settings, &detections)
}

/// Boxes, numbers of each, and scores of each.
fn sizes(boxes: &[usize], scores: &[usize], classes: usize) -> Result<[usize; 3], KernelError> {
    let [batch, count, coordinates] = dims(boxes, "input 0")?;
    let [scores_batch, rows, columns] = dims(scores, "input 1")?;
    if (batch, scores_batch) != (1, 1) || coordinates < 4 || rows != count || columns < classes {
        let found = format!("{boxes:?} and {scores:?}");
        let expected = format!("[1, boxes, 4 or more] and [1, boxes, {classes} or more]");
        return Err(refuse("shapes of inputs 0 and 1", found, expected));
    }
    Ok([count, coordinates, columns])
}

/// Elements of a FLOAT32 or quantised input.
fn real(ctx: &EvalCtx<'_>, i: usize) -> Result<Vec<f32>, KernelError> {
    match ctx.input(i)?.dtype() {
        DType::UInt8 => {
            let quant = ctx.input_quant(i).and_then(|quant| quant.per_tensor());
            let (scale, zero) =
                quant.ok_or_else(|| refuse(format!("quantisation of input {i}"), "none", "one scale"))?;
            let real = |&v: &u8| ((f64::from(v) - zero as f64) * f64::from(scale)) as f32;
            Ok(ctx.slice::<u8>(i)?.iter().map(real).collect())
        }
        _ => Ok(float_weights(ctx, i)?.into_owned()),
    }
}

/// Centre and size relative to an anchor's, as corners.
fn decode(code: &[f32], anchor: &[f32], scales: &[f32; 4]) -> Corners {
    let ratio = |i: usize| f64::from(code[i]) / f64::from(scales[i]);
    let centre = |i: usize| (ratio(i) * f64::from(anchor[i + 2]) + f64::from(anchor[i])) as f32;
    let half = |i: usize| (0.5 * ratio(i + 2).exp() * f64::from(anchor[i + 2])) as f32;
    let (y, x, height, width) = (centre(0), centre(1), half(0), half(1));
    [y - height, x - width, y + height, x + width]
}

/// Shared area by joint area.
fn overlap(a: &Corners, b: &Corners) -> f32 {
    let area = |c: &Corners| (c[2] - c[0]) * (c[3] - c[1]);
    let (first, second) = (area(a), area(b));
    if first <= 0.0 || second <= 0.0 {
        return 0.0;
    }
    let side = |low: usize| (a[low + 2].min(b[low + 2]) - a[low].max(b[low])).max(0.0);
    let shared = side(0) * side(1);
    shared / (first + second - shared)
}

/// Indices by falling values; equal ones keep their order.
fn falling(values: &[f32], indices: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut order: Vec<usize> = indices.collect();
    order.sort_by(|&a, &b| larger_first(&values[a], &values[b]));
    order
}

/// The best boxes of one list of scores, none of which overlaps a better one too much.
fn suppress(settings: &Settings, boxes: &[Corners], scores: &[f32], limit: usize) -> Vec<usize> {
    let candidates = falling(scores, (0..scores.len()).filter(|&i| scores[i] >= settings.score));
    let mut selected: Vec<usize> = Vec::new();
    for candidate in candidates {
        if selected.len() >= limit {
            break;
        }
        if selected.iter().all(|&better| overlap(&boxes[better], &boxes[candidate]) <= settings.iou) {
            selected.push(candidate);
        }
    }
    selected
}

/// Boxes are chosen by their best class and give detections of their best few.
fn across_classes(settings: &Settings, boxes: &[Corners], scores: &[Vec<f32>]) -> Vec<Detection> {
    let best: Vec<f32> = scores.iter().map(|row| row.iter().copied().fold(f32::NEG_INFINITY, f32::max)).collect();
    let mut detections = Vec::new();
    for index in suppress(settings, boxes, &best, settings.max_detections) {
        let row = &scores[index];
        for class in falling(row, 0..row.len()).into_iter().take(settings.classes_per_detection) {
            detections.push(Detection { corners: boxes[index], class, score: row[class] });
        }
    }
    detections
}

/// Boxes are chosen for each class, the best of all classes remain.
fn per_class(settings: &Settings, boxes: &[Corners], scores: &[Vec<f32>]) -> Vec<Detection> {
    let mut all: Vec<Detection> = Vec::new();
    for class in 0..settings.classes {
        let own: Vec<f32> = scores.iter().map(|row| row[class]).collect();
        let selected = suppress(settings, boxes, &own, settings.detections_per_class);
        all.extend(selected.into_iter().map(|i| Detection { corners: boxes[i], class, score: own[i] }));
        all.sort_by(|a, b| larger_first(&a.score, &b.score));
        all.truncate(settings.max_detections);
    }
    all
}

/// Outputs: corners, classes, scores, and how many there are; the rest is zero.
fn write(ctx: &mut EvalCtx<'_>, settings: &Settings, detections: &[Detection]) -> Result<(), KernelError> {
    let too_many = || refuse("max_detections", settings.max_detections, "a number that can be allocated");
    let rows = settings.max_detections.checked_mul(settings.classes_per_detection).ok_or_else(too_many)?;
    ctx.set_output(0, &[1, rows, 4])?;
    ctx.set_output(1, &[1, rows])?;
    ctx.set_output(2, &[1, rows])?;
    ctx.set_output(3, &[1])?;
    for (out, detection) in ctx.output::<f32>(0)?.chunks_exact_mut(4).zip(detections) {
        out.copy_from_slice(&detection.corners);
    }
    ctx.output::<f32>(1)?.iter_mut().zip(detections).for_each(|(out, d)| *out = d.class as f32);
    ctx.output::<f32>(2)?.iter_mut().zip(detections).for_each(|(out, d)| *out = d.score);
    let boxes = if settings.regular { 1 } else { settings.classes_per_detection.min(settings.classes).max(1) };
    ctx.output::<f32>(3)?.fill((detections.len() / boxes) as f32);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_of_several_batches_are_refused() {
        assert_eq!(sizes(&[1, 5, 4], &[1, 5, 3], 2).ok(), Some([5, 4, 3]));
        for (boxes, scores) in
            [([1, 5, 4], [2, 5, 3]), ([2, 5, 4], [2, 5, 3]), ([1, 5, 4], [1, 4, 3]), ([1, 5, 3], [1, 5, 3])]
        {
            assert!(sizes(&boxes, &scores, 2).is_err(), "{boxes:?} {scores:?}");
        }
        assert!(sizes(&[1, 5, 4], &[1, 5, 1], 2).is_err());
    }
}
