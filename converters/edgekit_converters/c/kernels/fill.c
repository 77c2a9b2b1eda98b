typedef struct {
    int32_t count, bytes; /* elements, and the bytes of one */
} fill_params;

static void fill(const fill_params *p, const uint8_t *element, void *output)
{
    uint8_t *to = output;
    for (int32_t i = 0; i < p->count; ++i, to += p->bytes) {
        memcpy(to, element, (size_t)p->bytes);
    }
}
