typedef struct {
    int32_t rows, inputs, outputs;
    float low, high;
} fully_connected_f32_params;

static void fully_connected_f32(const fully_connected_f32_params *p, const float *input, const float *weights,
    const float *bias, float *output)
{
    for (int32_t row = 0; row < p->rows; ++row, input += p->inputs) {
        for (int32_t out = 0; out < p->outputs; ++out) {
            const float *w = weights + (size_t)out * (size_t)p->inputs;
            float sum = 0.0f;
            for (int32_t k = 0; k < p->inputs; ++k) {
                sum += w[k] * input[k];
            }
            sum += bias ? bias[out] : 0.0f;
            *output++ = fminf(fmaxf(sum, p->low), p->high);
        }
    }
}
