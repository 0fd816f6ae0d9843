/* Everything that a program can do wrong with a library, and what it is told. Prints the first line
 * that does not hold. LIB and NAME come from the command line, as does the header. */
#include LIB_HEADER

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define LIB(word) JOIN(LIB_NAME, word)
#define CONSTANT(word) JOIN(LIB_CAPITALS, word)
#define HOLDS(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("line %d: %s\n", __LINE__, #condition);                                         \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#define OK CONSTANT(_OK)
#define CHANNELS CONSTANT(_CHANNELS)
#define WINDOW CONSTANT(_WINDOW)

static int16_t samples[WINDOW * CHANNELS];
static uint8_t input[1 << 16];

static void uninitialised(void)
{
    static LIB(_t) m;
    HOLDS(LIB(_invoke)(&m) == CONSTANT(_NOT_INITIALISED));
    HOLDS(LIB(_reset)(&m) == CONSTANT(_NOT_INITIALISED));
    HOLDS(LIB(_write)(&m, 0, input, LIB(_input_bytes)(0)) == CONSTANT(_NOT_INITIALISED));
    HOLDS(LIB(_push)(&m, samples, WINDOW) == 0);
    HOLDS(!LIB(_ready)(&m) && LIB(_scores)(&m) == NULL && LIB(_best)(&m) == -1);
    HOLDS(LIB(_selftest)(&m) == -1);
    LIB(_t) *const none = NULL;
    HOLDS(LIB(_invoke)(none) == CONSTANT(_NOT_INITIALISED));
    HOLDS(LIB(_push)(none, samples, 1) == 0 && LIB(_output)(none, 0) == NULL);
    HOLDS(LIB(_selftest)(none) == -1);
}

static void pairs_that_do_not_fit(void)
{
    static LIB(_t) m;
    HOLDS(LIB(_init_sized)(NULL, sizeof(m), CONSTANT(_NUMBER)) == CONSTANT(_BAD_ARGUMENT));
    HOLDS(LIB(_init_sized)(&m, sizeof(m) - 1, CONSTANT(_NUMBER)) == CONSTANT(_MISMATCH));
    HOLDS(LIB(_init_sized)(&m, sizeof(m), CONSTANT(_NUMBER) + 1u) == CONSTANT(_MISMATCH));
    HOLDS(LIB(_invoke)(&m) == CONSTANT(_NOT_INITIALISED));
    HOLDS(LIB(_init)(&m) == OK && LIB(_init)(&m) == OK);
}

static void inputs(LIB(_t) * m)
{
    const size_t bytes = LIB(_input_bytes)(0);
    HOLDS(LIB(_init)(m) == OK);
    HOLDS(LIB(_invoke)(m) == CONSTANT(_NO_INPUT) && LIB(_scores)(m) == NULL);
    HOLDS(LIB(_write)(m, 0, input, bytes - 1) == CONSTANT(_BAD_ARGUMENT));
    HOLDS(LIB(_write)(m, 0, input, bytes + 1) == CONSTANT(_BAD_ARGUMENT));
    HOLDS(LIB(_write)(m, 0, NULL, bytes) == CONSTANT(_BAD_ARGUMENT));
    HOLDS(LIB(_write)(m, -1, input, bytes) == CONSTANT(_BAD_ARGUMENT));
    HOLDS(LIB(_write)(m, CONSTANT(_INPUTS), input, bytes) == CONSTANT(_BAD_ARGUMENT));
    HOLDS(LIB(_input_bytes)(-1) == 0 && LIB(_output_bytes)(CONSTANT(_OUTPUTS)) == 0);
    HOLDS(LIB(_invoke)(m) == CONSTANT(_NO_INPUT));
    HOLDS(LIB(_write)(m, 0, input, bytes) == OK && LIB(_ready)(m));
    HOLDS(LIB(_scores)(m) == NULL);
    HOLDS(LIB(_invoke)(m) == OK && LIB(_scores)(m) != NULL && LIB(_best)(m) >= 0);
    HOLDS(LIB(_output)(m, -1) == NULL && LIB(_output)(m, CONSTANT(_OUTPUTS)) == NULL);
    HOLDS((uintptr_t)LIB(_output)(m, 0) % 16 == 0);
    HOLDS(LIB(_invoke)(m) == CONSTANT(_NO_INPUT) && LIB(_scores)(m) != NULL);
    HOLDS(LIB(_reset)(m) == OK && LIB(_scores)(m) == NULL);
    HOLDS(*LIB(_label)(-1) == '\0' && *LIB(_label)(1 << 30) == '\0');
}

