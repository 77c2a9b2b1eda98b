/* needs: window dot fixed_point clamp */
typedef struct {
    window window;
    int32_t depth; /* input channels that an output channel sees: fewer than there are in a grouped convolution */
    int32_t input_offset, output_offset, low, high;
} conv2d_int8_params;

/* Add what the taps within the image give to the sums of `count` channels, one or two. */
static inline void convolve(const conv2d_int8_params *p, const int8_t *image, const int8_t *weights, span ys, span xs,
    int32_t channel, int32_t count, int32_t *sums)
{
    const window *w = &p->window;
    const int32_t depth = p->depth, filter = w->height * w->width * depth;
    const int32_t group = w->out_channels / (w->in_channels / depth);
    for (int32_t ky = ys.first; ky < ys.last; ++ky) {
        const int8_t *row = image + (ys.origin + ky * w->dilation_y) * w->in_width * w->in_channels;
        const int8_t *taps_row = weights + channel * filter + ky * w->width * depth;
        if (w->dilation_x == 1 && depth == w->in_channels) { /* the taps of a row lie side by side */
            const int8_t *tap = taps_row + xs.first * depth, *x = row + (xs.origin + xs.first) * depth;
            const int32_t run = (xs.last - xs.first) * depth;
            if (count == 2) {
                dot_two(tap, tap + filter, x, run, p->input_offset, sums);
            } else {
                sums[0] = dot(tap, x, run, p->input_offset, sums[0]);
            }
            continue;
        }
        for (int32_t c = 0; c < count; ++c) {
            for (int32_t kx = xs.first; kx < xs.last; ++kx) {
                const int8_t *x = row + (xs.origin + kx * w->dilation_x) * w->in_channels;
                sums[c] = dot(taps_row + c * filter + kx * depth, x + (channel + c) / group * depth, depth,
                    p->input_offset, sums[c]);
            }
        }
    }
}

static void conv2d_int8(const conv2d_int8_params *p, const int8_t *input, const int8_t *weights, const int32_t *bias,
    const int32_t *multiplier, const int8_t *shift, int8_t *output)
{
    const window *w = &p->window;
    for (int32_t batch = 0; batch < w->batches; ++batch) {
        const int8_t *image = input + pixel(w, batch, 0, 0);
        for (int32_t y = 0; y < w->out_height; ++y) {
            const span ys = rows(w, y);
            for (int32_t x = 0; x < w->out_width; ++x) {
                const span xs = columns(w, x);
                for (int32_t channel = 0; channel < w->out_channels; channel += 2) {
                    const int32_t count = channel + 1 < w->out_channels ? 2 : 1;
                    int32_t sums[2] = {0, 0};
                    for (int32_t c = 0; bias && c < count; ++c) {
                        sums[c] = bias[channel + c];
                    }
                    convolve(p, image, weights, ys, xs, channel, count, sums);
                    for (int32_t c = channel; c < channel + count; ++c) {
                        const int32_t sum = rescale(sums[c - channel], multiplier[c], shift[c]) + p->output_offset;
                        *output++ = (int8_t)clamp(sum, p->low, p->high);
                    }
                }
            }
        }
    }
}
