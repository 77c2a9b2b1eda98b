/* needs: fixed_point strided clamp */
typedef struct {
    int32_t sizes[4], a_steps[4], b_steps[4]; /* a step of 0 stretches an input */
    int32_t multiplier, shift, a_offset, b_offset, output_offset, low, high;
} mul_int8_params;

static void mul_int8(const mul_int8_params *p, const int8_t *a, const int8_t *b, int8_t *output)
{
    for (int32_t i = 0; i < p->sizes[0]; ++i) {
        for (int32_t j = 0; j < p->sizes[1]; ++j) {
            for (int32_t k = 0; k < p->sizes[2]; ++k) {
                const int8_t *as = a + STRIDED(p->a_steps, i, j, k), *bs = b + STRIDED(p->b_steps, i, j, k);
                for (int32_t m = 0; m < p->sizes[3]; ++m, as += p->a_steps[3], bs += p->b_steps[3]) {
                    const int32_t product = (*as + p->a_offset) * (*bs + p->b_offset);
                    const int32_t scaled = rescale(product, p->multiplier, p->shift) + p->output_offset;
                    *output++ = (int8_t)clamp(scaled, p->low, p->high);
                }
            }
        }
    }
}
