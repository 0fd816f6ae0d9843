/* Behind the arrays of tests/test_library.py: samples and what each window has to give. */
#define CASES_OF(name) (sizeof(name##_expected) / sizeof(name##_expected[0]) / 5)

static tp_raw_t first, second;
static tp_logmel_t third;

#define WINDOW_OF(name, NAME, m, case_)                                                            \
    do {                                                                                           \
        const int16_t *const from =                                                                \
            &name##_samples[(case_)*TP_##NAME##_WINDOW * TP_##NAME##_CHANNELS];                    \
        tp_##name##_reset(m);                                                                      \
        tp_##name##_push(m, from, TP_##NAME##_WINDOW);                                             \
    } while (0)

#define ANSWER_OF(name, NAME, m, case_)                                                            \
    do {                                                                                           \
        int same = tp_##name##_invoke(m) == TP_##NAME##_OK;                                        \
        for (size_t k = 0; same && k < 5; k++) {                                                   \
            same = tp_##name##_scores(m)[k] == name##_expected[(case_)*5 + k];                     \
        }                                                                                          \
        equal += same;                                                                             \
    } while (0)

int main(void)
{
    int equal = 0;
    tp_raw_init(&first);
    tp_raw_init(&second);
    tp_logmel_init(&third);
    const size_t cases = CASES_OF(raw);
    for (size_t i = 0; i < cases; i++) {
        const size_t other = cases - 1 - i;
        WINDOW_OF(raw, RAW, &first, i);
        WINDOW_OF(logmel, LOGMEL, &third, i);
        WINDOW_OF(raw, RAW, &second, other);
        ANSWER_OF(raw, RAW, &first, i);
        ANSWER_OF(logmel, LOGMEL, &third, i);
        ANSWER_OF(raw, RAW, &second, other);
    }
    printf("%d equal\n", equal);
    return 0;
}
