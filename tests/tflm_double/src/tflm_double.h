/* A double of what firmware/tflm uses of TFLite Micro, with the portable generated code behind it.
 *
 * The file's operators run through their registrations, one after the other, as the interpreter
 * runs them; each does the step of generated code that it stands for (double_plan.h, of the test).
 * The tensors lie at the arena's end, so that whoever takes offsets of generated code reads paint.
 * DOUBLE_UPSTREAM: names of TFLite Micro's own repository, else those of the registry's library.
 */
#ifndef TFLM_DOUBLE_H
#define TFLM_DOUBLE_H

#include <cstddef>
#include <cstdint>

typedef enum { kTfLiteOk = 0, kTfLiteError = 1 } TfLiteStatus;

struct TfLiteIntArray {
    int size;
    int data[4];
};

union TfLitePtrUnion {
    int8_t *int8;
    void *data;
};

struct TfLiteEvalTensor {
    TfLitePtrUnion data;
};

struct TfLiteTensor {
    TfLitePtrUnion data;
    size_t bytes;
};

struct TfLiteNode {
    TfLiteIntArray *inputs;
    TfLiteIntArray *outputs;
    void *user_data;
};

struct TfLiteContext {
    TfLiteEvalTensor *(*GetEvalTensor)(const TfLiteContext *context, int index);
};

#ifdef DOUBLE_UPSTREAM
#define DOUBLE_REGISTRATION TFLMRegistration
#else
#define DOUBLE_REGISTRATION TfLiteRegistration
#endif

struct DOUBLE_REGISTRATION {
    TfLiteStatus (*prepare)(TfLiteContext *context, TfLiteNode *node);
    TfLiteStatus (*invoke)(TfLiteContext *context, TfLiteNode *node);
    int32_t builtin_code;
};
using DoubleRegistration = DOUBLE_REGISTRATION;

TfLiteStatus double_prepare(TfLiteContext *context, TfLiteNode *node);
TfLiteStatus double_invoke(TfLiteContext *context, TfLiteNode *node);

namespace tflite
{

enum BuiltinOperator : int32_t { BuiltinOperator_ADD = 0 };

struct Model {
};
class MicroResourceVariables;
class MicroProfilerInterface;

inline const Model *GetModel(const void *data)
{
    return static_cast<const Model *>(data);
}

class MicroOpResolver
{
  public:
    virtual const DoubleRegistration *FindOp(BuiltinOperator op) const = 0;
    virtual const DoubleRegistration *FindOp(const char *op) const = 0;
    virtual ~MicroOpResolver()
    {
    }
};

class MicroInterpreter
{
  public:
    MicroInterpreter(const Model *model, const MicroOpResolver &resolver, uint8_t *arena,
                     size_t bytes, MicroResourceVariables *variables = nullptr,
                     MicroProfilerInterface *profiler = nullptr
#ifdef DOUBLE_UPSTREAM
                     ,
                     bool preserve_all_tensors = false
#endif
    );
    ~MicroInterpreter()
    {
    }
    TfLiteStatus AllocateTensors();
    TfLiteStatus Invoke();
    TfLiteTensor *input(size_t index);
    TfLiteTensor *output(size_t index);
    size_t arena_used_bytes() const;

  private:
    const Model *model_;
    const MicroOpResolver &resolver_;
    uint8_t *arena_;
    size_t bytes_;
};

} // namespace tflite

#endif
