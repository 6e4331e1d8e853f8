/* Engine "espdl" in front of a double of ESP-DL: what it takes, what it refuses and with which words. */
#include <cstdio>
#include <cstring>

#include "dl_model_base.hpp"
#include "model.h"
#include "tml.h"

the_double doubled;
alignas(16) const unsigned char g_model[] = {'E', 'D', 'L', '2'};
const int g_model_len = sizeof g_model;
extern const tml_model tml_the_model = {
    "double",
    {0},
    {TML_INT8, 2, {1, 4}, 0.0078125F, 0},
    {TML_INT8, 2, {1, 4}, 0.0078125F, 0},
    {TML_PRE_NONE, nullptr, nullptr, 0, 0},
};

static int failures = 0;

static void check(bool good, const char *what) {
    if (!good) {
        std::printf("FAILED: %s (%s)\n", what, tml_the_engine.why(&tml_the_engine));
        failures++;
    }
}

static void refuses(the_double made, const char *words) {
    made.built = made.deleted = 0;
    doubled = made;
    check(tml_the_engine.init(&tml_the_engine) == TML_ERR_ENGINE, words);
    check(std::strstr(tml_the_engine.why(&tml_the_engine), words) != nullptr, words);
    check(tml_the_engine.invoke(&tml_the_engine) == TML_ERR_ENGINE, "a model that was refused does not run");
    check(tml_the_engine.input(&tml_the_engine) == nullptr, "nor has an input");
    check(doubled.built == doubled.deleted, "and is gone");
}

int main() {
    const the_double good = {nullptr, 0, 0, 1, dl::DATA_TYPE_INT8, -7, 4, true};
    tml_engine *e = &tml_the_engine;
    doubled = good;
    check(e->invoke(e) == TML_ERR_ENGINE, "nothing runs before init");
    check(e->init(e) == TML_OK && doubled.file == reinterpret_cast<const char *>(g_model), "the linked file is read");
    std::memcpy(e->input(e), "\1\2\3\375", 4);
    check(e->invoke(e) == TML_OK && std::memcmp(e->output(e), "\2\4\6\372", 4) == 0, "it runs");
    check(e->arena_used(e) == 128 && e->arena_capacity(e) == 1128, "the arena is what activations take");
    check(e->init(e) == TML_OK && doubled.built == 2 && doubled.deleted == 1, "init begins anew");
    check(std::strcmp(e->name, "espdl") == 0 && e->load == nullptr, "its name; no uploads");
    the_double bad = good;
    check(e->init(e) == TML_OK, "again");
    bad.inputs = 2;
    bad.built = 0;
    doubled = bad;
    check(e->init(e) == TML_ERR_ENGINE, "two inputs");
    check(std::strstr(e->why(e), "not exactly one input") != nullptr, "two inputs are named");
    bad = good;
    bad.inputs = 0;
    refuses(bad, "cannot build the model");
    bad = good;
    bad.memory = false;
    refuses(bad, "input has no memory: 1000 bytes are free, the largest block has 600");
    bad = good;
    bad.dtype = dl::DATA_TYPE_INT16;
    refuses(bad, "input is other of 8 bytes");
    bad = good;
    bad.elements = 5;
    refuses(bad, "input is int8 of 5 bytes");
    bad = good;
    bad.exponent = -6;
    refuses(bad, "input has exponent -6");
    std::printf("%d failures\n", failures);
    return failures != 0;
}
