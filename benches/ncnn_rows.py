"""What `ncnn_model.py` writes of tensors that are rows, not pictures: attention, normalisation, embeddings, heads of boxes.

A picture's channels come first in ncnn, everything else lies there as TFLite has it, without the batch. Chains of nodes
that ncnn has a layer for are found first (`chains`) and written where their last node stands.
"""
import math

import numpy as np


class Unsupported(Exception):
    """An operator, or a use of one, that is not written."""


def dims(shape):
    """A shape without its batch."""
    return shape[1:] if len(shape) > 1 and shape[0] == 1 else shape


def sizes(shape):
    """Parameters of a Reshape or of a MemoryData: width, height, channels."""
    return [f"{i}={n}" for i, n in enumerate(reversed(shape))]


def chains(writer):
    """Layers for chains of nodes: by the chain's last node, a function that writes it. The other nodes are skipped."""
    written = {}
    for i, op in enumerate(writer.graph.operators):
        finders = {"RSQRT": layer_norm, "TANH": gelu, "SOFTMAX": attention}
        found = finders.get(writer.name(op), lambda *_: None)(writer, i)
        if found:
            nodes, write = found
            writer.skipped.update(nodes)
            written[max(nodes)] = write
    return written


def maker(writer, t, name):
    """The node that makes a tensor, if it is of this operator."""
    i = writer.makers.get(t)
    return i if i is not None and writer.name(writer.graph.operators[i]) == name else None


def reader(writer, t, name):
    """The one reader of this operator, or none."""
    found = [i for i in writer.readers.get(t, []) if writer.name(writer.graph.operators[i]) == name]
    return found[0] if len(found) == 1 else None


def steps_back(writer, t, names):
    """The nodes before a tensor, one behind the other along first inputs, if they are of these operators."""
    found = []
    for name in names:
        i = maker(writer, t, name)
        if i is None:
            return None
        found.append(i)
        t = writer.graph.operators[i].inputs[0]
    return found


def layer_norm(writer, root):
    """MEAN … RSQRT … ADD: the ten nodes of a normalised last dimension, with gain and offset."""
    ops = writer.graph.operators
    before = steps_back(writer, ops[root].inputs[0], ["ADD", "MEAN", "SQUARED_DIFFERENCE"])
    if before is None:
        return None
    epsilon, _, difference = before
    x, mean = ops[difference].inputs
    gain = reader(writer, ops[root].outputs[0], "MUL")
    if maker(writer, mean, "MEAN") is None or gain is None:
        return None
    scaled = [i for i in writer.readers[ops[gain].outputs[0]]]
    offset = next((reader(writer, ops[i].outputs[0], "SUB") for i in scaled if mean in ops[i].inputs), None)
    if len(scaled) != 2 or offset is None:
        return None
    last = reader(writer, ops[offset].outputs[0], "ADD")
    gamma = next((v for v in map(writer.constant, ops[gain].inputs) if v is not None), None)
    beta = writer.constant(ops[offset].inputs[0])
    if last is None or gamma is None or beta is None:
        return None
    constant = float(writer.constant(ops[epsilon].inputs[1]).reshape(-1)[0])

    def write():
        writer.layer("LayerNorm", [x], [ops[last].outputs[0]], [f"0={gamma.size}", f"1={constant!r}", "2=1"])
        writer.weight(gamma, False)
        writer.weight(beta, False)

    return {root, *before, writer.makers[mean], gain, *scaled, offset, last}, write


def gelu(writer, tanh):
    """x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))), written out in nine nodes."""
    ops = writer.graph.operators
    before = steps_back(writer, ops[tanh].inputs[0], ["MUL", "ADD"])
    if before is None:
        return None
    x, cubic = ops[before[1]].inputs
    powers = steps_back(writer, cubic, ["MUL", "MUL"])
    squares = powers and [i for i in map(writer.makers.get, ops[powers[1]].inputs) if i is not None]
    square = squares and next((i for i in squares if list(ops[i].inputs) == [x, x]), None)
    plus = reader(writer, ops[tanh].outputs[0], "ADD")
    product = None if plus is None else reader(writer, ops[plus].outputs[0], "MUL")
    if square is None or product is None:
        return None
    halves = [i for i in (maker(writer, t, "MUL") for t in ops[product].inputs) if i is not None]
    if len(halves) != 1:
        return None
    nodes = {tanh, *before, *powers, square, plus, product, halves[0]}
    return nodes, lambda: writer.layer("GELU", [x], [ops[product].outputs[0]], ["0=1"])


def attention(writer, softmax):
    """BATCH_MATMUL, a mask that is added or none, SOFTMAX and BATCH_MATMUL."""
    ops = writer.graph.operators
    scores, mask = ops[softmax].inputs[0], None
    nodes = [softmax]
    added = maker(writer, scores, "ADD")
    if added is not None:
        scores, mask = ops[added].inputs
        nodes.append(added)
    first = maker(writer, scores, "BATCH_MATMUL")
    last = reader(writer, ops[softmax].outputs[0], "BATCH_MATMUL")
    if first is None or last is None or not ops[first].builtinOptions.adjY or ops[last].builtinOptions.adjY:
        return None
    blobs = [*ops[first].inputs, ops[last].inputs[1]]

    def write():
        # Queries are scaled by nodes before; zero would mean 1 / sqrt(size) to ncnn.
        params = ["6=1.0"]
        if mask is not None:
            blobs.append(spread(writer, mask, writer.shape(scores)[-2:]))
            params.append("5=1")
        writer.layer("SDPA", blobs, [ops[last].outputs[0]], params)

    return {*nodes, first, last}, write


