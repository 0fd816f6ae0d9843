/* The model in TFLite Micro's interpreter, behind the interface of generated code (model.h).
 *
 * Every operator's invoke is wrapped: it counts the operators of the first subgraph as they come,
 * and runs those that are asked for. So one Invoke() of the interpreter is the whole model or one
 * step, and where a step's outputs lie is told by the node that ran. Only what TFLite Micro's own
 * repository and the library of PlatformIO's registry have in common is used.
 */
#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>

#include "model_resolver.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"

extern "C" {
#include "model.h"
}
#include "model_data.h"

static_assert(MODEL_ARENA_BYTES >= MODEL_GOLDEN_INPUT_BYTES + MODEL_GOLDEN_OUTPUT_BYTES,
              "the arena must hold the inputs and the outputs at least");

extern "C" {
const uint8_t model_sha256[32] = MODEL_SHA256_BYTES;
/* Where they lie is known when the interpreter has planned its arena. */
model_tensor_t model_inputs[MODEL_INPUT_COUNT] = MODEL_INPUT_SIZES;
model_tensor_t model_outputs[MODEL_OUTPUT_COUNT] = MODEL_OUTPUT_SIZES;
}

namespace
{

using Registration = std::remove_const_t<std::remove_pointer_t<
    decltype(std::declval<const tflite::MicroOpResolver &>().FindOp(tflite::BuiltinOperator_ADD))>>;

constexpr int32_t kAll = -1;

/* The interpreter's setting up, and one Invoke() of it. */
struct {
    int32_t wanted; /* the operator that runs; kAll: each */
    int32_t next;   /* the number of the next operator of the first subgraph */
    int32_t nested; /* inside an operator that invokes another subgraph */
    bool refused;   /* the last operator that was prepared did not succeed */
    bool missing;   /* the resolver does not have an operator */
} run;

model_tensor_t written[MODEL_MAX_OUTPUTS]; /* by the last step that ran */
uint32_t written_count;

uint8_t *arena_start;
const char *problem = "TFLite Micro was not started";

struct Kind {
    Registration own;      /* as the library made it */
    Registration counting; /* the same around `own` */
};
Kind kinds[MODEL_OPERATOR_KINDS];
int32_t kind_count;

uint32_t offset_of(const void *data)
{
    return static_cast<uint32_t>(static_cast<const uint8_t *>(data) - arena_start);
}

void note_outputs(TfLiteContext *context, const TfLiteNode *node)
{
    written_count = 0;
    for (int i = 0; i < node->outputs->size && i < MODEL_MAX_OUTPUTS; i++) {
        const TfLiteEvalTensor *tensor = context->GetEvalTensor(context, node->outputs->data[i]);
        written[written_count++].offset = offset_of(tensor->data.data);
    }
}

TfLiteStatus invoke_one(const Registration &own, TfLiteContext *context, TfLiteNode *node)
{
    if (run.nested > 0) {
        return own.invoke(context, node);
    }
    const int32_t step = run.next++;
    if (run.wanted != kAll && run.wanted != step) {
        return kTfLiteOk;
    }
    run.nested++;
    const TfLiteStatus status = own.invoke(context, node);
    run.nested--;
    note_outputs(context, node);
    return status;
}

TfLiteStatus prepare_one(const Registration &own, TfLiteContext *context, TfLiteNode *node)
{
    const TfLiteStatus status = own.prepare == nullptr ? kTfLiteOk : own.prepare(context, node);
    run.refused = status != kTfLiteOk;
    return status;
}

/* A function of its own for each kind of operator: a node does not tell its registration. */
template <size_t I> TfLiteStatus invoke_kind(TfLiteContext *context, TfLiteNode *node)
{
    return invoke_one(kinds[I].own, context, node);
}

template <size_t I> TfLiteStatus prepare_kind(TfLiteContext *context, TfLiteNode *node)
{
    return prepare_one(kinds[I].own, context, node);
}

using Call = TfLiteStatus (*)(TfLiteContext *, TfLiteNode *);

template <size_t... I> void wrap(Kind *kind, size_t number, std::index_sequence<I...>)
{
    static constexpr Call invokes[] = {invoke_kind<I>...};
    static constexpr Call prepares[] = {prepare_kind<I>...};
    kind->counting.invoke = invokes[number];
    kind->counting.prepare = prepares[number];
}

class CountingResolver : public ModelResolver
{
  public:
    using ModelResolver::FindOp;

