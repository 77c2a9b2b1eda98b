/* needs: window clamp */
typedef struct {
    window window;
    int32_t low, high;
} average_pool_int8_params;

static void average_pool_int8(const average_pool_int8_params *p, const int8_t *input, int8_t *output)
{
    const window *w = &p->window;
    for (int32_t batch = 0; batch < w->batches; ++batch) {
        for (int32_t y = 0; y < w->out_height; ++y) {
            const span ys = rows(w, y);
            for (int32_t x = 0; x < w->out_width; ++x) {
                const span xs = columns(w, x);
                const int32_t count = (ys.last - ys.first) * (xs.last - xs.first);
                for (int32_t channel = 0; channel < w->out_channels; ++channel) {
                    int32_t sum = 0;
                    for (int32_t ky = ys.first; ky < ys.last; ++ky) {
                        for (int32_t kx = xs.first; kx < xs.last; ++kx) {
                            sum += input[pixel(w, batch, ys.origin + ky, xs.origin + kx) + (size_t)channel];
                        }
                    }
                    sum = (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
                    *output++ = (int8_t)clamp(sum, p->low, p->high);
                }
            }
        }
    }
}
