//! `merge_norm`: a layer norm, which a file has as ten nodes over the innermost dimension, is one standardisation with its
//! scale and offset.

use tflite_wgpu_model::{L2NormOptions, Op, TensorId, infer};

use super::{
    fuse,
    links::{Found, Links, other, replace},
};
use crate::region::{Binary, Fused, Region, RegionNode, Spread, Storage, Whole};

pub fn rewrite(region: &mut Region) -> usize {
    let links = Links::new(region);
    let found = (0..region.nodes.len()).filter_map(|at| find(region, &links, at)).collect();
    replace(region, found)
}

/// The nodes up to the inverse of the deviation: those of the mean and the variance.
struct Statistics {
    nodes: Vec<usize>,
    x: TensorId,
    mean: TensorId,
    /// x less its mean, where the file computes it before its square.
    centred: Option<TensorId>,
    epsilon: f32,
}

/// What follows the inverse of the deviation.
struct Scaling {
    nodes: Vec<usize>,
    statistics: Statistics,
    scale: Option<TensorId>,
    offset: Option<TensorId>,
}

/// The layer norm whose last node is `at`.
fn find(region: &Region, links: &Links<'_>, at: usize) -> Option<Found> {
    let last = region.nodes.get(at)?;
    let scaling = match &last.op {
        Op::Add(_) => spread_out(region, links, last)?,
        Op::Mul(_) | Op::Div(_) => centred(region, links, last)?,
        _ => return None,
    };
    let Scaling { statistics, scale, offset, .. } = scaling;
    let mut nodes: Vec<usize> = [at].into_iter().chain(statistics.nodes).chain(scaling.nodes).collect();
    nodes.sort_unstable();
    nodes.dedup();
    let output = last.output(0)?;
    let (x, y) = (region.tensor(statistics.x), region.tensor(output));
    let fits = x.dims == y.dims && x.storage != Storage::I32 && y.storage != Storage::I32;
    if !fits || nodes.last() != Some(&at) || !links.is_closed(&nodes, at) {
        return None;
    }
    let mut fused = Vec::new();
    for (op, operand) in [(Binary::Mul, scale), (Binary::Add, offset)] {
        let Some(operand) = operand else { continue };
        let spread = fuse::spread(region, operand, output).filter(|spread| *spread != Spread::Full)?;
        fused.push(Fused::Binary { op, operand, spread, swapped: false });
    }
    if scale.is_some() && scale == offset || last.fused.iter().any(has_operand) {
        return None;
    }
    fused.extend(last.fused.iter().cloned());
    let node = RegionNode {
        op: Op::L2Normalization(L2NormOptions::default()),
        whole: Some(Whole::Standardise { epsilon: statistics.epsilon }),
        inputs: vec![Some(statistics.x)],
        outputs: last.outputs.clone(),
        fused,
        pad: [0; 4],
        origin: links.origin(&nodes),
    };
    (node.fused.len() <= fuse::MAX_FUSED).then_some(Found { nodes, node })
}

fn has_operand(fused: &Fused) -> bool {
    matches!(fused, Fused::Binary { .. } | Fused::Prelu { .. })
}

/// √(variance + epsilon) in front of `root`, backwards.
fn statistics(region: &Region, links: &Links<'_>, root: &RegionNode) -> Option<Statistics> {
    let mut nodes = Vec::new();
    let (add_at, add) = links.maker(same_elements(links, &mut nodes, root.input(0)?))?;
    let sum = matches!(add.op, Op::Add(_)).then_some(add)?;
    let inputs = [sum.input(0)?, sum.input(1)?];
    let (variance, epsilon) = inputs.into_iter().find_map(|id| Some((id, links.with_scalar(sum, id)?)))?;
    let (variance_at, variance) = links.maker(same_elements(links, &mut nodes, variance))?;
    let (squares_at, squares) = links.maker(averaged(region, variance)?)?;
    nodes.extend([add_at, variance_at, squares_at]);
    let (a, b, centred) = match &squares.op {
        Op::SquaredDifference => (squares.input(0)?, squares.input(1)?, None),
        Op::Square | Op::Mul(_) => {
            let centred = squares.input(0)?;
            if matches!(squares.op, Op::Mul(_)) && squares.input(1) != Some(centred) {
                return None;
            }
            let (at, difference) = links.maker(centred)?;
            nodes.push(at);
            matches!(difference.op, Op::Sub(_)).then_some(())?;
            (difference.input(0)?, difference.input(1)?, Some(centred))
        }
        _ => return None,
    };
    // The order of a difference matters once it is used itself.
    let orders = if centred.is_some() { &[(a, b)][..] } else { &[(a, b), (b, a)] };
    let (x, mean, seen) = orders.iter().find_map(|&(x, spread)| {
        let mut seen = Vec::new();
        let mean = same_elements(links, &mut seen, spread);
        let (at, node) = links.maker(mean)?;
        seen.push(at);
        (averaged(region, node)? == x && is_column(region, spread, x)).then_some((x, mean, seen))
    })?;
    nodes.extend(seen);
    Some(Statistics { nodes, x, mean, centred, epsilon })
}

/// The tensor that RESHAPEs have given `id` its elements from.
fn same_elements(links: &Links<'_>, nodes: &mut Vec<usize>, mut id: TensorId) -> TensorId {
    while let Some((at, node)) = links.maker(id)
        && let (Op::Reshape(_), Some(from)) = (&node.op, node.input(0))
    {
        nodes.push(at);
        id = from;
    }
    id
}

