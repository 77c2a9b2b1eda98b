/* needs: fixed_point clamp */
typedef struct {
    int32_t outer, reduced, inner; /* the input's sizes: before, along and behind the axes that are averaged */
    int32_t multiplier, shift; /* one over `reduced` is in them */
    int32_t input_offset; /* of the whole sum */
    int32_t output_offset;
} mean_int8_params;

static void mean_int8(const mean_int8_params *p, const int8_t *input, int8_t *output)
{
    for (int32_t outer = 0; outer < p->outer; ++outer, input += p->reduced * p->inner) {
        for (int32_t inner = 0; inner < p->inner; ++inner) {
            int32_t sum = p->input_offset;
            for (int32_t k = 0; k < p->reduced; ++k) {
                sum += input[k * p->inner + inner];
            }
            sum = rescale(sum, p->multiplier, p->shift) + p->output_offset;
            *output++ = (int8_t)clamp(sum, INT8_MIN, INT8_MAX);
        }
    }
}
