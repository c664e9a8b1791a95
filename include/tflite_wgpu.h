/* tflite-wgpu as a delegate of TensorFlow Lite and LiteRT.
 *
 * libtflite_wgpu_delegate exports what this header declares, and the data symbol LiteRtAcceleratorImpl, which LiteRT's
 * runtime looks up by itself. It imports nothing of a runtime, so one file serves TFLite 2.9 and later.
 *
 * With a runtime's own loader (TfLiteExternalDelegateCreate, Python's load_delegate, benchmark_model's
 * --external_delegate_path) this header is not needed.
 */
#ifndef TFLITE_WGPU_H_
#define TFLITE_WGPU_H_

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The runtime's own type (c_api_types.h). */
struct TfLiteDelegate;

/* Makes a delegate with `count` options. Keys and values are those of docs/delegate.md; an unknown key is an error that
 * lists them all. NULL on failure, with the reason on standard error and through `report_error` where it is not NULL.
 * Arrays and texts may go once the call returns. */
struct TfLiteDelegate* tflite_plugin_create_delegate(const char* const* keys, const char* const* values, size_t count,
                                                     void (*report_error)(const char* text));

/* Ends a delegate; NULL is ignored. Interpreters should be gone by then, but may be used on. */
void tflite_plugin_destroy_delegate(struct TfLiteDelegate* delegate);

/* The library's version, such as "0.1.0"; a static text. */
const char* tflite_wgpu_version(void);

/* The adapters of this machine, best first, as JSON: what `tflite-wgpu devices --json` prints. The caller frees it with
 * tflite_wgpu_free; NULL when there is no memory. */
char* tflite_wgpu_devices(void);

/* Compares the GPU with the reference interpreter on random inputs, step by step, with options as
 * tflite_plugin_create_delegate has them. JSON with "passed" and the figures, or with "error"; freed as above. */
char* tflite_wgpu_verify(const char* model_path, const char* const* keys, const char* const* values, size_t count);

/* Frees a text of this library; NULL is ignored. */
void tflite_wgpu_free(char* text);

#ifdef __cplusplus
}
#endif

#endif /* TFLITE_WGPU_H_ */
