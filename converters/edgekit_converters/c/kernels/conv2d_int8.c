/* needs: window dot fixed_point clamp */
typedef struct {
    window window;
    int32_t depth; /* input channels that an output channel sees: fewer than there are in a grouped convolution */
    int32_t input_offset, output_offset, low, high;
} conv2d_int8_params;

static void conv2d_int8(const conv2d_int8_params *p, const int8_t *input, const int8_t *weights, const int32_t *bias,
    const int32_t *multiplier, const int8_t *shift, int8_t *output)
{
    const window *w = &p->window;
    const int32_t depth = p->depth, group = w->out_channels / (w->in_channels / depth);
    const int whole_rows = w->dilation_x == 1 && depth == w->in_channels; /* the taps of a row lie side by side */
    for (int32_t batch = 0; batch < w->batches; ++batch) {
        for (int32_t y = 0; y < w->out_height; ++y) {
            const span ys = rows(w, y);
            for (int32_t x = 0; x < w->out_width; ++x) {
                const span xs = columns(w, x);
                for (int32_t channel = 0; channel < w->out_channels; ++channel) {
                    int32_t sum = bias ? bias[channel] : 0;
                    for (int32_t ky = ys.first; ky < ys.last; ++ky) {
                        const int8_t *row = input + pixel(w, batch, ys.origin + ky * w->dilation_y, 0);
                        const int8_t *taps_row = weights + (size_t)((channel * w->height + ky) * w->width) * (size_t)depth;
                        if (whole_rows) {
                            sum = dot(taps_row + xs.first * depth, row + (xs.origin + xs.first) * depth,
                                (xs.last - xs.first) * depth, p->input_offset, sum);
                            continue;
                        }
                        for (int32_t kx = xs.first; kx < xs.last; ++kx) {
                            const int32_t at = (xs.origin + kx * w->dilation_x) * w->in_channels;
                            sum = dot(taps_row + kx * depth, row + at + channel / group * depth, depth,
                                p->input_offset, sum);
                        }
                    }
                    sum = rescale(sum, multiplier[channel], shift[channel]) + p->output_offset;
                    *output++ = (int8_t)clamp(sum, p->low, p->high);
                }
            }
        }
    }
}
