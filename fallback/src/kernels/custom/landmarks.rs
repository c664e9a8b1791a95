//! Landmarks2TransformMatrix and TransformLandmarks (version 2): a matrix that lays a rotated box around landmarks onto
//! an output of given size, and its use on landmarks.

use super::map;
use crate::kernels::support::{check_len, dims, refuse};
use crate::kernels::{EvalCtx, KernelError};

/// A turn by `angle`.
fn turn(angle: f64, [x, y]: [f64; 2]) -> [f64; 2] {
    let (sin, cos) = angle.sin_cos();
    [cos * x - sin * y, sin * x + cos * y]
}

pub(super) fn to_matrix(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let options = map(ctx)?;
    let [batch, count, depth] = dims(ctx.shape(0)?, "input 0")?;
    if batch != 1 || depth < 2 {
        return Err(refuse("shape of input 0", format!("{:?}", ctx.shape(0)?), "[1, landmarks, 2 or more]"));
    }
    let input = ctx.slice::<f32>(0)?;
    let point = |i: usize| match input.get(i * depth..i * depth + 2) {
        Some(&[x, y]) if i < count => Ok([f64::from(x), f64::from(y)]),
        _ => Err(refuse("index of a landmark", i, format!("less than {count}"))),
    };
    let left = point(options.size("left_rotation_idx")?)?;
    let right = point(options.size("right_rotation_idx")?)?;
    let size = [options.size("output_width")? as f64, options.size("output_height")? as f64];
    let scale = [f64::from(options.float("scale_x")?), f64::from(options.float("scale_y")?)];
    let target = f64::from(options.float("target_rotation_radians")?);
    let angle = target - (right[1] - left[1]).atan2(right[0] - left[0]);
    let (mut low, mut high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
    for index in options.sizes("subset_idxs")? {
        let turned = turn(angle, point(index)?);
        for axis in 0..2 {
            low[axis] = low[axis].min(turned[axis]);
            high[axis] = high[axis].max(turned[axis]);
        }
    }
    let centre = turn(-angle, [0, 1].map(|axis| (low[axis] + high[axis]) / 2.0));
    let step = [0, 1].map(|axis| (high[axis] - low[axis]) * scale[axis] / size[axis]);
    let (across, down) = (turn(-angle, [step[0], 0.0]), turn(-angle, [0.0, step[1]]));
    let mut matrix = [0.0f32; 16];
    for axis in 0..2 {
        matrix[axis * 4] = across[axis] as f32;
        matrix[axis * 4 + 1] = down[axis] as f32;
        let moved = centre[axis] - across[axis] * size[0] / 2.0 - down[axis] * size[1] / 2.0;
        matrix[axis * 4 + 3] = moved as f32;
    }
    matrix[10] = 1.0;
    matrix[15] = 1.0;
    ctx.set_output(0, &[1, 4, 4])?;
    ctx.output::<f32>(0)?.copy_from_slice(&matrix);
    Ok(())
}

/// The first two rows of a matrix of shape 1, 4, 4 in input 1.
pub(super) fn matrix(ctx: &EvalCtx<'_>) -> Result<[[f64; 4]; 2], KernelError> {
    let elements = ctx.slice::<f32>(1)?;
    check_len(elements, 16, "input 1")?;
    Ok([0, 1].map(|row| [0, 1, 2, 3].map(|column| f64::from(elements[row * 4 + column]))))
}

/// Moves x and y of each landmark, taken at z = 0; the rest is copied.
pub(super) fn transform(ctx: &mut EvalCtx<'_>) -> Result<(), KernelError> {
    let shape = ctx.shape(0)?;
    let [_, _, depth] = dims(shape, "input 0")?;
    if depth < 2 {
        return Err(refuse("depth of input 0", depth, "2 or more"));
    }
    let (input, matrix) = (ctx.slice::<f32>(0)?, matrix(ctx)?);
    ctx.set_output(0, shape)?;
    for (out, point) in ctx.output::<f32>(0)?.chunks_exact_mut(depth).zip(input.chunks_exact(depth)) {
        out.copy_from_slice(point);
        for (axis, [a, b, _, d]) in matrix.into_iter().enumerate() {
            out[axis] = (a * f64::from(point[0]) + b * f64::from(point[1]) + d) as f32;
        }
    }
    Ok(())
}
