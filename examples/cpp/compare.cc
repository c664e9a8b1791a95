// Runs a .tflite file with the delegate, which TensorFlow Lite loads itself (TfLiteExternalDelegateCreate), and without.
//
//     compare LIBRARY MODEL [key=value]...
//
// Build: c++ compare.cc -I TFLITE/include -L TFLITE/lib -ltensorflowlite_c -lexternal_delegate_obj
#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tensorflow/lite/c/c_api.h"
#include "tensorflow/lite/delegates/external/external_delegate.h"

namespace {

using Model = std::unique_ptr<TfLiteModel, decltype(&TfLiteModelDelete)>;
using Delegate = std::unique_ptr<TfLiteDelegate, decltype(&TfLiteExternalDelegateDelete)>;
using Interpreter = std::unique_ptr<TfLiteInterpreter, decltype(&TfLiteInterpreterDelete)>;

void check(bool good, const std::string& what) {
  if (!good) throw std::runtime_error(what + " failed");
}

Delegate load_delegate(const char* library, const std::vector<std::pair<std::string, std::string>>& pairs) {
  TfLiteExternalDelegateOptions options = TfLiteExternalDelegateOptionsDefault(library);
  for (const auto& [key, value] : pairs) options.insert(&options, key.c_str(), value.c_str());
  Delegate delegate(TfLiteExternalDelegateCreate(&options), TfLiteExternalDelegateDelete);
  check(delegate != nullptr, std::string("loading ") + library);
  return delegate;
}

Interpreter make_interpreter(const TfLiteModel* model, TfLiteDelegate* delegate) {
  std::unique_ptr<TfLiteInterpreterOptions, decltype(&TfLiteInterpreterOptionsDelete)> options(
      TfLiteInterpreterOptionsCreate(), TfLiteInterpreterOptionsDelete);
  const auto print = [](void*, const char* format, va_list arguments) {
    std::vfprintf(stderr, format, arguments);
    std::fputc('\n', stderr);
  };
  TfLiteInterpreterOptionsSetErrorReporter(options.get(), print, nullptr);
  if (delegate != nullptr) TfLiteInterpreterOptionsAddDelegate(options.get(), delegate);
  Interpreter interpreter(TfLiteInterpreterCreate(model, options.get()), TfLiteInterpreterDelete);
  check(interpreter != nullptr, "making an interpreter");
  check(TfLiteInterpreterAllocateTensors(interpreter.get()) == kTfLiteOk, "allocating tensors");
  return interpreter;
}

// The float outputs for inputs that are a wave; inputs of other types are zeros.
std::vector<std::vector<float>> run(TfLiteInterpreter* interpreter) {
  for (int i = 0; i < TfLiteInterpreterGetInputTensorCount(interpreter); ++i) {
    TfLiteTensor* tensor = TfLiteInterpreterGetInputTensor(interpreter, i);
    std::vector<char> bytes(TfLiteTensorByteSize(tensor));
    if (TfLiteTensorType(tensor) == kTfLiteFloat32) {
      auto* values = reinterpret_cast<float*>(bytes.data());
      for (size_t k = 0; k < bytes.size() / sizeof(float); ++k) values[k] = std::sin(0.1f * static_cast<float>(k % 1000));
    }
    check(TfLiteTensorCopyFromBuffer(tensor, bytes.data(), bytes.size()) == kTfLiteOk, "setting an input");
  }
  check(TfLiteInterpreterInvoke(interpreter) == kTfLiteOk, "invoking");
  std::vector<std::vector<float>> outputs;
  for (int i = 0; i < TfLiteInterpreterGetOutputTensorCount(interpreter); ++i) {
    const TfLiteTensor* tensor = TfLiteInterpreterGetOutputTensor(interpreter, i);
    if (TfLiteTensorType(tensor) != kTfLiteFloat32) continue;
    std::vector<float>& output = outputs.emplace_back(TfLiteTensorByteSize(tensor) / sizeof(float));
    check(TfLiteTensorCopyToBuffer(tensor, output.data(), TfLiteTensorByteSize(tensor)) == kTfLiteOk, "reading an output");
  }
  return outputs;
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  check(a.size() == b.size(), "comparing");
  double largest = 0;
  for (size_t k = 0; k < a.size(); ++k) {
    const double difference = std::abs(static_cast<double>(a[k]) - b[k]);
    check(!std::isnan(difference), "comparing");
    largest = std::max(largest, difference);
  }
  return largest;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s LIBRARY MODEL [key=value]...\n", argv[0]);
    return 2;
  }
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const std::string& word : std::vector<std::string>(argv + 3, argv + argc)) {
    const size_t equals = word.find('=');
    check(equals != std::string::npos, "reading option " + word);
    pairs.emplace_back(word.substr(0, equals), word.substr(equals + 1));
  }
  const Model model(TfLiteModelCreateFromFile(argv[2]), TfLiteModelDelete);
  check(model != nullptr, std::string("opening ") + argv[2]);
  const Delegate delegate = load_delegate(argv[1], pairs);
  const Interpreter gpu = make_interpreter(model.get(), delegate.get());
  const Interpreter cpu = make_interpreter(model.get(), nullptr);
  const auto found = run(gpu.get()), expected = run(cpu.get());
  for (size_t i = 0; i < found.size(); ++i) {
    std::printf("output %zu: %zu values, largest difference from the CPU %.2g\n", i, found[i].size(),
                largest_difference(found[i], expected.at(i)));
  }
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
