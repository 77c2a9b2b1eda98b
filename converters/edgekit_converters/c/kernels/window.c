/* A window that moves over images, NHWC. */
typedef struct {
    int32_t batches, in_height, in_width, in_channels, out_height, out_width, out_channels;
    int32_t height, width, stride_y, stride_x, dilation_y, dilation_x, pad_top, pad_left;
} window;

typedef struct {
    int32_t origin, first, last; /* where tap 0 lies in the image, and the taps that lie within it: first <= k < last */
} span;

static inline span taps(int32_t out, int32_t stride, int32_t pad, int32_t dilation, int32_t count, int32_t size)
{
    span s = {out * stride - pad, 0, count};
    while (s.first < count && s.origin + s.first * dilation < 0) {
        ++s.first;
    }
    while (s.last > s.first && s.origin + (s.last - 1) * dilation >= size) {
        --s.last;
    }
    return s;
}

static inline span rows(const window *w, int32_t y)
{
    return taps(y, w->stride_y, w->pad_top, w->dilation_y, w->height, w->in_height);
}

static inline span columns(const window *w, int32_t x)
{
    return taps(x, w->stride_x, w->pad_left, w->dilation_x, w->width, w->in_width);
}

static inline size_t pixel(const window *w, int32_t batch, int32_t y, int32_t x)
{
    return (((size_t)batch * (size_t)w->in_height + (size_t)y) * (size_t)w->in_width + (size_t)x)
        * (size_t)w->in_channels;
}
