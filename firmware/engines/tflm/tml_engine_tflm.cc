#include "tml_engine_tflm.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "model.h"
#include "tensorflow/lite/micro/arena_allocator/single_arena_buffer_allocator.h"
#include "tensorflow/lite/micro/memory_planner/greedy_memory_planner.h"
#include "tensorflow/lite/micro/micro_allocator.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/schema/schema_generated.h"
#include "tml.h"
#include "tml_ops.h"

/* 1: an array of TML_TFLM_ARENA_BYTES in this image; 0: the application calls tml_tflm_use_arena. */
#ifndef TML_TFLM_STATIC_ARENA
#define TML_TFLM_STATIC_ARENA 0
#endif

namespace {

#if TML_TFLM_STATIC_ARENA
alignas(TML_TFLM_ALIGNMENT) uint8_t static_arena[TML_TFLM_ARENA_BYTES];
uint8_t *arena = static_arena;
size_t arena_size = sizeof static_arena;
#else
uint8_t *arena = nullptr;
size_t arena_size = 0;
#endif

/* What init prepares; no file is the linked one. */
struct {
    const uint8_t *file;
    size_t size;
    const tml_model *described;
} current = {nullptr, 0, &tml_the_model};

/* An arena whose persistent part never runs out while a model is prepared: TensorFlow Lite Micro's kernels write to
 * what they asked for without looking whether they got it. What the arena lacks is lent from the heap, the preparation
 * goes on to its end, and is then refused. */
class LendingAllocator final : public tflite::SingleArenaBufferAllocator {
  public:
    using SingleArenaBufferAllocator::SingleArenaBufferAllocator;

    ~LendingAllocator() override {
        while (lent_ != nullptr) {
            Loan *next = lent_->next;
            std::free(lent_);
            lent_ = next;
        }
    }

    uint8_t *AllocatePersistentBuffer(size_t size, size_t alignment) override {
        /* The arena's own arithmetic goes below its start for more than it holds, and then finds room there. */
        uint8_t *own = size + alignment <= GetAvailableMemory(1)
                           ? SingleArenaBufferAllocator::AllocatePersistentBuffer(size, alignment)
                           : nullptr;
        return own != nullptr ? own : lend(size, alignment);
    }

    size_t lent_bytes() const {
        return lent_bytes_;
    }

    TF_LITE_REMOVE_VIRTUAL_DELETE

  private:
    struct Loan {
        Loan *next;
    };

    uint8_t *lend(size_t size, size_t alignment) {
        auto *loan = static_cast<Loan *>(std::malloc(sizeof(Loan) + alignment + size));
        if (loan == nullptr) {
            return nullptr;
        }
        loan->next = lent_;
        lent_ = loan;
        lent_bytes_ += size;
        const uintptr_t at = reinterpret_cast<uintptr_t>(loan + 1);
        return reinterpret_cast<uint8_t *>((at + alignment - 1) / alignment * alignment);
    }

    Loan *lent_ = nullptr;
    size_t lent_bytes_ = 0;
};

/* Room for what is made anew with each init; TensorFlow Lite Micro's objects cannot be assigned. */
template <typename T> class Place {
  public:
    template <typename... Arguments> T *make(Arguments &&...arguments) {
        drop();
        object_ = new (room_) T(static_cast<Arguments &&>(arguments)...);
        return object_;
    }
    void drop() {
        if (object_ != nullptr) {
            object_->~T();
            object_ = nullptr;
        }
    }

  private:
    alignas(T) uint8_t room_[sizeof(T)];
    T *object_ = nullptr;
};

Place<LendingAllocator> allocator_place;
Place<tflite::GreedyMemoryPlanner> planner_place;
Place<tflite::MicroInterpreter> interpreter_place;
tflite::MicroInterpreter *interpreter = nullptr;
char error_text[160] = "";

__attribute__((format(printf, 1, 2))) int fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error_text, sizeof error_text, format, arguments);
    va_end(arguments);
    return TML_ERR_ENGINE;
}

