typedef struct {
    int32_t count;
} table_params;

/* A function of one stored byte, computed before for all 256. */
static void table(const table_params *p, const void *input, const uint8_t *results, void *output)
{
    const uint8_t *from = input;
    uint8_t *to = output;
    for (int32_t i = 0; i < p->count; ++i) {
        to[i] = results[from[i]];
    }
}
