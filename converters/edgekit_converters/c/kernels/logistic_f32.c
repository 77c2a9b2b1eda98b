typedef struct {
    int32_t count;
} logistic_f32_params;

static void logistic_f32(const logistic_f32_params *p, const float *input, float *output)
{
    for (int32_t i = 0; i < p->count; ++i) {
        output[i] = 1.0f / (1.0f + expf(-input[i]));
    }
}
