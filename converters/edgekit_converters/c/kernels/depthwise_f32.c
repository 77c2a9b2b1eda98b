/* needs: window */
typedef struct {
    window window;
    int32_t multiplier; /* output channels of each input channel */
    float low, high;
} depthwise_f32_params;

static void depthwise_f32(const depthwise_f32_params *p, const float *input, const float *weights, const float *bias,
    float *output)
{
    const window *w = &p->window;
    for (int32_t batch = 0; batch < w->batches; ++batch) {
        for (int32_t y = 0; y < w->out_height; ++y) {
            const span ys = rows(w, y);
            for (int32_t x = 0; x < w->out_width; ++x) {
                const span xs = columns(w, x);
                for (int32_t channel = 0; channel < w->out_channels; ++channel) {
                    float sum = 0.0f;
                    for (int32_t ky = ys.first; ky < ys.last; ++ky) {
                        for (int32_t kx = xs.first; kx < xs.last; ++kx) {
                            const size_t at = pixel(w, batch, ys.origin + ky * w->dilation_y,
                                xs.origin + kx * w->dilation_x);
                            sum += weights[(ky * w->width + kx) * w->out_channels + channel]
                                * input[at + (size_t)(channel / p->multiplier)];
                        }
                    }
                    sum += bias ? bias[channel] : 0.0f;
                    *output++ = fminf(fmaxf(sum, p->low), p->high);
                }
            }
        }
    }
}
