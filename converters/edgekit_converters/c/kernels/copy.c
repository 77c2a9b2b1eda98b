typedef struct {
    int32_t sizes[6];
    int32_t from_steps[6], to_steps[6], from, to; /* bytes */
    int32_t bytes; /* how many lie side by side on both sides */
} copy_params;

static void copy(const copy_params *p, const void *input, void *output)
{
    int32_t at[6] = {0}, from = p->from, to = p->to;
    for (int32_t axis = 5; axis >= 0;) {
        memcpy((uint8_t *)output + to, (const uint8_t *)input + from, (size_t)p->bytes);
        for (axis = 5; axis >= 0; --axis) { /* on to the next place, as a counter counts */
            from += p->from_steps[axis];
            to += p->to_steps[axis];
            if (++at[axis] < p->sizes[axis]) {
                break;
            }
            from -= p->from_steps[axis] * p->sizes[axis];
            to -= p->to_steps[axis] * p->sizes[axis];
            at[axis] = 0;
        }
    }
}
