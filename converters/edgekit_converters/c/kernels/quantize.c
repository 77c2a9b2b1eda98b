typedef struct {
    int32_t count;
    float scale;
    int32_t zero_point;
} quantize_params;

/* Ties away from zero; what is out of range, or no number, is clamped before it is made an integer. */
static void quantize(const quantize_params *p, const float *input, int8_t *output)
{
    for (int32_t i = 0; i < p->count; ++i) {
        const float value = roundf(input[i] / p->scale) + (float)p->zero_point;
        output[i] = (int8_t)(value >= 127.0f ? 127.0f : value > -128.0f ? value : -128.0f);
    }
}
