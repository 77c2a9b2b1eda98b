/* needs: window fixed_point clamp */
typedef struct {
    window window;
    int32_t multiplier; /* output channels of each input channel */
    int32_t input_offset, output_offset, low, high;
} depthwise_int8_params;

static void depthwise_int8(const depthwise_int8_params *p, const int8_t *input, const int8_t *weights,
    const int32_t *bias, const int32_t *multiplier, const int8_t *shift, int8_t *output)
{
    const window *w = &p->window;
    for (int32_t batch = 0; batch < w->batches; ++batch) {
        for (int32_t y = 0; y < w->out_height; ++y) {
            const span ys = rows(w, y);
            for (int32_t x = 0; x < w->out_width; ++x) {
                const span xs = columns(w, x);
                for (int32_t channel = 0; channel < w->out_channels; ++channel) {
                    const int8_t *from = input + channel / p->multiplier;
                    int32_t sum = bias ? bias[channel] : 0;
                    for (int32_t ky = ys.first; ky < ys.last; ++ky) {
                        const int32_t in_y = ys.origin + ky * w->dilation_y;
                        const int8_t *at = from + pixel(w, batch, in_y, xs.origin + xs.first * w->dilation_x);
                        const int8_t *tap = weights + (ky * w->width + xs.first) * w->out_channels + channel;
                        for (int32_t kx = xs.first; kx < xs.last; ++kx) {
                            sum += *tap * (*at + p->input_offset);
                            at += w->dilation_x * w->in_channels;
                            tap += w->out_channels;
                        }
                    }
                    sum = rescale(sum, multiplier[channel], shift[channel]) + p->output_offset;
                    *output++ = (int8_t)clamp(sum, p->low, p->high);
                }
            }
        }
    }
}
