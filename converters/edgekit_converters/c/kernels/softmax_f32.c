typedef struct {
    int32_t rows, depth;
    float beta;
} softmax_f32_params;

static void softmax_f32(const softmax_f32_params *p, const float *input, float *output)
{
    for (int32_t row = 0; row < p->rows; ++row, input += p->depth, output += p->depth) {
        float most = input[0], sum = 0.0f;
        for (int32_t k = 1; k < p->depth; ++k) {
            most = fmaxf(most, input[k]);
        }
        for (int32_t k = 0; k < p->depth; ++k) {
            output[k] = expf((input[k] - most) * p->beta);
            sum += output[k];
        }
        for (int32_t k = 0; k < p->depth; ++k) {
            output[k] /= sum;
        }
    }
}
