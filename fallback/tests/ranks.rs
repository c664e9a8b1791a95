//! Tensors of every rank from 0 to 8, and without elements.

use tflite_wgpu_fallback::{Error, Value, run_node};
use tflite_wgpu_model::{
    ConcatenationOptions, DType, Data, Node, Op, PackOptions, ReducerOptions, Shape, Tensor, TensorId,
};

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Output 0, of type FLOAT32, of a node with these inputs.
fn run(op: Op, inputs: &[&Value]) -> Result<Value, Error> {
    let tensor = |dtype| Tensor {
        name: String::new(),
        dtype,
        dims: vec![],
        shape: Shape::default(),
        quant: None,
        sparsity: None,
        data: Data::Computed,
    };
    let dtypes = inputs.iter().map(|value| value.dtype()).chain([DType::Float32]);
    let tensors: Vec<Tensor> = dtypes.map(tensor).collect();
    let node = Node {
        op,
        version: 1,
        inputs: (0..inputs.len()).map(|i| Some(TensorId::from_index(i))).collect(),
        outputs: vec![Some(TensorId::from_index(inputs.len()))],
        intermediates: vec![],
    };
    let inputs: Vec<_> = inputs.iter().map(|value| Some(*value)).collect();
    Ok(run_node(&node, &tensors, &inputs)?.remove(0))
}

/// Shapes of every rank: twos and threes, and the same with one size of 0 or 1.
fn shapes() -> impl Iterator<Item = Vec<usize>> {
    (0..=8).flat_map(|rank| {
        let plain: Vec<usize> = (0..rank).map(|axis| 2 + axis % 2).collect();
        let with = move |(axis, size): (usize, usize)| {
            let mut shape = plain.clone();
            shape.iter_mut().skip(axis).take(1).for_each(|entry| *entry = size);
            shape
        };
        [(rank, 0), (0, 0), (rank / 2, 0), (rank.saturating_sub(1), 0), (rank / 2, 1)].into_iter().map(with)
    })
}

fn counted(shape: &[usize]) -> Result<Value, Box<dyn std::error::Error>> {
    let count = shape.iter().product::<usize>();
    Ok(Value::f32(shape, &(0..count).map(|i| i as f32 - 3.0).collect::<Vec<_>>())?)
}

fn i32s(values: &[usize]) -> Result<Value, Box<dyn std::error::Error>> {
    Ok(Value::i32(&[values.len()], &values.iter().map(|&v| v as i32).collect::<Vec<_>>())?)
}