def spread(writer, mask, shape):
    """A mask of one row for all rows, which ncnn's attention does not spread by itself. Written once."""
    name = f"{mask}spread"
    if name not in writer.blobs:
        rows, columns = shape
        writer.layer("Reshape", [mask], [f"{mask}row"], [f"0={columns}", "1=1"])
        constant(writer, np.zeros((rows, columns), np.float32), f"{mask}zeros")
        writer.layer("BinaryOp", [f"{mask}zeros", f"{mask}row"], [name], ["0=0"])
        writer.blobs[name] = True
    return name


def constant(writer, values, name):
    """A blob of constant values."""
    writer.layer("MemoryData", [], [name], sizes(values.shape))
    writer.weight(values, False)
    return name


def operand(writer, t):
    """A tensor's blob; a constant is written as one."""
    values = writer.constant(t)
    return t if values is None else constant(writer, values.reshape(dims(values.shape)), f"{t}c{len(writer.layers)}")


def reshape(writer, op):
    """A RESHAPE; of a picture to rows of its pixels, or to boxes' rows with the TRANSPOSE behind it."""
    x, out = op.inputs[0], op.outputs[0]
    before, after = writer.shape(x), writer.shape(out)
    if x not in writer.pictures or math.prod(before) == before[-1]:
        kind = "Noop" if dims(before) == dims(after) else "Reshape"
        return writer.layer(kind, [x], [out], sizes(dims(after)) if kind == "Reshape" else [])
    pixels = before[1] * before[2]
    turned = writer.only_reader(out)
    if after[:2] == [1, pixels] and after[2:] == [before[3]]:
        between, end = [pixels, before[3]], out
    elif after[:2] == [1, pixels] and len(after) == 4 and order(writer, turned) == [0, 2, 1, 3]:
        between, end = [pixels, after[3], after[2]], writer.graph.operators[turned].outputs[0]
        writer.skipped.add(turned)
    else:
        raise Unsupported(f"RESHAPE of {before} to {after}")
    writer.layer("Reshape", [x], [f"{out}r"], [f"{i}={n}" for i, n in enumerate(between)])
    writer.layer("Permute", [f"{out}r"], [end], ["0=1"])


def order(writer, i):
    """The order of a TRANSPOSE."""
    op = None if i is None else writer.graph.operators[i]
    return writer.constant(op.inputs[1]).tolist() if op and writer.name(op) == "TRANSPOSE" else None


def transpose(writer, op):
    found = writer.constant(op.inputs[1]).tolist()
    if found != [0, 2, 1, 3] or op.inputs[0] in writer.pictures:
        raise Unsupported(f"TRANSPOSE to {found}")
    writer.layer("Permute", [op.inputs[0]], [op.outputs[0]], ["0=2"])


def crop(writer, op):
    """A SLICE or a STRIDED_SLICE of steps of one."""
    x, out = op.inputs[0], op.outputs[0]
    whole, part = writer.shape(x), writer.shape(out)
    begin = writer.constant(op.inputs[1]).tolist()
    if x in writer.pictures:
        raise Unsupported("SLICE of a picture")
    shrinks = len(part) < len(whole)
    kept = part if not shrinks else [1, *[1] * (len(whole) - len(part)), *part[1:]]
    axes = [i for i, (a, b) in enumerate(zip(whole, kept)) if a != b]
    arrays = [[begin[i] for i in axes], [begin[i] + kept[i] for i in axes], [i - 1 for i in axes]]
    params = [f"-233{9 + k:02}={len(axes)},{','.join(map(str, values))}" for k, values in enumerate(arrays)]
    writer.layer("Crop", [x], [f"{out}s" if shrinks else out], params)
    if shrinks:
        writer.layer("Reshape", [f"{out}s"], [out], sizes(dims(part)))


def embed(writer, op):
    """A GATHER of a constant's rows."""
    table = writer.constant(op.inputs[0])
    if table is None or table.ndim != 2:
        raise Unsupported("GATHER of what is computed")
    rows, width = table.shape
    writer.layer("Embed", [op.inputs[1]], [op.outputs[0]], [f"0={width}", f"1={rows}", "2=0", f"3={table.size}"])
    writer.weight(table)


def linear(writer, x, out, weights, bias, _activation):
    """A product of rows. (ncnn's InnerProduct takes them too, and takes 1.4 times as long.)"""
    n, k = weights.shape
    params = ["3=1", "5=1", "6=1", f"8={n}", f"9={k}", f"10={-1 if bias is None else 4}"]
    writer.layer("Gemm", [x], [out], params)
    writer.weight(weights)
    if bias is not None:
        writer.weight(bias)
