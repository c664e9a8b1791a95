#!/usr/bin/env python3
"""Writes a float `.tflite` network as ncnn's files, so that both run the same weights.

    python benches/ncnn_model.py MODEL.tflite OUT.param OUT.bin

Takes what the benchmark's networks are made of; anything else is an `Unsupported` with the operator's name. What ncnn's own
optimiser would fuse is fused here: activations behind convolutions, PAD in front of one, x * sigmoid(x), hard sigmoid,
and what `ncnn_rows.py` finds.
Needs numpy and ai-edge-litert.
"""
import struct
import sys

import numpy as np
from ai_edge_litert import schema_py_generated as S

import ncnn_rows
from ncnn_rows import Unsupported

NAMES = {value: name for name, value in vars(S.BuiltinOperator).items() if isinstance(value, int)}
TYPES = {0: np.float32, 1: np.float16, 2: np.int32}
RELU, RELU6 = 1, 3


class Writer:
    """Layers and weights, as they are added."""

    def __init__(self, model):
        self.model = S.ModelT.InitFromPackedBuf(model, 0)
        self.graph = self.model.subgraphs[0]
        self.layers, self.weights, self.skipped = [], [], set()
        self.blobs = {}
        readers = {}
        for i, op in enumerate(self.graph.operators):
            for t in op.inputs:
                readers.setdefault(t, []).append(i)
        self.readers = readers
        self.makers = {t: i for i, op in enumerate(self.graph.operators) for t in op.outputs}
        # Tensors whose channels come first in ncnn: what is made of a picture is one, until it is reshaped.
        self.pictures = {t for t in self.graph.inputs if len(self.shape(t)) == 4}
        for op in self.graph.operators:
            if self.name(op) != "RESHAPE" and self.pictures.intersection(op.inputs):
                self.pictures.update(op.outputs)
        self.chains = ncnn_rows.chains(self)

    # what the file says
    def name(self, op):
        code = self.model.operatorCodes[op.opcodeIndex]
        return NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)]

    def shape(self, t):
        return [int(d) for d in self.graph.tensors[t].shape]

    def constant(self, t):
        """A constant's values (float16 weights lie behind a DEQUANTIZE), or none."""
        if t in self.makers:
            op = self.graph.operators[self.makers[t]]
            return self.constant(op.inputs[0]) if self.name(op) == "DEQUANTIZE" else None
        tensor = self.graph.tensors[t]
        data = self.model.buffers[tensor.buffer].data
        if data is None or len(data) == 0:
            return None
        if tensor.type not in TYPES:
            raise Unsupported(f"a constant of type {tensor.type}")
        values = np.frombuffer(bytes(data), TYPES[tensor.type]).reshape(self.shape(t))
        return values.astype(np.float32) if tensor.type == 1 else values

    def only_reader(self, t):
        """The one node that reads a tensor, or none."""
        readers = self.readers.get(t, [])
        return readers[0] if len(readers) == 1 and t not in self.graph.outputs else None

    # what is written
    def layer(self, kind, inputs, outputs, params=()):
        names = [f"t{t}" for t in inputs], [f"t{t}" for t in outputs]
        self.layers.append((kind, *names, list(params)))

    def weight(self, values, flag=True):
        if flag:
            self.weights.append(struct.pack("<I", 0))
        self.weights.append(np.ascontiguousarray(values, np.float32).tobytes())

    def activated(self, kind, inputs, out, params, activation):
        """A layer with TFLite's fused activation as a layer of its own."""
        if activation == 0:
            return self.layer(kind, inputs, [out], params)
        middle = f"{out}a"
        self.layer(kind, inputs, [middle], params)
        self.activation(middle, out, activation)

    def activation(self, x, out, activation):
        if activation == RELU:
            self.layer("ReLU", [x], [out])
        elif activation == RELU6:
            self.layer("Clip", [x], [out], ["0=0.0", "1=6.0"])
        else:
            raise Unsupported(f"activation {activation}")

    # operators
    def convolve(self, i, op, depthwise):
        o, x, out = op.builtinOptions, op.inputs[0], op.outputs[0]
        weights = self.constant(op.inputs[1])
        if weights is None:
            raise Unsupported("weights that are computed")
        if depthwise:
            if o.depthMultiplier != 1:
                raise Unsupported("depth multipliers")
            kh, kw, channels = weights.shape[1:]
            packed, group = weights[0].transpose(2, 0, 1), channels
        else:
            channels, kh, kw, depth = weights.shape
            packed, group = weights.transpose(0, 3, 1, 2), self.shape(x)[3] // depth
        bias = self.constant(op.inputs[2]) if len(op.inputs) > 2 and op.inputs[2] >= 0 else None
        activation, out = self.fused(out, o.fusedActivationFunction)
        if not depthwise and self.shape(x)[1:3] == [1, 1] and (kh, kw) == (1, 1):
            return self.product(x, out, packed.reshape(channels, -1), bias, activation)
        pads = [-233] * 4 if o.padding == 0 else [0] * 4
        if x in self.makers and self.name(self.graph.operators[self.makers[x]]) == "PAD" and o.padding == 1:
            x, (left, right, top, bottom) = self.padding(x)
            pads = [left, top, right, bottom]
        params = [f"0={channels}", f"1={kw}", f"11={kh}", f"2={o.dilationWFactor}", f"12={o.dilationHFactor}",
                  f"3={o.strideW}", f"13={o.strideH}", f"4={pads[0]}", f"14={pads[1]}", f"15={pads[2]}", f"16={pads[3]}",
                  f"5={int(bias is not None)}", f"6={weights.size}"] + activation
        kind = "Convolution" if group == 1 else "ConvolutionDepthWise"
        self.layer(kind, [x], [out], params + ([f"7={group}"] if group > 1 else []))
        self.weight(packed)
        if bias is not None:
            self.weight(bias, False)

    def product(self, x, out, weights, bias, activation):
        params = [f"0={weights.shape[0]}", f"1={int(bias is not None)}", f"2={weights.size}"] + activation
        self.layer("InnerProduct", [x], [out], params)
        self.weight(weights)
        if bias is not None:
            self.weight(bias, False)

    def fused(self, out, activation):
        """The activation that a convolution may do itself, as parameters, and the tensor that follows."""
        if activation == RELU:
            return ["9=1"], out
        if activation == RELU6:
            return ["9=3", "-23310=2,0.0,6.0"], out
        if activation:
            raise Unsupported(f"activation {activation}")
        reader = self.only_reader(out)
        if reader is not None and self.name(self.graph.operators[reader]) == "HARD_SWISH":
            self.skipped.add(reader)
            return ["9=6", "-23310=2,0.16666667,0.5"], self.graph.operators[reader].outputs[0]
        return [], out

    def padding(self, t):
        """The tensor in front of a PAD, and how much it adds: left, right, top, bottom."""
        op = self.graph.operators[self.makers[t]]
        amounts = self.constant(op.inputs[1])
        if amounts is None or amounts[0].any() or amounts[3].any():
            raise Unsupported("padding of other dimensions")
        (top, bottom), (left, right) = amounts[1], amounts[2]
        return op.inputs[0], (int(left), int(right), int(top), int(bottom))

    def pool(self, op, average):
        o, x, out = op.builtinOptions, op.inputs[0], op.outputs[0]
        if average and self.shape(out)[1:3] == [1, 1] and [o.filterHeight, o.filterWidth] == self.shape(x)[1:3]:
            return self.layer("Pooling", [x], [out], ["0=1", "4=1"])
        mode = 2 if o.padding == 0 else 1
        self.layer("Pooling", [x], [out], [f"0={int(average)}", f"1={o.filterWidth}", f"11={o.filterHeight}",
                                           f"2={o.strideW}", f"12={o.strideH}", f"5={mode}", "6=0"])

    def binary(self, i, op, code):
        out, activation = op.outputs[0], op.builtinOptions.fusedActivationFunction
        constants = [self.constant(t) for t in op.inputs]
        if self.hard_sigmoid(op, constants, code):
            return
        for own, other in ((0, 1), (1, 0)):
            if constants[other] is not None and constants[other].size == 1:
                # Subtraction turned round has a number of its own.
                turned = 7 if code == 1 and own == 1 else code
                params = [f"0={turned}", "1=1", f"2={float(constants[other].reshape(-1)[0])!r}"]
                return self.activated("BinaryOp", [op.inputs[own]], out, params, activation)
        if out in self.pictures and any(values is not None for values in constants):
            raise Unsupported("constants with more than one value")
        self.activated("BinaryOp", [ncnn_rows.operand(self, t) for t in op.inputs], out, [f"0={code}"], activation)

    def hard_sigmoid(self, op, constants, code):
        """ADD of 3 with RELU6 and a MUL by a sixth behind it."""
        three = code == 0 and constants[1] is not None and constants[1].size == 1 and constants[1].reshape(-1)[0] == 3
        reader = self.only_reader(op.outputs[0])
        if not three or op.builtinOptions.fusedActivationFunction != RELU6 or reader is None:
            return False
        by = self.graph.operators[reader]
        sixth = self.constant(by.inputs[1]) if self.name(by) == "MUL" else None
        if sixth is None or sixth.size != 1 or abs(sixth.reshape(-1)[0] * 6 - 1) > 1e-3:
            return False
        self.skipped.add(reader)
        self.layer("HardSigmoid", [op.inputs[0]], [by.outputs[0]], ["0=0.16666667", "1=0.5"])
        return True

    def logistic(self, op):
        """A sigmoid, or with the product behind it a swish."""
        x, out = op.inputs[0], op.outputs[0]
        reader = self.only_reader(out)
        if reader is not None and self.name(self.graph.operators[reader]) == "MUL":
            product = self.graph.operators[reader]
            if sorted(product.inputs) == sorted([x, out]):
                self.skipped.add(reader)
                return self.layer("Swish", [x], [product.outputs[0]])
        self.layer("Sigmoid", [x], [out])

    def transpose_conv(self, op):
        o, weights = op.builtinOptions, self.constant(op.inputs[1])
        channels, kh, kw, _ = weights.shape
        bias = self.constant(op.inputs[3]) if len(op.inputs) > 3 and op.inputs[3] >= 0 else None
        if (kh, kw) != (o.strideH, o.strideW):
            raise Unsupported("TRANSPOSE_CONV whose windows overlap")
        activation, out = self.fused(op.outputs[0], o.fusedActivationFunction)
        self.layer("Deconvolution", [op.inputs[2]], [out], [f"0={channels}", f"1={kw}", f"11={kh}", f"3={o.strideW}",
                   f"13={o.strideH}", f"5={int(bias is not None)}", f"6={weights.size}"] + activation)
        self.weight(weights.transpose(0, 3, 1, 2))
        if bias is not None:
            self.weight(bias, False)

    def resize(self, op, bilinear):
        o, (_, height, width, _) = op.builtinOptions, self.shape(op.outputs[0])
        before = self.shape(op.inputs[0])[1:3]
        # Of one pixel, or of whole multiples by the nearest, all rules are the same.
        same = before == [1, 1] or not bilinear and height % before[0] == 0 and width % before[1] == 0
        if not same and not (o.alignCorners or o.halfPixelCenters):
            raise Unsupported("RESIZE without half pixels or aligned corners")
        self.layer("Interp", [op.inputs[0]], [op.outputs[0]],
                   [f"0={2 if bilinear else 1}", f"3={height}", f"4={width}", f"6={int(o.alignCorners)}"])

    def concat(self, op):
        out, axis = op.outputs[0], op.builtinOptions.axis
        axis += len(self.shape(out)) if axis < 0 else 0
        if axis == 0 or out in self.pictures and axis != 3:
            raise Unsupported(f"CONCATENATION along dimension {axis}")
        self.layer("Concat", [ncnn_rows.operand(self, t) for t in op.inputs], [out],
                   [f"0={0 if out in self.pictures else axis - 1}"])

    def node(self, i, op):
        name, x, out = self.name(op), op.inputs[0], op.outputs[0]
        if name in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            self.convolve(i, op, name == "DEPTHWISE_CONV_2D")
        elif name in ("AVERAGE_POOL_2D", "MAX_POOL_2D"):
            self.pool(op, name == "AVERAGE_POOL_2D")
        elif name in ("ADD", "SUB", "MUL"):
            self.binary(i, op, {"ADD": 0, "SUB": 1, "MUL": 2}[name])
        elif name == "LOGISTIC":
            self.logistic(op)
        elif name == "HARD_SWISH":
            self.layer("HardSwish", [x], [out], ["0=0.16666667", "1=0.5"])
        elif name == "CONCATENATION":
            self.concat(op)
        elif name == "TRANSPOSE_CONV":
            self.transpose_conv(op)
        elif name == "PRELU" and x in self.pictures:
            slopes = self.constant(op.inputs[1])
            self.layer("PReLU", [x], [out], [f"0={slopes.size}"])
            self.weight(slopes, False)
        elif name in ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"):
            self.resize(op, name == "RESIZE_BILINEAR")
        elif name == "RESHAPE":
            ncnn_rows.reshape(self, op)
        elif name == "TRANSPOSE":
            ncnn_rows.transpose(self, op)
        elif name in ("SLICE", "STRIDED_SLICE"):
            ncnn_rows.crop(self, op)
        elif name == "GATHER":
            ncnn_rows.embed(self, op)
        elif name == "GELU":
            self.layer("GELU", [x], [out], [f"0={int(op.builtinOptions.approximate)}"])
        elif name == "CAST":
            # ncnn computes in floats; only the input's type differs (`floats`).
            self.layer("Noop", [x], [out])
        elif name == "MEAN" and sorted(self.constant(op.inputs[1]).reshape(-1)) == [1, 2]:
            self.layer("Pooling", [x], [out], ["0=1", "4=1"])
        elif name == "FULLY_CONNECTED":
            o = op.builtinOptions
            activation, out = self.fused(out, o.fusedActivationFunction)
            bias = self.constant(op.inputs[2]) if len(op.inputs) > 2 and op.inputs[2] >= 0 else None
            rows = len(ncnn_rows.dims(self.shape(x))) == 2 and not activation
            product = ncnn_rows.linear if rows else Writer.product
            product(self, x, out, self.constant(op.inputs[1]), bias, activation)
        elif name == "SOFTMAX":
            # Of the last dimension, which is the only one longer than one.
            if self.shape(x)[-1] != np.prod(self.shape(x)):
                raise Unsupported("SOFTMAX of more than one row")
            self.layer("Softmax", [x], [out], ["0=0", "1=1"])
        elif name == "PAD":
            reader = self.only_reader(out)
            reader = None if reader is None else self.graph.operators[reader]
            if reader is None or self.name(reader) != "CONV_2D" or reader.builtinOptions.padding != 1:
                before, (left, right, top, bottom) = self.padding(out)
                self.layer("Padding", [before], [out], [f"0={top}", f"1={bottom}", f"2={left}", f"3={right}", "5=0.0"])
        elif name != "DEQUANTIZE":
            raise Unsupported(name)

    def write(self):
        """The files' contents, and the blobs that are fed and read."""
        for i, op in enumerate(self.graph.operators):
            if i in self.chains:
                self.chains[i]()
            elif i not in self.skipped:
                self.node(i, op)
        sources = [f"t{t}" for t in self.graph.inputs]
        layers = [("Input", [], [source], []) for source in sources] + self.layers
        readers = {}
        for _, inputs, _, _ in layers:
            for blob in inputs:
                readers[blob] = readers.get(blob, 0) + 1
        # A blob has one reader; more of them read the copies of a Split.
        split, used, blobs = [], {}, 0
        for kind, inputs, outputs, params in layers:
            named = []
            for blob in inputs:
                if readers[blob] > 1:
                    k = used.get(blob, 0)
                    used[blob] = k + 1
                    blob = f"{blob}_{k}"
                named.append(blob)
            split.append((kind, named, outputs, params))
            for blob in outputs:
                if readers.get(blob, 0) > 1:
                    split.append(("Split", [blob], [f"{blob}_{k}" for k in range(readers[blob])], []))
        lines = []
        for n, (kind, inputs, outputs, params) in enumerate(split):
            blobs += len(outputs)
            lines.append(" ".join([kind, f"layer{n}", str(len(inputs)), str(len(outputs))] + inputs + outputs + params))
        text = f"7767517\n{len(lines)} {blobs}\n" + "\n".join(lines) + "\n"
        return text, b"".join(self.weights), sources, [f"t{t}" for t in self.graph.outputs]

    def fed(self, value, t):
        """An input's value as ncnn takes it: without the batch, channels first, of the type that its reader takes."""
        value = value.reshape(ncnn_rows.dims(value.shape))
        if t in self.pictures:
            value = value.transpose(2, 0, 1)
        if any(self.name(self.graph.operators[i]) != "GATHER" for i in self.readers.get(t, [])):
            value = value.astype(np.float32)
        return np.ascontiguousarray(value)

    def read(self, value, t):
        """An output of ncnn in TFLite's order."""
        if t in self.pictures and value.ndim == 3:
            value = value.transpose(1, 2, 0)
        return value.reshape(self.shape(t))


def convert(model, param, weights):
    """Writes both files; gives the writer, the names of the inputs and of the outputs."""
    with open(model, "rb") as file:
        writer = Writer(file.read())
    text, data, sources, outputs = writer.write()
    with open(param, "w") as file:
        file.write(text)
    with open(weights, "wb") as file:
        file.write(data)
    return writer, sources, outputs


if __name__ == "__main__":
    print(*convert(*sys.argv[1:4])[1:])
