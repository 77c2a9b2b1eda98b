/* See edgekit_gf256.h. The field is that of x^8 + x^4 + x^3 + x^2 + 1 (0x11d), the generator's roots are a^0 to a^15. */

#include "edgekit_gf256.h"

#include <string.h>

static uint8_t powers[255];
static uint8_t logarithms[256];
static uint8_t generator[EDGEKIT_PARITY]; /* the coefficients below x^16, highest first */

static uint8_t multiply(uint8_t a, uint8_t b) {
    if (a == 0 || b == 0) return 0;
    return powers[(logarithms[a] + logarithms[b]) % 255u];
}

static uint8_t divide(uint8_t a, uint8_t b) {
    if (a == 0) return 0;
    return powers[(logarithms[a] + 255u - logarithms[b]) % 255u];
}

void edgekit_gf256_init(void) {
    unsigned value = 1;
    for (unsigned place = 0; place < 255u; ++place) {
        powers[place] = (uint8_t)value;
        logarithms[value] = (uint8_t)place;
        value <<= 1;
        if (value & 0x100u) value ^= 0x11du;
    }
    uint8_t product[EDGEKIT_PARITY + 1] = {1}; /* highest first, grows by one root a turn */
    for (unsigned root = 0; root < EDGEKIT_PARITY; ++root)
        for (unsigned place = root + 1; place > 0; --place)
            product[place] ^= multiply(product[place - 1], powers[root]);
    memcpy(generator, product + 1, EDGEKIT_PARITY);
}

size_t edgekit_protect(uint8_t *block, size_t length) {
    uint8_t parity[EDGEKIT_PARITY] = {0};
    for (size_t place = 0; place <= length; ++place) { /* one more: the salt, still zero */
        uint8_t feedback = (uint8_t)((place < length ? block[place] : 0u) ^ parity[0]);
        memmove(parity, parity + 1, EDGEKIT_PARITY - 1);
        parity[EDGEKIT_PARITY - 1] = 0;
        for (unsigned i = 0; i < EDGEKIT_PARITY; ++i) parity[i] ^= multiply(feedback, generator[i]);
    }
    uint8_t *tail = block + length;
    for (unsigned salt = 1; salt < 256u; ++salt) { /* each of the 16 bytes rules out one salt at most */
        unsigned zeros = 0;
        tail[0] = (uint8_t)salt;
        for (unsigned i = 0; i < EDGEKIT_PARITY; ++i) {
            tail[1 + i] = (uint8_t)(parity[i] ^ multiply((uint8_t)salt, generator[i]));
            zeros += tail[1 + i] == 0;
        }
        if (zeros == 0) break;
    }
    return length + 1 + EDGEKIT_PARITY;
}

static unsigned syndromes(const uint8_t *block, size_t length, uint8_t *found) {
    unsigned wrong = 0;
    for (unsigned root = 0; root < EDGEKIT_PARITY; ++root) {
        uint8_t sum = 0;
        for (size_t place = 0; place < length; ++place) sum = (uint8_t)(multiply(sum, powers[root]) ^ block[place]);
        found[root] = sum;
        wrong |= sum;
    }
    return wrong;
}

/* Berlekamp and Massey: the polynomial whose roots are the inverse places of the errors, lowest coefficient first. */
static unsigned locator(const uint8_t *syndrome, uint8_t *current) {
    uint8_t previous[EDGEKIT_PARITY + 1] = {1}, kept[EDGEKIT_PARITY + 1];
    unsigned errors = 0, shift = 1;
    uint8_t scale = 1;
    memset(current, 0, EDGEKIT_PARITY + 1);
    current[0] = 1;
    for (unsigned n = 0; n < EDGEKIT_PARITY; ++n) {
        uint8_t discrepancy = syndrome[n];
        for (unsigned i = 1; i <= errors; ++i) discrepancy ^= multiply(current[i], syndrome[n - i]);
        if (discrepancy == 0) {
            ++shift;
            continue;
        }
        memcpy(kept, current, sizeof kept);
        uint8_t factor = divide(discrepancy, scale);
        for (unsigned i = 0; i + shift <= EDGEKIT_PARITY; ++i) current[i + shift] ^= multiply(factor, previous[i]);
        if (2 * errors <= n) {
            errors = n + 1 - errors;
            memcpy(previous, kept, sizeof previous);
            scale = discrepancy;
            shift = 1;
        } else {
            ++shift;
        }
    }
    return errors;
}

static uint8_t evaluate(const uint8_t *polynomial, unsigned count, unsigned logarithm) {
    uint8_t sum = 0;
    for (unsigned i = 0; i < count; ++i)
        if (polynomial[i]) sum ^= powers[(logarithms[polynomial[i]] + i * logarithm) % 255u];
    return sum;
}

/* Forney: how wrong the byte is whose place is a^log. */
static uint8_t magnitude(const uint8_t *syndrome, const uint8_t *location, unsigned errors, unsigned log) {
    uint8_t evaluator[EDGEKIT_PARITY] = {0}, slope = 0;
    unsigned inverse = (255u - log) % 255u;
    for (unsigned i = 0; i < EDGEKIT_PARITY; ++i)
        for (unsigned j = 0; j <= i && j <= errors; ++j) evaluator[i] ^= multiply(syndrome[i - j], location[j]);
    for (unsigned i = 1; i <= errors; i += 2)
        if (location[i]) slope ^= powers[(logarithms[location[i]] + (i - 1) * inverse) % 255u];
    if (slope == 0) return 0;
    return multiply(powers[log], divide(evaluate(evaluator, EDGEKIT_PARITY, inverse), slope));
}

size_t edgekit_correct(uint8_t *block, size_t length) {
    uint8_t syndrome[EDGEKIT_PARITY], location[EDGEKIT_PARITY + 1];
    if (length < 2 + EDGEKIT_PARITY || length > EDGEKIT_BLOCK) return 0;
    if (syndromes(block, length, syndrome)) {
        unsigned errors = locator(syndrome, location), found = 0;
        if (errors > EDGEKIT_PARITY / 2) return 0;
        for (unsigned log = 0; log < length; ++log) {
            if (evaluate(location, errors + 1, (255u - log) % 255u) != 0) continue;
            block[length - 1 - log] ^= magnitude(syndrome, location, errors, log);
            ++found;
        }
        if (found != errors || syndromes(block, length, syndrome)) return 0;
    }
    return length - 1 - EDGEKIT_PARITY;
}
