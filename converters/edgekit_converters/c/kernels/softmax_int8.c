/* needs: fixed_point clamp */
/* exp() and 1/x by the polynomials and the Newton-Raphson steps of gemmlowp's fixed-point numbers; Qm.n has m integer
 * and n fractional bits. */
typedef struct {
    int32_t rows, depth;
    int32_t multiplier, shift; /* a difference of stored inputs to Q5.26, beta included */
    int32_t least; /* differences below it count nothing */
} softmax_int8_params;

static inline int32_t shift_left(int32_t value, int32_t exponent)
{
    const int32_t edge = (1 << (31 - exponent)) - 1;
    return value > edge ? INT32_MAX : value < -edge ? INT32_MIN : (int32_t)((uint32_t)value << exponent);
}

/* e^a for a in [-1/4, 0), Q0.31: the Taylor series around -1/8. */
static int32_t exp_small(int32_t a)
{
    const int32_t x = a + (1 << 28), x2 = high_product(x, x), x3 = high_product(x2, x), x4 = high_product(x2, x2);
    const int32_t third = high_product(divide_by_power(x4, 2) + x3, 715827883); /* 1/3 */
    return 1895147668 + high_product(1895147668, x + divide_by_power(third + x2, 1)); /* e^(-1/8) */
}

/* e^a for a <= 0 in Q5.26, as Q0.31: the part under 1/4 by the series, the rest bit by bit. */
static int32_t exp_negative(int32_t a)
{
    static const int32_t factors[] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    const int32_t quarter = 1 << 24, below = (a & (quarter - 1)) - quarter, left = below - a;
    int32_t result = exp_small(shift_left(below, 5));
    if (a == 0) {
        return INT32_MAX;
    }
    for (int32_t bit = 0; bit < 7; ++bit) {
        if (left & (1 << (24 + bit))) {
            result = high_product(result, factors[bit]);
        }
    }
    return result;
}

/* 1 / (1 + a) for a in [0, 1), both Q0.31. */
static int32_t one_over_one_plus(int32_t a)
{
    const int32_t half = (int32_t)(((int64_t)a + INT32_MAX + 1) / 2);
    int32_t x = 1515870810 + high_product(half, -1010580540); /* 48/17 - 32/17 d, Q2.29 */
    for (int32_t step = 0; step < 3; ++step) {
        x += shift_left(high_product(x, (1 << 29) - high_product(half, x)), 2);
    }
    return shift_left(x, 1);
}

static void softmax_int8(const softmax_int8_params *p, const int8_t *input, int8_t *output)
{
    for (int32_t row = 0; row < p->rows; ++row, input += p->depth, output += p->depth) {
        int32_t most = INT8_MIN, sum = 0, headroom = 0;
        for (int32_t k = 0; k < p->depth; ++k) {
            most = input[k] > most ? input[k] : most;
        }
        for (int32_t k = 0; k < p->depth; ++k) {
            if (input[k] - most >= p->least) {
                sum += divide_by_power(exp_negative(rescale(input[k] - most, p->multiplier, p->shift)), 12);
            }
        }
        while (!(((uint32_t)sum << headroom) & 0x80000000u)) {
            ++headroom;
        }
        const int32_t scale = one_over_one_plus((int32_t)(((uint32_t)sum << headroom) - 0x80000000u));
        for (int32_t k = 0; k < p->depth; ++k) {
            int32_t result = INT8_MIN;
            if (input[k] - most >= p->least) {
                const int32_t power = exp_negative(rescale(input[k] - most, p->multiplier, p->shift));
                result += divide_by_power(high_product(scale, power), 12 - headroom + 31 - 8);
            }
            output[k] = (int8_t)clamp(result, INT8_MIN, INT8_MAX);
        }
    }
}
