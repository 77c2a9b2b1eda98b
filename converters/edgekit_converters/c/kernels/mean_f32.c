typedef struct {
    int32_t outer, reduced, inner; /* the input's sizes: before, along and behind the axes that are averaged */
} mean_f32_params;

static void mean_f32(const mean_f32_params *p, const float *input, float *output)
{
    for (int32_t outer = 0; outer < p->outer; ++outer, input += p->reduced * p->inner) {
        for (int32_t inner = 0; inner < p->inner; ++inner) {
            float sum = 0.0f;
            for (int32_t k = 0; k < p->reduced; ++k) {
                sum += input[k * p->inner + inner];
            }
            *output++ = sum / (float)p->reduced;
        }
    }
}
