/* Sums of products, `offset` added to each x. Two products an instruction where the core has the DSP extension
 * (Cortex-M4, M7, M33, M55); the compiler's own vectors elsewhere. */
#if defined(__ARM_FEATURE_DSP) && defined(__ARM_FEATURE_SIMD32)
#include <arm_acle.h>
#define EDGEKIT_SMLAD(x, y, sum) __smlad((x), (y), (sum))

static inline uint32_t four_bytes(const int8_t *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static inline int8x4_t odd_bytes(uint32_t word)
{
    return (int8x4_t)(word >> 8 | word << 24); /* the second and fourth where the first and third were */
}
#endif

static inline int32_t dot(const int8_t *w, const int8_t *x, int32_t count, int32_t offset, int32_t sum)
{
#ifdef EDGEKIT_SMLAD
    const int16x2_t offsets = (int16x2_t)(((uint32_t)offset & 0xffffu) * 0x10001u);
    for (; count >= 4; count -= 4, w += 4, x += 4) {
        const uint32_t ws = four_bytes(w), xs = four_bytes(x);
        sum = EDGEKIT_SMLAD(__sxtb16((int8x4_t)ws), __sxtab16(offsets, (int8x4_t)xs), sum);
        sum = EDGEKIT_SMLAD(__sxtb16(odd_bytes(ws)), __sxtab16(offsets, odd_bytes(xs)), sum);
    }
#endif
    for (; count > 0; --count) {
        sum += *w++ * (*x++ + offset);
    }
    return sum;
}
