/* needs: window */
typedef struct {
    window window;
    float low, high;
} max_pool_f32_params;

static void max_pool_f32(const max_pool_f32_params *p, const float *input, float *output)
{
    const window *w = &p->window;
    for (int32_t batch = 0; batch < w->batches; ++batch) {
        for (int32_t y = 0; y < w->out_height; ++y) {
            const span ys = rows(w, y);
            for (int32_t x = 0; x < w->out_width; ++x) {
                const span xs = columns(w, x);
                for (int32_t channel = 0; channel < w->out_channels; ++channel) {
                    float most = p->low;
                    for (int32_t ky = ys.first; ky < ys.last; ++ky) {
                        for (int32_t kx = xs.first; kx < xs.last; ++kx) {
                            most = fmaxf(most,
                                input[pixel(w, batch, ys.origin + ky, xs.origin + kx) + (size_t)channel]);
                        }
                    }
                    *output++ = fminf(most, p->high);
                }
            }
        }
    }
}
