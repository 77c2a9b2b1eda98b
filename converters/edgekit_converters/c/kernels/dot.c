/* Sums of products, `offset` added to each x. Two products an instruction where the core has the DSP extension
 * (Cortex-M4, M7, M33, M55); the compiler's own vectors elsewhere. */
#ifdef __GNUC__
#define EDGEKIT_APART __attribute__((noinline)) /* a loop of its own keeps all that it needs in registers */
#else
#define EDGEKIT_APART
#endif

#if defined(__ARM_FEATURE_DSP) && defined(__ARM_FEATURE_SIMD32)
#include <arm_acle.h>
#define EDGEKIT_SMLAD(x, y, sum) __smlad((x), (y), (sum))

static inline uint32_t four_bytes(const int8_t *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* The first and the third of four bytes as 16 bits each, with the offset added where there is one. */
static inline int16x2_t even(uint32_t bytes)
{
    return __sxtb16((int8x4_t)bytes);
}

static inline int16x2_t even_plus(int16x2_t offsets, uint32_t bytes)
{
    return __sxtab16(offsets, (int8x4_t)bytes);
}

/* The second and the fourth: the rotation is part of the instruction, which compilers do not find. */
static inline int16x2_t odd(uint32_t bytes)
{
#ifdef __GNUC__
    int16x2_t pair;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(pair) : "r"(bytes));
    return pair;
#else
    return even(bytes >> 8 | bytes << 24);
#endif
}

static inline int16x2_t odd_plus(int16x2_t offsets, uint32_t bytes)
{
#ifdef __GNUC__
    int16x2_t pair;
    __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(pair) : "r"(offsets), "r"(bytes));
    return pair;
#else
    return even_plus(offsets, bytes >> 8 | bytes << 24);
#endif
}
#endif

EDGEKIT_APART static int32_t dot(const int8_t *w, const int8_t *x, int32_t count, int32_t offset, int32_t sum)
{
#ifdef EDGEKIT_SMLAD
    const int16x2_t offsets = (int16x2_t)(((uint32_t)offset & 0xffffu) * 0x10001u);
    for (; count >= 4; count -= 4, w += 4, x += 4) {
        const uint32_t ws = four_bytes(w), xs = four_bytes(x);
        sum = EDGEKIT_SMLAD(even(ws), even_plus(offsets, xs), sum);
        sum = EDGEKIT_SMLAD(odd(ws), odd_plus(offsets, xs), sum);
    }
#endif
    for (; count > 0; --count) {
        sum += *w++ * (*x++ + offset);
    }
    return sum;
}

/* The same x with two rows of weights: it is read and widened once for both. */
EDGEKIT_APART static void dot_two(
    const int8_t *w, const int8_t *v, const int8_t *x, int32_t count, int32_t offset, int32_t *sums)
{
    int32_t first = sums[0], second = sums[1];
#ifdef EDGEKIT_SMLAD
    const int16x2_t offsets = (int16x2_t)(((uint32_t)offset & 0xffffu) * 0x10001u);
    for (; count >= 4; count -= 4, w += 4, v += 4, x += 4) {
        const uint32_t ws = four_bytes(w), vs = four_bytes(v), xs = four_bytes(x);
        const int16x2_t x_even = even_plus(offsets, xs), x_odd = odd_plus(offsets, xs);
        first = EDGEKIT_SMLAD(even(ws), x_even, first);
        second = EDGEKIT_SMLAD(even(vs), x_even, second);
        first = EDGEKIT_SMLAD(odd(ws), x_odd, first);
        second = EDGEKIT_SMLAD(odd(vs), x_odd, second);
    }
#endif
    for (; count > 0; --count) {
        const int32_t value = *x++ + offset;
        first += *w++ * value;
        second += *v++ * value;
    }
    sums[0] = first;
    sums[1] = second;
}