    const Registration *FindOp(tflite::BuiltinOperator op) const override
    {
        for (int32_t i = 0; i < kind_count; i++) {
            if (kinds[i].own.builtin_code == op) {
                return &kinds[i].counting;
            }
        }
        const Registration *const found = ModelResolver::FindOp(op);
        if (found == nullptr || kind_count == MODEL_OPERATOR_KINDS) {
            run.missing = true;
            return nullptr;
        }
        Kind *const kind = &kinds[kind_count];
        kind->own = *found;
        kind->counting = *found;
        wrap(kind, static_cast<size_t>(kind_count),
             std::make_index_sequence<MODEL_OPERATOR_KINDS>());
        kind_count++;
        return &kind->counting;
    }

    /* The base hides its own; no object here is ever deleted. */
    void operator delete(void *)
    {
    }
};

alignas(CountingResolver) uint8_t resolver_place[sizeof(CountingResolver)];
alignas(tflite::MicroInterpreter) uint8_t interpreter_place[sizeof(tflite::MicroInterpreter)];
CountingResolver *resolver;
tflite::MicroInterpreter *interpreter;

tflite::MicroInterpreter *new_interpreter(uint8_t *arena)
{
    const tflite::Model *const model = tflite::GetModel(g_model);
#if MODEL_RESOURCE_VARIABLES
    tflite::MicroAllocator *const allocator =
        tflite::MicroAllocator::Create(arena, MODEL_ARENA_BYTES);
    return new (interpreter_place) tflite::MicroInterpreter(
        model, *resolver, allocator,
        tflite::MicroResourceVariables::Create(allocator, MODEL_RESOURCE_VARIABLES));
#else
    return new (interpreter_place)
        tflite::MicroInterpreter(model, *resolver, arena, MODEL_ARENA_BYTES);
#endif
}

/* Why AllocateTensors() failed, from how far it came. */
const char *reason()
{
    if (run.missing) {
        return "TFLite Micro: the resolver lacks an operator of the model";
    }
    if (run.refused) {
        return "TFLite Micro: an operator refused to prepare: a case that the library lacks, or the"
               " arena is too small";
    }
    return "TFLite Micro: the arena is too small";
}

const char *start(uint8_t *arena)
{
    if (resolver == nullptr) {
        resolver = new (resolver_place) CountingResolver;
        if (add_operators(*resolver) != kTfLiteOk) {
            return "TFLite Micro: the resolver does not take the model's operators";
        }
    }
    if (interpreter != nullptr) {
        interpreter->~MicroInterpreter();
    }
    run = {};
    arena_start = arena;
    interpreter = new_interpreter(arena);
    if (interpreter->AllocateTensors() != kTfLiteOk) {
        return reason();
    }
    for (size_t i = 0; i < MODEL_INPUT_COUNT; i++) {
        model_inputs[i].offset = offset_of(interpreter->input(i)->data.data);
    }
    for (size_t i = 0; i < MODEL_OUTPUT_COUNT; i++) {
        model_outputs[i].offset = offset_of(interpreter->output(i)->data.data);
    }
    return nullptr;
}

void invoke(int32_t wanted)
{
    run.wanted = wanted;
    run.next = 0;
    if (problem == nullptr && interpreter->Invoke() != kTfLiteOk) {
        problem = "TFLite Micro: an operator failed when it ran";
    }
}

} // namespace

extern "C" {

/* A model without state is as it was; state is forgotten by starting anew, which also runs again
 * what the model runs once. */
void model_reset(uint8_t *arena)
{
    if (problem != nullptr || MODEL_HAS_STATE) {
        problem = start(arena);
    }
}

void model_step(uint8_t *, int32_t step)
{
    invoke(step);
}

void model_invoke(uint8_t *)
{
    invoke(kAll);
}

const char *model_problem(void)
{
    return problem;
}

uint32_t model_arena_used(void)
{
    return interpreter == nullptr ? 0 : static_cast<uint32_t>(interpreter->arena_used_bytes());
}

uint32_t model_written_at(uint32_t output)
{
    return output < written_count ? written[output].offset : UINT32_MAX;
}
}
