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
        for (int32_t out = 0; out < p->outputs; ++out) {
            const int8_t *w = weights + (size_t)out * (size_t)p->inputs;
            int32_t sum = dot(w, input, p->inputs, p->input_offset, (bias ? bias[out] : 0) + extra);
            sum = rescale_once(sum, multiplier[out], shift[out]) + p->output_offset;
            *output++ = (int8_t)clamp(sum, p->low, p->high);
        }
    }
}
