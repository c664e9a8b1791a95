/* Runs a .tflite file in TensorFlow Lite's C library with the delegate and without, and compares the outputs.
 *
 *     compare MODEL [key=value]...
 *
 * Build: cc compare.c $(pkg-config --cflags --libs tflite_wgpu) -I TFLITE/include -L TFLITE/lib -ltensorflowlite_c -lm
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/lite/c/c_api.h"
#include "tensorflow/lite/c/common.h"
#include "tflite_wgpu.h"

enum { MAX_OPTIONS = 64 };

static void print_error(void* user_data, const char* format, va_list arguments) {
  (void)user_data;
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
}

/* An interpreter with its tensors allocated; NULL when the model or the delegate fails. */
static TfLiteInterpreter* make_interpreter(const TfLiteModel* model, TfLiteDelegate* delegate) {
  TfLiteInterpreterOptions* options = TfLiteInterpreterOptionsCreate();
  TfLiteInterpreterOptionsSetErrorReporter(options, print_error, NULL);
  if (delegate != NULL) TfLiteInterpreterOptionsAddDelegate(options, delegate);
  TfLiteInterpreter* interpreter = TfLiteInterpreterCreate(model, options);
  TfLiteInterpreterOptionsDelete(options);
  if (interpreter != NULL && TfLiteInterpreterAllocateTensors(interpreter) != kTfLiteOk) {
    TfLiteInterpreterDelete(interpreter);
    return NULL;
  }
  return interpreter;
}

/* Fills the inputs: floats with a wave, everything else with zeros. */
static int fill_inputs(TfLiteInterpreter* interpreter) {
  for (int i = 0; i < TfLiteInterpreterGetInputTensorCount(interpreter); ++i) {
    TfLiteTensor* tensor = TfLiteInterpreterGetInputTensor(interpreter, i);
    const size_t bytes = TfLiteTensorByteSize(tensor);
    if (bytes == 0) continue;
    void* data = TfLiteTensorData(tensor);
    if (data == NULL) return 0;
    memset(data, 0, bytes);
    if (TfLiteTensorType(tensor) != kTfLiteFloat32) continue;
    for (size_t k = 0; k < bytes / sizeof(float); ++k) ((float*)data)[k] = sinf(0.1f * (float)(k % 1000));
  }
  return 1;
}

/* Prints how far the outputs of both interpreters lie apart; 0 when an output is no number. */
static int compare_outputs(const TfLiteInterpreter* gpu, const TfLiteInterpreter* cpu) {
  for (int i = 0; i < TfLiteInterpreterGetOutputTensorCount(gpu); ++i) {
    const TfLiteTensor* a = TfLiteInterpreterGetOutputTensor(gpu, i);
    const TfLiteTensor* b = TfLiteInterpreterGetOutputTensor(cpu, i);
    if (TfLiteTensorType(a) != kTfLiteFloat32 || TfLiteTensorByteSize(a) != TfLiteTensorByteSize(b)) continue;
    const size_t count = TfLiteTensorByteSize(a) / sizeof(float);
    const float *found = TfLiteTensorData(a), *expected = TfLiteTensorData(b);
    double largest = 0;
    for (size_t k = 0; k < count; ++k) {
      const double difference = fabs((double)found[k] - expected[k]);
      if (isnan(difference)) return 0;
      if (difference > largest) largest = difference;
    }
    printf("output %d: %zu values, largest difference from the CPU %.2g\n", i, count, largest);
  }
  return 1;
}

int main(int argc, char** argv) {
  if (argc < 2 || argc - 2 > MAX_OPTIONS) {
    fprintf(stderr, "usage: %s MODEL [key=value]...\n", argv[0]);
    return 2;
  }
  const char *keys[MAX_OPTIONS], *values[MAX_OPTIONS];
  const size_t count = (size_t)(argc - 2);
  for (size_t i = 0; i < count; ++i) {
    char* equals = strchr(argv[i + 2], '=');
    if (equals == NULL) {
      fprintf(stderr, "%s: expected key=value\n", argv[i + 2]);
      return 2;
    }
    *equals = '\0';
    keys[i] = argv[i + 2];
    values[i] = equals + 1;
  }

  int good = 0;
  TfLiteInterpreter *gpu = NULL, *cpu = NULL;
  TfLiteModel* model = TfLiteModelCreateFromFile(argv[1]);
  /* On failure the reason is on standard error already. */
  TfLiteDelegate* delegate = tflite_plugin_create_delegate(keys, values, count, NULL);
  if (model != NULL && delegate != NULL) {
    gpu = make_interpreter(model, delegate);
    cpu = make_interpreter(model, NULL);
  }
  if (gpu != NULL && cpu != NULL && fill_inputs(gpu) && fill_inputs(cpu)) {
    good = TfLiteInterpreterInvoke(gpu) == kTfLiteOk && TfLiteInterpreterInvoke(cpu) == kTfLiteOk &&
           compare_outputs(gpu, cpu);
  }

  /* The interpreter goes first, then its delegate, then the model. */
  if (gpu != NULL) TfLiteInterpreterDelete(gpu);
  if (cpu != NULL) TfLiteInterpreterDelete(cpu);
  tflite_plugin_destroy_delegate(delegate);
  if (model != NULL) TfLiteModelDelete(model);
  return good ? 0 : 1;
}
