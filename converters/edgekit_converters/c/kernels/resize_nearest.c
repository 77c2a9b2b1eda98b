typedef struct {
    int32_t batches, in_height, in_width, height, width;
    int32_t bytes; /* of one pixel */
} resize_nearest_params;

static void resize_nearest(const resize_nearest_params *p, const void *input, const uint16_t *from_rows,
    const uint16_t *from_columns, void *output)
{
    const uint8_t *image = input;
    uint8_t *to = output;
    for (int32_t batch = 0; batch < p->batches; ++batch, image += p->in_height * p->in_width * p->bytes) {
        for (int32_t y = 0; y < p->height; ++y) {
            const uint8_t *row = image + from_rows[y] * p->in_width * p->bytes;
            for (int32_t x = 0; x < p->width; ++x, to += p->bytes) {
                memcpy(to, row + from_columns[x] * p->bytes, (size_t)p->bytes);
            }
        }
    }
}
