/* Reed-Solomon over GF(256): blocks of up to 255 bytes, the last 16 of them parity, up to 8 wrong bytes put right. */

#ifndef EDGEKIT_GF256_H
#define EDGEKIT_GF256_H

#include <stddef.h>
#include <stdint.h>

#define EDGEKIT_PARITY 16u
#define EDGEKIT_BLOCK 255u

/* Build the tables; call once before the others. */
void edgekit_gf256_init(void);

/*
 * Finish a block: `length` bytes that hold no zero are given; a salt and 16 bytes of parity are put behind them, none of
 * which is zero either. Gives the block's length. `length` is at most 238.
 */
size_t edgekit_protect(uint8_t *block, size_t length);

/* Put a block right in place. Gives its length without salt and parity, 0 when there are too many errors. */
size_t edgekit_correct(uint8_t *block, size_t length);

#endif