bool aligned(const void *address) {
    return reinterpret_cast<uintptr_t>(address) % TML_TFLM_ALIGNMENT == 0;
}

TfLiteType type_of(tml_dtype dtype) {
    switch (dtype) {
    case TML_INT8:
        return kTfLiteInt8;
    case TML_UINT8:
        return kTfLiteUInt8;
    case TML_INT16:
        return kTfLiteInt16;
    case TML_FLOAT32:
        return kTfLiteFloat32;
    }
    return kTfLiteNoType;
}

/* A tensor must be what the host is told that it is: the session copies as many bytes as the description says. */
int check_tensor(const char *what, const TfLiteTensor *tensor, const tml_tensor &described) {
    if (tensor == nullptr || tensor->data.raw == nullptr) {
        return fail("the model's %s has no memory", what);
    }
    if (tensor->type != type_of(described.dtype) || tensor->bytes != tml_tensor_bytes(&described)) {
        return fail("the model's %s is %s of %u bytes, which is not what its description says", what,
                    TfLiteTypeGetName(tensor->type), static_cast<unsigned>(tensor->bytes));
    }
    return TML_OK;
}

/* Files from before there were 127 operators have the code in the old field, later ones there a placeholder. */
tflite::BuiltinOperator builtin_of(const tflite::OperatorCode &code) {
    return std::max(code.builtin_code(), static_cast<tflite::BuiltinOperator>(code.deprecated_builtin_code()));
}

const char *operator_name(const tflite::OperatorCode &code) {
    const tflite::BuiltinOperator builtin = builtin_of(code);
    if (builtin != tflite::BuiltinOperator_CUSTOM) {
        return tflite::EnumNameBuiltinOperator(builtin);
    }
    return code.custom_code() != nullptr ? code.custom_code()->c_str() : "(custom, without a name)";
}

bool known(const tflite::OperatorCode &code, const tflite::MicroOpResolver &resolver) {
    const tflite::BuiltinOperator builtin = builtin_of(code);
    return (builtin == tflite::BuiltinOperator_CUSTOM ? resolver.FindOp(operator_name(code))
                                                      : resolver.FindOp(builtin)) != nullptr;
}

/* Looks for every operator before the interpreter does, because that can say only on the console which one is missing.
 */
int check_operators(const tflite::Model &model, const tflite::MicroOpResolver &resolver) {
    for (const tflite::SubGraph *graph : *model.subgraphs()) {
        for (unsigned i = 0; graph->operators() != nullptr && i < graph->operators()->size(); i++) {
            const uint32_t index = graph->operators()->Get(i)->opcode_index();
            if (model.operator_codes() == nullptr || index >= model.operator_codes()->size()) {
                return fail("operator %u of the model has no name", i);
            }
            const tflite::OperatorCode &code = *model.operator_codes()->Get(index);
            if (!known(code, resolver)) {
                return fail("operator %u %s is not in this firmware: build it with this model", i, operator_name(code));
            }
        }
    }
    return TML_OK;
}

int check_model(const uint8_t *file, size_t size) {
    if (file == nullptr || !aligned(file)) {
        return fail("the model is not aligned to %d bytes", TML_TFLM_ALIGNMENT);
    }
    flatbuffers::Verifier verifier(file, size);
    if (!tflite::VerifyModelBuffer(verifier)) {
        return fail("%u bytes that are not a whole .tflite file", static_cast<unsigned>(size));
    }
    const tflite::Model &model = *tflite::GetModel(file);
    if (model.version() != TFLITE_SCHEMA_VERSION) {
        return fail("the model has schema version %u, this firmware reads %d", static_cast<unsigned>(model.version()),
                    TFLITE_SCHEMA_VERSION);
    }
    const auto *graphs = model.subgraphs();
    if (graphs == nullptr || graphs->size() == 0 || graphs->Get(0)->inputs() == nullptr ||
        graphs->Get(0)->outputs() == nullptr || graphs->Get(0)->inputs()->size() != 1 ||
        graphs->Get(0)->outputs()->size() != 1) {
        return fail("the model has not exactly one input and one output");
    }
    return TML_OK;
}

