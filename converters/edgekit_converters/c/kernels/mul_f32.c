/* needs: strided */
typedef struct {
    int32_t sizes[4], a_steps[4], b_steps[4]; /* a step of 0 stretches an input */
    float low, high;
} mul_f32_params;

static void mul_f32(const mul_f32_params *p, const float *a, const float *b, float *output)
{
    for (int32_t i = 0; i < p->sizes[0]; ++i) {
        for (int32_t j = 0; j < p->sizes[1]; ++j) {
            for (int32_t k = 0; k < p->sizes[2]; ++k) {
                const float *as = a + STRIDED(p->a_steps, i, j, k), *bs = b + STRIDED(p->b_steps, i, j, k);
                for (int32_t m = 0; m < p->sizes[3]; ++m, as += p->a_steps[3], bs += p->b_steps[3]) {
                    *output++ = fminf(fmaxf(*as * *bs, p->low), p->high);
                }
            }
        }
    }
}
