typedef struct {
    int32_t count;
    float low, high;
} clamp_f32_params;

static void clamp_f32(const clamp_f32_params *p, const float *input, float *output)
{
    for (int32_t i = 0; i < p->count; ++i) {
        output[i] = fminf(fmaxf(input[i], p->low), p->high);
    }
}
