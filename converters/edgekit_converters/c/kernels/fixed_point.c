/* A number times a mantissa of 31 bits and a power of two, rounded twice: the arithmetic of gemmlowp and TFLite. */

static inline int32_t high_product(int32_t a, int32_t b)
{
    if (a == INT32_MIN && b == INT32_MIN) {
        return INT32_MAX;
    }
    return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
}

static inline int32_t divide_by_power(int32_t value, int32_t exponent)
{
    const int32_t mask = (int32_t)((1u << exponent) - 1u);
    return (value >> exponent) + ((value & mask) > (mask >> 1) + (value < 0));
}

static inline int32_t rescale(int32_t value, int32_t multiplier, int32_t shift)
{
    const int32_t left = shift > 0 ? shift : 0;
    return divide_by_power(high_product((int32_t)((uint32_t)value << left), multiplier), left - shift);
}
