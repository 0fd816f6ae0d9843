/* Behind the arrays of tests/test_library.py: what is decided behind each run, a line a rule. */
int main(void)
{
    static tp_m_t m;
    static const tp_m_rule_t users = {1, 0, 0}, wrong = {TP_M_RULE_MAX_INPUTS + 1, 0, 0};
    if (tp_m_decide(&m, NULL) != -1) {
        return 1;
    }
    for (int rule = 0; rule < 2; rule++) {
        const tp_m_rule_t *const chosen = rule == 0 ? NULL : &users;
        tp_m_init(&m);
        for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
            tp_m_write(&m, 0, inputs[order[i]], sizeof(inputs[0]));
            if (tp_m_decide(&m, chosen) != -1 || tp_m_invoke(&m) != TP_M_OK ||
                tp_m_decide(&m, &wrong) != -1) {
                return 1;
            }
            printf("%d ", tp_m_decide(&m, chosen));
            if (tp_m_decide(&m, chosen) != -1) {
                return 1; /* a result counts once */
            }
        }
        puts("");
    }
    return 0;
}
