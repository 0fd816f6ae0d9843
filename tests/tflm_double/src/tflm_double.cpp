#include "tflm_double.h"

#include <cstring>

#include "double_plan.h"

extern "C" {
void double_reset(uint8_t *arena);
void double_step(uint8_t *arena, int32_t step);
}

static uint8_t *base; /* of the generated code's arena */
static const DoubleRegistration *registrations[DOUBLE_OPERATORS];
static TfLiteIntArray outputs[DOUBLE_OPERATORS];
static TfLiteNode nodes[DOUBLE_OPERATORS];
static TfLiteEvalTensor looked_at;
static TfLiteTensor ends[2];

static TfLiteEvalTensor *eval_tensor(const TfLiteContext *, int index)
{
    looked_at.data.data = base + double_offsets[index];
    return &looked_at;
}

static TfLiteContext context = {eval_tensor};

TfLiteStatus double_prepare(TfLiteContext *, TfLiteNode *)
{
    return DOUBLE_REFUSES ? kTfLiteError : kTfLiteOk;
}

TfLiteStatus double_invoke(TfLiteContext *, TfLiteNode *node)
{
    const int32_t step = *static_cast<const int32_t *>(node->user_data);
    if (step >= 0) {
        double_step(base, step);
    }
    return kTfLiteOk;
}

namespace tflite
{

MicroInterpreter::MicroInterpreter(const Model *model, const MicroOpResolver &resolver,
                                   uint8_t *arena, size_t bytes, MicroResourceVariables *,
                                   MicroProfilerInterface *
#ifdef DOUBLE_UPSTREAM
                                   ,
                                   bool
#endif
                                   )
    : model_(model), resolver_(resolver), arena_(arena), bytes_(bytes)
{
}

size_t MicroInterpreter::arena_used_bytes() const
{
    return DOUBLE_ARENA_BYTES + 16;
}

TfLiteStatus MicroInterpreter::AllocateTensors()
{
    if (std::memcmp(reinterpret_cast<const char *>(model_) + 4, "TFL3", 4) != 0) {
        return kTfLiteError;
    }
    for (int i = 0; i < DOUBLE_OPERATORS; i++) {
        registrations[i] = resolver_.FindOp(static_cast<BuiltinOperator>(double_operators[i].code));
        if (registrations[i] == nullptr) {
            return kTfLiteError;
        }
        outputs[i] = {double_operators[i].outputs, {}};
        for (int k = 0; k < outputs[i].size; k++) {
            outputs[i].data[k] = double_operators[i].first + k;
        }
        nodes[i] = {nullptr, &outputs[i], const_cast<int32_t *>(&double_operators[i].step)};
    }
    if (arena_used_bytes() > bytes_) {
        return kTfLiteError;
    }
    for (int i = 0; i < DOUBLE_OPERATORS; i++) {
        if (registrations[i]->prepare(&context, &nodes[i]) != kTfLiteOk) {
            return kTfLiteError;
        }
    }
    base = arena_ + (bytes_ - DOUBLE_ARENA_BYTES) / 16 * 16;
    double_reset(base);
    return kTfLiteOk;
}

TfLiteStatus MicroInterpreter::Invoke()
{
    for (int i = 0; i < DOUBLE_OPERATORS; i++) {
        if (registrations[i]->invoke(&context, &nodes[i]) != kTfLiteOk) {
            return kTfLiteError;
        }
    }
    return kTfLiteOk;
}

TfLiteTensor *MicroInterpreter::input(size_t index)
{
    ends[0].data.data = base + double_inputs[index];
    return &ends[0];
}

TfLiteTensor *MicroInterpreter::output(size_t index)
{
    ends[1].data.data = base + double_outputs[index];
    return &ends[1];
}

} // namespace tflite