void drop_interpreter() {
    interpreter = nullptr;
    interpreter_place.drop();
    planner_place.drop();
    allocator_place.drop();
}

int prepare(const uint8_t *file, size_t size) {
    int status = check_model(file, size);
    if (status != TML_OK) {
        return status;
    }
    if (arena == nullptr || !aligned(arena)) {
        return fail("there is no arena, or it is not aligned to %d bytes", TML_TFLM_ALIGNMENT);
    }
    const tflite::MicroOpResolver *resolver = tml_ops();
    if (resolver == nullptr) {
        return fail("the operators of this firmware cannot be registered");
    }
    const tflite::Model *model = tflite::GetModel(file);
    status = check_operators(*model, *resolver);
    if (status != TML_OK) {
        return status;
    }
    LendingAllocator *memory = allocator_place.make(arena, arena_size);
    tflite::MicroAllocator *allocator = tflite::MicroAllocator::Create(memory, planner_place.make());
    interpreter = interpreter_place.make(model, *resolver, allocator);
    const TfLiteStatus prepared = interpreter->AllocateTensors();
    if (memory->lent_bytes() != 0) {
        return fail("an arena of %u bytes is too small for the model: more than %u are lacking",
                    static_cast<unsigned>(arena_size), static_cast<unsigned>(memory->lent_bytes()));
    }
    if (prepared != kTfLiteOk) {
        return fail("the model cannot be prepared in an arena of %u bytes: too small, or an operator refused its "
                    "tensors; the console has the reason",
                    static_cast<unsigned>(arena_size));
    }
    status = check_tensor("input", interpreter->input(0), current.described->input);
    return status != TML_OK ? status : check_tensor("output", interpreter->output(0), current.described->output);
}

int tflm_init(tml_engine *) {
    drop_interpreter();
    const int status = current.file != nullptr ? prepare(current.file, current.size)
                                               : prepare(g_model, static_cast<size_t>(g_model_len));
    if (status != TML_OK) {
        drop_interpreter();
    }
    return status;
}

void *tflm_input(tml_engine *) {
    return interpreter == nullptr ? nullptr : interpreter->input(0)->data.raw;
}

int tflm_invoke(tml_engine *) {
    if (interpreter == nullptr) {
        return TML_ERR_ENGINE; /* the reason of init stands */
    }
    return interpreter->Invoke() == kTfLiteOk ? TML_OK : fail("an operator failed; the console has the reason");
}

const void *tflm_output(tml_engine *) {
    return interpreter == nullptr ? nullptr : interpreter->output(0)->data.raw;
}

int tflm_load(tml_engine *, const tml_model *model, const void *file, size_t size) {
    drop_interpreter(); /* it points into the file before */
    current = {static_cast<const uint8_t *>(file), size, model};
    return TML_OK;
}

const char *tflm_why(const tml_engine *) {
    return error_text;
}

uint32_t tflm_arena_used(const tml_engine *) {
    return interpreter == nullptr ? 0 : static_cast<uint32_t>(interpreter->arena_used_bytes());
}

uint32_t tflm_arena_capacity(const tml_engine *) {
    return static_cast<uint32_t>(arena_size);
}

} // namespace

extern "C" {

void tml_tflm_use_arena(void *memory, size_t size) {
    arena = static_cast<uint8_t *>(memory);
    arena_size = size;
}

} // extern "C"

tml_engine tml_the_engine = {
    "tflm", tflm_init, tflm_input, tflm_invoke, tflm_output, tflm_arena_used, tflm_arena_capacity, tflm_load, tflm_why,
};
