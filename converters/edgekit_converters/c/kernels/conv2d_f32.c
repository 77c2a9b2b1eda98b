/* needs: window */
typedef struct {
    window window;
    int32_t depth; /* input channels that an output channel sees: fewer than there are in a grouped convolution */
    float low, high;
} conv2d_f32_params;

static void conv2d_f32(const conv2d_f32_params *p, const float *input, const float *weights, const float *bias,
    float *output)
{
    const window *w = &p->window;
    const int32_t depth = p->depth, group = w->out_channels / (w->in_channels / depth);
    for (int32_t batch = 0; batch < w->batches; ++batch) {
        for (int32_t y = 0; y < w->out_height; ++y) {
            const span ys = rows(w, y);
            for (int32_t x = 0; x < w->out_width; ++x) {
                const span xs = columns(w, x);
                for (int32_t channel = 0; channel < w->out_channels; ++channel) {
                    float sum = 0.0f;
                    for (int32_t ky = ys.first; ky < ys.last; ++ky) {
                        for (int32_t kx = xs.first; kx < xs.last; ++kx) {
                            const float *from = input + channel / group * depth
                                + pixel(w, batch, ys.origin + ky * w->dilation_y, xs.origin + kx * w->dilation_x);
                            const float *taps_at = weights
                                + (size_t)((channel * w->height + ky) * w->width + kx) * (size_t)depth;
                            for (int32_t k = 0; k < depth; ++k) {
                                sum += taps_at[k] * from[k];
                            }
                        }
                    }
                    sum += bias ? bias[channel] : 0.0f;
                    *output++ = fminf(fmaxf(sum, p->low), p->high);
                }
            }
        }
    }
}
