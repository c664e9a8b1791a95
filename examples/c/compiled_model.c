/* Runs a model of one float input and one float output with LiteRT's CompiledModel on the GPU, and prints the output.
 *
 *     compiled_model FOLDER_OF_THE_PLUGIN MODEL 1,16,16,1 1,10 <input.f32 >output.f32
 *
 * Standard input and output are raw float32. Options of the plugin go into the variable TFLITE_WGPU_OPTIONS.
 * LiteRT's wheel has the library (libLiteRt.so, 2.3.0) and no header, so what is used of it is declared here.
 *
 * Build: cc compiled_model.c -L FOLDER_OF_LITERT -lLiteRt
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RUNTIME_LIBRARY_DIR = 22, STRING_VALUE = 8, GPU = 2, HOST_MEMORY = 1, FLOAT32 = 1, READ = 0, WRITE = 1, MAX_RANK = 8 };

struct Any {
  int32_t type;
  const char* text;
};

struct EnvironmentOption {
  int32_t tag;
  struct Any value;
};

struct TensorType {
  int32_t element_type;
  uint32_t rank; /* the lower seven bits; the eighth says that there are strides */
  int32_t dimensions[MAX_RANK];
  uint32_t strides[MAX_RANK];
};

int LiteRtCreateEnvironment(int count, const struct EnvironmentOption* options, void** environment);
int LiteRtCreateModelFromFile(void* environment, const char* path, void** model);
int LiteRtCreateOptions(void** options);
int LiteRtSetOptionsHardwareAccelerators(void* options, int accelerators);
int LiteRtCreateCompiledModel(void* environment, void* model, void* options, void** compiled);
int LiteRtCreateManagedTensorBuffer(void* environment, int kind, const struct TensorType* type, size_t bytes, void** buffer);
int LiteRtLockTensorBuffer(void* buffer, void** data, int mode);
int LiteRtUnlockTensorBuffer(void* buffer);
int LiteRtRunCompiledModel(void* compiled, size_t signature, size_t inputs, void** input, size_t outputs, void** output);
void LiteRtDestroyTensorBuffer(void* buffer);
void LiteRtDestroyCompiledModel(void* compiled);
void LiteRtDestroyOptions(void* options);
void LiteRtDestroyModel(void* model);
void LiteRtDestroyEnvironment(void* environment);

static void check(int status, const char* what) {
  if (status == 0) return;
  fprintf(stderr, "%s failed (status %d)\n", what, status);
  exit(1);
}

/* The type of a shape such as 1,16,16,1, and its bytes. */
static size_t read_shape(const char* text, struct TensorType* type) {
  memset(type, 0, sizeof *type);
  type->element_type = FLOAT32;
  size_t bytes = sizeof(float);
  char* end = (char*)text;
  do {
    const long size = strtol(end + (*end == ','), &end, 10);
    if (size <= 0 || size > 1 << 24 || type->rank == MAX_RANK || bytes > SIZE_MAX / (size_t)size) check(1, text);
    type->dimensions[type->rank++] = (int32_t)size;
    bytes *= (size_t)size;
  } while (*end == ',');
  check(*end != '\0', text);
  return bytes;
}

static void* make_buffer(void* environment, const struct TensorType* type, size_t bytes) {
  void* buffer = NULL;
  check(LiteRtCreateManagedTensorBuffer(environment, HOST_MEMORY, type, bytes, &buffer), "making a buffer");
  return buffer;
}

int main(int argc, char** argv) {
  if (argc != 5) {
    fprintf(stderr, "usage: %s FOLDER MODEL INPUT_SHAPE OUTPUT_SHAPE <input.f32 >output.f32\n", argv[0]);
    return 2;
  }
  struct TensorType input_type, output_type;
  const size_t input_bytes = read_shape(argv[3], &input_type), output_bytes = read_shape(argv[4], &output_type);

  void *environment = NULL, *model = NULL, *options = NULL, *compiled = NULL, *data = NULL;
  const struct EnvironmentOption folder = {RUNTIME_LIBRARY_DIR, {STRING_VALUE, argv[1]}};
  check(LiteRtCreateEnvironment(1, &folder, &environment), "making an environment");
  check(LiteRtCreateModelFromFile(environment, argv[2], &model), "opening the model");
  check(LiteRtCreateOptions(&options), "making options");
  check(LiteRtSetOptionsHardwareAccelerators(options, GPU), "asking for the GPU");
  check(LiteRtCreateCompiledModel(environment, model, options, &compiled), "compiling the model");

  void* input = make_buffer(environment, &input_type, input_bytes);
  void* output = make_buffer(environment, &output_type, output_bytes);
  check(LiteRtLockTensorBuffer(input, &data, WRITE), "writing the input");
  check(fread(data, 1, input_bytes, stdin) != input_bytes, "reading standard input");
  check(LiteRtUnlockTensorBuffer(input), "writing the input");
  check(LiteRtRunCompiledModel(compiled, 0, 1, &input, 1, &output), "running the model");
  check(LiteRtLockTensorBuffer(output, &data, READ), "reading the output");
  check(fwrite(data, 1, output_bytes, stdout) != output_bytes, "writing standard output");
  check(LiteRtUnlockTensorBuffer(output), "reading the output");

  LiteRtDestroyTensorBuffer(input);
  LiteRtDestroyTensorBuffer(output);
  LiteRtDestroyCompiledModel(compiled);
  LiteRtDestroyOptions(options);
  LiteRtDestroyModel(model);
  LiteRtDestroyEnvironment(environment);
  return 0;
}
