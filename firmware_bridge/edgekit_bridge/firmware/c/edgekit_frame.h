/* Frames on a serial line, see docs/serial-protocol.md: COBS(body, CRC-32), ended by a zero byte. */

#ifndef EDGEKIT_FRAME_H
#define EDGEKIT_FRAME_H

#include <stddef.h>
#include <stdint.h>

#ifndef EDGEKIT_MAX_FRAME
#define EDGEKIT_MAX_FRAME 512u /* body and CRC, bytes */
#endif

#define EDGEKIT_CRC_BYTES 4u
#define EDGEKIT_MAX_WIRE (EDGEKIT_MAX_FRAME + EDGEKIT_MAX_FRAME / 254u + 1u)

/* The longest body and CRC in a block that can be put right: 238 bytes of which COBS takes one. */
#define EDGEKIT_MAX_PROTECTED 237u

typedef struct {
    uint8_t wire[EDGEKIT_MAX_WIRE];
    size_t length;      /* bytes of an unfinished frame */
    size_t body;        /* bytes of the body, after edgekit_receive gave 1 */
    int overlong;       /* the unfinished frame is longer than any can be */
    int was_protected;  /* the last frame carried parity */
    uint32_t good, corrected, bad;
} edgekit_receiver;

uint32_t edgekit_crc32(uint32_t crc, const uint8_t *bytes, size_t length);

/* Take a byte. Gives 1 when a whole frame is there: its body is the first `body` bytes of `wire`. */
int edgekit_receive(edgekit_receiver *receiver, uint8_t byte);

/* Forget an unfinished frame. */
void edgekit_forget(edgekit_receiver *receiver);

/*
 * Make a frame of a body; room for the CRC behind it is needed. Gives the length of `wire`, which holds
 * EDGEKIT_MAX_WIRE + 2 bytes. With `protect` it carries parity; the body and CRC are at most 237 bytes then.
 */
size_t edgekit_frame(uint8_t *body, size_t length, int protect, uint8_t *wire);

#endif