static void samples_that_wait(LIB(_t) * m)
{
    static float values[CHANNELS];
    HOLDS(LIB(_init)(m) == OK);
    HOLDS(LIB(_push)(m, NULL, 1) == 0 && LIB(_push)(m, samples, 0) == 0);
    HOLDS(LIB(_push_float)(m, NULL, 1) == 0);
    HOLDS(LIB(_push)(m, samples, WINDOW - 1) == WINDOW - 1 && !LIB(_ready)(m));
    HOLDS(LIB(_push)(m, samples, WINDOW) == 1 && LIB(_ready)(m));
    HOLDS(LIB(_push)(m, samples, 1) == 0 && LIB(_push_float)(m, values, 1) == 0);
    HOLDS(LIB(_invoke)(m) == OK && LIB(_scores)(m) != NULL);
    HOLDS(LIB(_push)(m, samples, 1) == 1 && LIB(_scores)(m) != NULL);
}

/* Whatever the address, and never after a copy to another one. */
static void places(void)
{
    static unsigned char room[sizeof(LIB(_t)) + 32], other[sizeof(LIB(_t)) + 32];
    for (size_t at = 0; at < 17; at++) {
        LIB(_t) *const m = (LIB(_t) *)(void *)(room + at);
        memset(room, 0xAA, sizeof(room));
        inputs(m);
        samples_that_wait(m);
        HOLDS(LIB(_selftest)(m) == 0);
        for (size_t i = 0; i < sizeof(room); i++) {
            HOLDS((i >= at && i < at + sizeof(LIB(_t))) || room[i] == 0xAA);
        }
        memcpy(other, m, sizeof(LIB(_t)));
        HOLDS(LIB(_invoke)((LIB(_t) *)(void *)other) == CONSTANT(_NOT_INITIALISED));
    }
}

static LIB(_t) shared;

/* Many calls of one object, until one has met another: each is refused or whole. */
static void *fight(void *counts)
{
    static unsigned refused; /* of both threads */
    const time_t end = time(NULL) + 60;
    unsigned *const seen = counts;
    for (int i = 0;
         i < 3000 || (__atomic_load_n(&refused, __ATOMIC_SEQ_CST) == 0 && time(NULL) < end); i++) {
        const LIB(_status_t) status =
            i % 2 ? LIB(_invoke)(&shared) : LIB(_write)(&shared, 0, input, LIB(_input_bytes)(0));
        HOLDS(status == OK || status == CONSTANT(_BUSY) || status == CONSTANT(_NO_INPUT));
        seen[status]++;
        if (status == CONSTANT(_BUSY)) {
            __atomic_fetch_add(&refused, 1, __ATOMIC_SEQ_CST);
        }
    }
    return NULL;
}

/* An object a thread: all answers are those of one thread alone. */
static void *alone(void *unused)
{
    static LIB(_t) pool[4];
    static int next;
    LIB(_t) *const m = &pool[__atomic_fetch_add(&next, 1, __ATOMIC_SEQ_CST)];
    (void)unused;
    HOLDS(LIB(_init)(m) == OK);
    for (int i = 0; i < 100; i++) {
        HOLDS(LIB(_selftest)(m) == 0);
    }
    return NULL;
}

static void threads(void)
{
    pthread_t running[4];
    unsigned seen[4][8] = {{0}};
    HOLDS(LIB(_init)(&shared) == OK);
    for (int i = 0; i < 4; i++) {
        HOLDS(pthread_create(&running[i], NULL, i < 2 ? fight : alone, seen[i]) == 0);
    }
    for (int i = 0; i < 4; i++) {
        HOLDS(pthread_join(running[i], NULL) == 0);
    }
    HOLDS(seen[0][OK] + seen[1][OK] > 0);
    HOLDS(seen[0][CONSTANT(_BUSY)] + seen[1][CONSTANT(_BUSY)] > 0);
    HOLDS(LIB(_reset)(&shared) == OK && LIB(_selftest)(&shared) == 0);
}

int main(void)
{
    uninitialised();
    pairs_that_do_not_fit();
    places();
    threads();
    puts(LIB(_kernels)());
    return 0;
}
