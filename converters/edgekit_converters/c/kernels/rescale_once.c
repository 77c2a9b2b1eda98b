/* As `rescale`, rounded once: what LiteRT's fully connected kernels do, where its convolutions round twice. */
static inline int32_t rescale_once(int32_t value, int32_t multiplier, int32_t shift)
{
    return (int32_t)(((int64_t)value * multiplier + ((int64_t)1 << (30 - shift))) >> (31 - shift));
}