#[test]
fn operators_of_elements_take_every_rank() -> Outcome {
    for shape in shapes() {
        let x = counted(&shape)?;
        let expect = |f: fn(f32) -> f32| x.as_slice::<f32>().map(|x| x.iter().map(|x| f(*x)).collect::<Vec<_>>());
        type Case = (&'static str, Op, fn(f32) -> f32);
        let cases: [Case; 4] = [
            ("RELU", Op::Relu, |x| x.max(0.0)),
            ("NEG", Op::Neg, |x| -x),
            ("FLOOR", Op::Floor, |x| x),
            ("SQUARE", Op::Square, |x| x * x),
        ];
        for (name, op, f) in cases {
            let found = run(op, &[&x]).map_err(|error| format!("{name} {shape:?}: {error}"))?;
            assert_eq!((found.shape(), found.as_slice::<f32>()?), (shape.as_slice(), expect(f)?.as_slice()), "{name}");
        }
        let doubled = run(Op::Add(Default::default()), &[&x, &x]).map_err(|error| format!("ADD {shape:?}: {error}"))?;
        assert_eq!(doubled.as_slice::<f32>()?, expect(|x| x + x)?, "ADD {shape:?}");
    }
    Ok(())
}

#[test]
fn a_scalar_and_a_row_broadcast_to_every_rank() -> Outcome {
    for shape in shapes() {
        let x = counted(&shape)?;
        let row = shape.last().copied().unwrap_or(1);
        let row_shape: &[usize] = if shape.is_empty() { &[] } else { &[row] };
        let two = Value::f32(&[], &[2.0])?;
        let found = run(Op::Mul(Default::default()), &[&x, &two]).map_err(|error| format!("{shape:?}: {error}"))?;
        let expected: Vec<f32> = x.as_slice::<f32>()?.iter().map(|x| 2.0 * x).collect();
        assert_eq!((found.shape(), found.as_slice::<f32>()?), (shape.as_slice(), expected.as_slice()));
        let weights = counted(row_shape)?;
        let found = run(Op::Mul(Default::default()), &[&x, &weights]).map_err(|error| format!("{shape:?}: {error}"))?;
        let weights = weights.as_slice::<f32>()?.iter().cycle();
        let expected: Vec<f32> = x.as_slice::<f32>()?.iter().zip(weights).map(|(x, w)| x * w).collect();
        assert_eq!((found.shape(), found.as_slice::<f32>()?), (shape.as_slice(), expected.as_slice()));
    }
    Ok(())
}

#[test]
fn sums_take_every_axis_of_every_rank() -> Outcome {
    for shape in shapes() {
        let x = counted(&shape)?;
        for axis in 0..shape.len() {
            let sum = Op::Sum(ReducerOptions { keep_dims: false });
            let found = run(sum, &[&x, &i32s(&[axis])?]).map_err(|error| format!("{shape:?} axis {axis}: {error}"))?;
            let (outer, inner) = (shape[..axis].iter().product::<usize>(), shape[axis + 1..].iter().product::<usize>());
            let mut expected = vec![0f32; outer * inner];
            for (i, value) in x.as_slice::<f32>()?.iter().enumerate() {
                expected[i / (inner * shape[axis]) * inner + i % inner] += value;
            }
            assert_eq!(found.as_slice::<f32>()?, expected, "{shape:?} axis {axis}");
        }
        let axes: Vec<usize> = (0..shape.len()).collect();
        let all = run(Op::Sum(ReducerOptions { keep_dims: false }), &[&x, &i32s(&axes)?])?;
        let total: f32 = x.as_slice::<f32>()?.iter().sum();
        assert_eq!((all.shape(), all.as_slice::<f32>()?), (&[][..], &[total][..]), "{shape:?}");
    }
    Ok(())
}

#[test]
fn elements_move_at_every_rank() -> Outcome {
    for shape in shapes() {
        let x = counted(&shape)?;
        let count = x.len();
        let flat =
            run(Op::Reshape(Default::default()), &[&x, &i32s(&[count])?]).map_err(|e| format!("{shape:?}: {e}"))?;
        assert_eq!((flat.shape(), flat.as_slice::<f32>()?), (&[count][..], x.as_slice::<f32>()?));
        // Reversed twice is as before.
        let reversed: Vec<usize> = (0..shape.len()).rev().collect();
        let turned = run(Op::Transpose, &[&x, &i32s(&reversed)?]);
        let turned = turned.map_err(|error| format!("TRANSPOSE {shape:?}: {error}"))?;
        assert_eq!(turned.shape(), shape.iter().rev().copied().collect::<Vec<_>>());
        let back = run(Op::Transpose, &[&turned, &i32s(&reversed)?])?;
        assert_eq!(back, x);
        for axis in 0..shape.len() {
            let concat = ConcatenationOptions { axis: axis as i32, ..Default::default() };
            let found = run(Op::Concatenation(concat), &[&x, &x]).map_err(|e| format!("{shape:?} {axis}: {e}"))?;
            assert_eq!((found.shape()[axis], found.len()), (2 * shape[axis], 2 * count));
        }
        if shape.len() < 8 {
            let pack = PackOptions { values_count: 2, axis: 0 };
            let found = run(Op::Pack(pack), &[&x, &x]).map_err(|error| format!("PACK {shape:?}: {error}"))?;
            let twice = [x.as_slice::<f32>()?, x.as_slice::<f32>()?].concat();
            assert_eq!(found.as_slice::<f32>()?, twice, "PACK {shape:?}");
        }
    }
    Ok(())
}
