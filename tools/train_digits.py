#!/usr/bin/env python3
"""Train the digit classifier of assets/digits and write everything in there.

The data are scikit-learn's bundled handwritten digits (1797 grey images of
8x8), enlarged to 16x16. A small convolutional network is trained on three
quarters of them and measured on the quarter held out. The script writes

    digits_f32.tflite     float32
    digits_f16.tflite     float16 weights, float32 input and output
    digits_int8.tflite    int8 weights, activations, input and output
    digit_0.png ...       ten held-out images, one per class
    labels.txt            the class names, one a line
    accuracy.json         the measured accuracy and what each image should give

and fails if a file is too large, too inaccurate, disagrees with Keras, or if
a test image is not classified right by all three files.

It needs packages that nothing else here does:

    pip install tensorflow-cpu scikit-learn pillow ai-edge-litert
    python tools/train_digits.py
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from keras import layers
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

SIZE = 16
CLASSES = 10
MAX_BYTES = 100_000
MIN_ACCURACY = 0.97
# Largest allowed difference of one probability from Keras on the test split.
# int8 gets none: its softmax alone has steps of 1/256 and its layers add to
# that, so it is held to the accuracy and to the share of equal answers.
MAX_DIFFERENCE = {"f32": 1e-4, "f16": 1e-2}
MIN_AGREEMENT = 0.99


def enlarge(image):
    """One 8x8 image of 0..16 as a SIZE x SIZE image of 8-bit grey values."""
    grey = Image.fromarray(image.astype(np.float32) * (255.0 / 16.0))
    grey = grey.resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    return np.clip(np.rint(np.asarray(grey)), 0, 255).astype(np.uint8)


def to_input(pixels):
    """8-bit grey images [n, h, w] as model inputs [n, h, w, 1] in 0..1."""
    return pixels.astype(np.float32)[..., np.newaxis] / np.float32(255.0)


def load_split(seed, test_share):
    """(train pixels, test pixels, train labels, test labels), stratified."""
    digits = load_digits()
    pixels = np.stack([enlarge(image) for image in digits.images])
    return train_test_split(
        pixels,
        digits.target,
        test_size=test_share,
        random_state=seed,
        stratify=digits.target,
    )


def with_shifts(pixels, labels):
    """Every image at its place and moved by one pixel in eight directions."""
    padded = np.pad(pixels, ((0, 0), (1, 1), (1, 1)))
    moved = [
        padded[:, y : y + SIZE, x : x + SIZE] for y in range(3) for x in range(3)
    ]
    return np.concatenate(moved), np.tile(labels, len(moved))


def build_model():
    """A small CNN: convolutions, a residual block, depthwise blocks, pooling."""

    def conv(x, filters, kernel, relu=True):
        x = layers.Conv2D(filters, kernel, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        return layers.ReLU()(x) if relu else x

    def depthwise(x, stride):
        x = layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        return layers.ReLU(max_value=6.0)(x)

    image = keras.Input((SIZE, SIZE, 1), name="image")
    x = conv(image, 16, 3)
    x = layers.MaxPooling2D(2)(x)
    y = conv(x, 16, 3)
    y = conv(y, 16, 3, relu=False)
    x = layers.ReLU()(layers.Add()([x, y]))
    x = conv(depthwise(x, 1), 24, 1)
    x = conv(depthwise(x, 2), 32, 1)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(32, activation="relu")(x)
    scores = layers.Dense(CLASSES, activation="softmax", name="scores")(x)
    return keras.Model(image, scores, name="digits")


def train(pixels, labels, epochs, batch):
    """The trained model; the number of epochs is fixed, nothing is selected."""
    pixels, labels = with_shifts(pixels, labels)
    model = build_model()
    steps = epochs * -(-len(pixels) // batch)
    rate = keras.optimizers.schedules.CosineDecay(4e-3, steps)
    model.compile(
        optimizer=keras.optimizers.Adam(rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    model.fit(to_input(pixels), labels, batch_size=batch, epochs=epochs, verbose=2)
    return model


def convert(model, kind, calibration):
    """The model as the bytes of a .tflite file, its batch fixed at 1."""

    # By way of a SavedModel: converted from a concrete function, a Keras 3
    # model keeps its weights as variables that nothing in the file sets.
    shape = (1, SIZE, SIZE, 1)
    signature = [keras.InputSpec(shape=shape, dtype="float32", name="image")]
    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, input_signature=signature, verbose=False)
        return quantizer(folder, kind, calibration).convert()


def quantizer(folder, kind, calibration):
    """The converter of a SavedModel, set up for one kind of file."""
    converter = tf.lite.TFLiteConverter.from_saved_model(folder)
    if kind == "f16":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    elif kind == "int8":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: (
            [image[np.newaxis]] for image in calibration
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8
    return converter


def run_file(path, inputs):
    """The file's probabilities [n, CLASSES] for float inputs [n, h, w, 1]."""
    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]
    target = interpreter.get_output_details()[0]
    if source["dtype"] == np.int8:
        scale, zero = source["quantization"]
        inputs = np.clip(np.rint(inputs / scale) + zero, -128, 127).astype(np.int8)
    rows = []
    for image in inputs:
        interpreter.set_tensor(source["index"], image[np.newaxis])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(target["index"])[0].copy())
    scores = np.stack(rows)
    if target["dtype"] == np.int8:
        scale, zero = target["quantization"]
        scores = (scores.astype(np.float32) - zero) * np.float32(scale)
    return scores


