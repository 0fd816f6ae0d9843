/* See tflm_double.h; the methods are written here by tests/tflm_double.py. */
#ifndef DOUBLE_MUTABLE_OP_RESOLVER_H
#define DOUBLE_MUTABLE_OP_RESOLVER_H

#include "tflm_double.h"

namespace tflite
{

template <unsigned int N> class MicroMutableOpResolver : public MicroOpResolver
{
  public:
    const DoubleRegistration *FindOp(BuiltinOperator op) const override
    {
        for (unsigned int i = 0; i < count_; i++) {
            if (registrations_[i].builtin_code == op) {
                return &registrations_[i];
            }
        }
        return nullptr;
    }

    const DoubleRegistration *FindOp(const char *) const override
    {
        return nullptr;
    }

    /* METHODS */

  private:
    void operator delete(void *)
    {
    }

    TfLiteStatus add(int32_t op)
    {
        if (count_ == N) {
            return kTfLiteError;
        }
        DoubleRegistration &added = registrations_[count_++];
        added.invoke = double_invoke;
        added.prepare = double_prepare;
        added.builtin_code = op;
        return kTfLiteOk;
    }

    DoubleRegistration registrations_[N] = {};
    unsigned int count_ = 0;
};

} // namespace tflite

#endif
