typedef struct {
    int32_t count;
} tanh_f32_params;

static void tanh_f32(const tanh_f32_params *p, const float *input, float *output)
{
    for (int32_t i = 0; i < p->count; ++i) {
        output[i] = tanhf(input[i]);
    }
}