def measure(path, inputs, labels, keras_scores):
    """(the entry for accuracy.json, the probabilities) of one file."""
    scores = run_file(path, inputs)
    answers = scores.argmax(1)
    correct = int((answers == labels).sum())
    entry = {
        "bytes": path.stat().st_size,
        "correct": correct,
        "accuracy": round(correct / len(labels), 4),
        "same_answer_as_keras": round(
            float((answers == keras_scores.argmax(1)).mean()), 4
        ),
        "max_difference_from_keras": float(
            f"{np.abs(scores - keras_scores).max():.2e}"
        ),
    }
    return entry, scores


def check(kind, entry):
    """Stop if a file does not hold what the README says of it."""
    problems = []
    if entry["bytes"] >= MAX_BYTES:
        problems.append(f"is {entry['bytes']} bytes")
    if entry["accuracy"] < MIN_ACCURACY:
        problems.append(f"has accuracy {entry['accuracy']}")
    if entry["same_answer_as_keras"] < MIN_AGREEMENT:
        problems.append(f"agrees with Keras on {entry['same_answer_as_keras']}")
    limit = MAX_DIFFERENCE.get(kind)
    if limit is not None and entry["max_difference_from_keras"] > limit:
        problems.append(f"differs by {entry['max_difference_from_keras']}")
    if problems:
        raise SystemExit(f"the {kind} file " + ", ".join(problems))


def pick_images(labels, scores):
    """Per class, the first test image that every file classifies right."""
    right = np.all([rows.argmax(1) == labels for rows in scores.values()], axis=0)
    picks = []
    for label in range(CLASSES):
        found = np.flatnonzero(right & (labels == label))
        if not len(found):
            raise SystemExit(f"no test image of a {label} is right in all files")
        picks.append(int(found[0]))
    return picks


def write_images(out, pixels, scores, picks):
    """Write the PNGs and check them as read back; their accuracy.json entries."""
    entries = []
    for label, index in enumerate(picks):
        name = f"digit_{label}.png"
        Image.fromarray(pixels[index]).save(out / name, optimize=True)
        with Image.open(out / name) as image:
            same = np.array_equal(np.asarray(image), pixels[index])
            if image.mode != "L" or not same:
                raise SystemExit(f"{name} does not read back as written")
        entries.append(
            {
                "file": name,
                "label": label,
                "probability": {
                    kind: round(float(rows[index, label]), 6)
                    for kind, rows in scores.items()
                },
            }
        )
    return entries


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = Path(__file__).resolve().parent.parent / "assets" / "digits"
    parser.add_argument(
        "--out", type=Path, default=default, help="folder to write (assets/digits)"
    )
    parser.add_argument("--seed", type=int, default=7, help="random seed (7)")
    parser.add_argument("--epochs", type=int, default=15, help="epochs (15)")
    parser.add_argument("--batch", type=int, default=64, help="batch size (64)")
    parser.add_argument(
        "--test-share", type=float, default=0.25, help="share held out (0.25)"
    )
    return parser.parse_args()


def main():
    args = parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(args.seed)
    tf.config.experimental.enable_op_determinism()

    train_pixels, test_pixels, train_labels, test_labels = load_split(
        args.seed, args.test_share
    )
    model = train(train_pixels, train_labels, args.epochs, args.batch)
    inputs = to_input(test_pixels)
    keras_scores = model.predict(inputs, verbose=0)

    models, scores = {}, {}
    for kind in ("f32", "f16", "int8"):
        path = args.out / f"digits_{kind}.tflite"
        path.write_bytes(convert(model, kind, to_input(train_pixels)))
        models[path.name], scores[kind] = measure(
            path, inputs, test_labels, keras_scores
        )
        check(kind, models[path.name])

    report = {
        "train_images": len(train_labels),
        "test_images": len(test_labels),
        "keras_accuracy": round(
            float((keras_scores.argmax(1) == test_labels).mean()), 4
        ),
        "models": models,
        "images": write_images(
            args.out, test_pixels, scores, pick_images(test_labels, scores)
        ),
    }
    (args.out / "accuracy.json").write_text(json.dumps(report, indent=2) + "\n")
    names = [str(label) for label in range(CLASSES)]
    (args.out / "labels.txt").write_text("\n".join(names) + "\n")

    print(f"{len(test_labels)} held-out images, Keras {report['keras_accuracy']:.2%}")
    for name, entry in models.items():
        print(
            f"{name:20} {entry['bytes']:6} bytes  "
            f"{entry['correct']}/{len(test_labels)} = {entry['accuracy']:.2%}  "
            f"largest difference from Keras {entry['max_difference_from_keras']:.2e}"
        )


if __name__ == "__main__":
    main()
