/* needs: dot rescale_once clamp */
typedef struct {
    int32_t rows, inputs, outputs;
    int32_t weight_offset; /* 0 but for weights that were quantized with a zero point */
    int32_t input_offset, output_offset, low, high;
} fully_connected_int8_params;

static void fully_connected_int8(const fully_connected_int8_params *p, const int8_t *input, const int8_t *weights,
    const int32_t *bias, const int32_t *multiplier, const int8_t *shift, int8_t *output)
{
    for (int32_t row = 0; row < p->rows; ++row, input += p->inputs) {
        int32_t extra = 0;
        if (p->weight_offset) {
            for (int32_t k = 0; k < p->inputs; ++k) {
                extra += input[k] + p->input_offset;
            }
            extra *= p->weight_offset;
        }
        for (int32_t out = 0; out < p->outputs; out += 2) {
            const int32_t count = out + 1 < p->outputs ? 2 : 1;
            const int8_t *w = weights + out * p->inputs;
            int32_t sums[2] = {extra, extra};
            for (int32_t c = 0; bias && c < count; ++c) {
                sums[c] += bias[out + c];
            }
            if (count == 2) {
                dot_two(w, w + p->inputs, input, p->inputs, p->input_offset, sums);
            } else {
                sums[0] = dot(w, input, p->inputs, p->input_offset, sums[0]);
            }
            for (int32_t c = out; c < out + count; ++c) {
                const int32_t sum = rescale_once(sums[c - out], multiplier[c], shift[c]) + p->output_offset;
                *output++ = (int8_t)clamp(sum, p->low, p->high);
            }
        }
    }
}
