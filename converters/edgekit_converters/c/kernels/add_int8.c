/* needs: fixed_point strided clamp */
typedef struct {
    int32_t sizes[4], a_steps[4], b_steps[4]; /* a step of 0 stretches an input */
    int32_t a_multiplier, a_shift, b_multiplier, b_shift, sign, multiplier, shift;
    int32_t a_offset, b_offset, output_offset, low, high;
} add_int8_params;

static void add_int8(const add_int8_params *p, const int8_t *a, const int8_t *b, int8_t *output)
{
    for (int32_t i = 0; i < p->sizes[0]; ++i) {
        for (int32_t j = 0; j < p->sizes[1]; ++j) {
            for (int32_t k = 0; k < p->sizes[2]; ++k) {
                const int8_t *as = a + STRIDED(p->a_steps, i, j, k), *bs = b + STRIDED(p->b_steps, i, j, k);
                for (int32_t m = 0; m < p->sizes[3]; ++m, as += p->a_steps[3], bs += p->b_steps[3]) {
                    const int32_t left = rescale((*as + p->a_offset) * (1 << 20), p->a_multiplier, p->a_shift);
                    const int32_t right = rescale((*bs + p->b_offset) * (1 << 20), p->b_multiplier, p->b_shift);
                    const int32_t sum = rescale(left + p->sign * right, p->multiplier, p->shift);
                    *output++ = (int8_t)clamp(sum + p->output_offset, p->low, p->high);
                }
            }
        }
    }
}