/// What a MEAN averages over the innermost dimension, and none other but those of one.
fn averaged(region: &Region, node: &RegionNode) -> Option<TensorId> {
    let (Op::Mean(_), x, axes) = (&node.op, node.input(0)?, node.input(1)?) else { return None };
    let dims = &region.tensor(x).dims;
    let axes = region.tensor(axes).constant.as_deref()?.to_ints()?;
    let axes = infer::reduced_axes(&axes, dims.len()).ok()?;
    let (innermost, others) = axes.split_last()?;
    let alone = others.iter().all(|&axis| dims.get(axis) == Some(&1));
    (innermost + 1 == dims.len() && alone).then_some(x)
}

/// Whether a tensor has one value for each row of `x`.
fn is_column(region: &Region, id: TensorId, x: TensorId) -> bool {
    let (column, dims) = (&region.tensor(id).dims, &region.tensor(x).dims);
    match (column.split_last(), dims.split_last()) {
        (Some((1, rows)), Some((_, outer))) => rows == outer,
        _ => false,
    }
}

/// (x − mean) · inverse, or (x − mean) / deviation, whose last node this is.
fn centred(region: &Region, links: &Links<'_>, last: &RegionNode) -> Option<Scaling> {
    let (a, b) = (last.input(0)?, last.input(1)?);
    let orders = if matches!(last.op, Op::Div(_)) { &[(a, b)][..] } else { &[(a, b), (b, a)] };
    orders.iter().find_map(|&(difference, factor)| {
        let mut nodes = Vec::new();
        let (root_at, root) = links.maker(same_elements(links, &mut nodes, factor))?;
        let fits = match root.op {
            Op::Rsqrt => matches!(last.op, Op::Mul(_)),
            Op::Sqrt => matches!(last.op, Op::Div(_)),
            _ => false,
        };
        let statistics = fits.then(|| statistics(region, links, root))??;
        let (at, node) = links.maker(difference)?;
        let is_it = matches!(node.op, Op::Sub(_)) && node.input(0) == Some(statistics.x);
        let own = statistics.centred.is_none_or(|centred| centred == difference);
        let mean = same_elements(links, &mut nodes, node.input(1)?);
        nodes.extend([root_at, at]);
        let whole = mean == statistics.mean && is_column(region, factor, statistics.x);
        (is_it && own && whole).then_some(Scaling { nodes, statistics, scale: None, offset: None })
    })
}

/// x · s + (offset − mean · s), where s is inverse · scale, or the inverse itself; `last` is the sum.
fn spread_out(region: &Region, links: &Links<'_>, last: &RegionNode) -> Option<Scaling> {
    let (a, b) = (last.input(0)?, last.input(1)?);
    [(a, b), (b, a)].into_iter().find_map(|(scaled, rest)| {
        let mut nodes = Vec::new();
        let (scaled_at, scaled) = links.maker(scaled)?;
        let (rest_at, rest) = links.maker(same_elements(links, &mut nodes, rest))?;
        let (shift_at, shift) = links.maker(same_elements(links, &mut nodes, rest.input(1)?))?;
        let products = matches!(scaled.op, Op::Mul(_)) && matches!(shift.op, Op::Mul(_));
        if !products || !matches!(rest.op, Op::Sub(_)) {
            return None;
        }
        nodes.extend([scaled_at, rest_at, shift_at]);
        let (x, factor, scale, statistics) = [0, 1].into_iter().find_map(|i| {
            let (x, factor) = (scaled.input(1 - i)?, scaled.input(i)?);
            let mut seen = Vec::new();
            let (factor, scale, statistics) = factor_of(region, links, &mut seen, (factor, x))?;
            nodes.extend(seen);
            Some((x, factor, scale, statistics))
        })?;
        let ends = [shift.input(0)?, shift.input(1)?].map(|id| same_elements(links, &mut nodes, id));
        let is_shift = ends == [statistics.mean, factor] || ends == [factor, statistics.mean];
        // What is added before a RESHAPE is one value for a row, not for a channel.
        let offset = rest.input(0)?;
        let dims = |id: TensorId| &region.tensor(id).dims;
        let spreads = dims(rest.output(0)?) == dims(x) || links.scalar(offset).is_some();
        let offset = Some(offset).filter(|id| links.scalar(*id) != Some(0.0));
        (is_shift && spreads).then_some(Scaling { nodes, statistics, scale, offset })
    })
}

/// The inverse of the deviation of `x`, or its product with a scale: the tensor before RESHAPEs, the scale, and the
/// statistics behind it.
fn factor_of(
    region: &Region,
    links: &Links<'_>,
    nodes: &mut Vec<usize>,
    (factor, x): (TensorId, TensorId),
) -> Option<(TensorId, Option<TensorId>, Statistics)> {
    let own = same_elements(links, nodes, factor);
    let (at, node) = links.maker(own)?;
    nodes.push(at);
    let known = |root: &RegionNode| {
        let statistics = statistics(region, links, root)?;
        (statistics.x == x).then_some(statistics)
    };
    if matches!(node.op, Op::Rsqrt) {
        return is_column(region, factor, x).then(|| Some((own, None, known(node)?)))?;
    }
    let inputs = [node.input(0)?, node.input(1)?];
    let (root_at, root, scale) = inputs.into_iter().find_map(|id| {
        let (at, root) = links.maker(id)?;
        Some((at, root, other(node, id)?)).filter(|_| matches!(root.op, Op::Rsqrt))
    })?;
    nodes.push(root_at);
    let whole = matches!(node.op, Op::Mul(_)) && own == factor && region.tensor(own).dims == region.tensor(x).dims;
    whole.then(|| Some((own, Some(scale), known(root)?)))?
}
