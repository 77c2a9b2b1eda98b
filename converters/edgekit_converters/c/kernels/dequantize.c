typedef struct {
    int32_t count;
    float scale;
    int32_t zero_point;
} dequantize_params;

/* From the end, so that the floats may lie over the bytes that they come from. */
static void dequantize(const dequantize_params *p, const int8_t *input, float *output)
{
    for (int32_t i = p->count - 1; i >= 0; --i) {
        output[i] = p->scale * (float)(input[i] - p->zero_point);
    }
}
