/* See edgekit_frame.h. */

#include "edgekit_frame.h"

#include <string.h>

#include "edgekit_gf256.h"

uint32_t edgekit_crc32(uint32_t crc, const uint8_t *bytes, size_t length) {
    /* The CRC of zlib and Ethernet, four bits at a time: a table of 64 bytes. */
    static const uint32_t table[16] = {
        0x00000000u, 0x1db71064u, 0x3b6e20c8u, 0x26d930acu, 0x76dc4190u, 0x6b6b51f4u, 0x4db26158u, 0x5005713cu,
        0xedb88320u, 0xf00f9344u, 0xd6d6a3e8u, 0xcb61b38cu, 0x9b64c2b0u, 0x86d3d2d4u, 0xa00ae278u, 0xbdbdf21cu};
    crc = ~crc;
    while (length--) {
        crc ^= *bytes++;
        crc = (crc >> 4) ^ table[crc & 15u];
        crc = (crc >> 4) ^ table[crc & 15u];
    }
    return ~crc;
}

/* COBS (Cheshire and Baker 1999): gives the length, in place of a zero byte the way to the next one. */
static size_t stuff(const uint8_t *bytes, size_t length, uint8_t *out) {
    size_t code = 0, place = 1;
    for (size_t i = 0; i < length; ++i) {
        if (bytes[i] != 0) out[place++] = bytes[i];
        if (bytes[i] == 0 || (place - code == 255u && i + 1 < length)) {
            out[code] = (uint8_t)(place - code);
            code = place++;
        }
    }
    out[code] = (uint8_t)(place - code);
    return place;
}

/* The other way, in place; 0 when it is none. */
static size_t unstuff(uint8_t *bytes, size_t length) {
    size_t from = 0, to = 0;
    while (from < length) {
        size_t code = bytes[from];
        if (code == 0 || from + code > length) return 0;
        memmove(bytes + to, bytes + from + 1, code - 1);
        to += code - 1;
        from += code;
        if (code < 255u && from < length) bytes[to++] = 0;
    }
    return to;
}

static uint32_t word(const uint8_t *bytes) {
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* The body's length when the CRC is right, else 0. `bytes` must be good for a second try: it is left as it was. */
static size_t open_frame(uint8_t *bytes, size_t length) {
    static uint8_t copy[EDGEKIT_BLOCK];
    int again = length <= EDGEKIT_BLOCK;
    if (again) memcpy(copy, bytes, length);
    size_t found = unstuff(bytes, length);
    if (found > EDGEKIT_CRC_BYTES && found <= EDGEKIT_MAX_FRAME) {
        size_t body = found - EDGEKIT_CRC_BYTES;
        if (edgekit_crc32(0, bytes, body) == word(bytes + body)) return body;
    }
    if (again) memcpy(bytes, copy, length);
    return 0;
}

static int finish(edgekit_receiver *receiver) {
    size_t length = receiver->length;
    int overlong = receiver->overlong;
    edgekit_forget(receiver);
    if (length == 0) return 0; /* zeros between frames are no frames */
    if (!overlong) {
        receiver->was_protected = 0;
        receiver->body = open_frame(receiver->wire, length);
        if (receiver->body == 0) {
            size_t corrected = edgekit_correct(receiver->wire, length);
            receiver->was_protected = 1;
            if (corrected) receiver->body = open_frame(receiver->wire, corrected);
        }
        if (receiver->body) {
            ++receiver->good;
            receiver->corrected += (uint32_t)receiver->was_protected;
            return 1;
        }
    }
    ++receiver->bad;
    return 0;
}

int edgekit_receive(edgekit_receiver *receiver, uint8_t byte) {
    if (byte == 0) return finish(receiver);
    if (receiver->length < EDGEKIT_MAX_WIRE)
        receiver->wire[receiver->length++] = byte;
    else
        receiver->overlong = 1;
    return 0;
}

void edgekit_forget(edgekit_receiver *receiver) {
    receiver->length = 0;
    receiver->overlong = 0;
}

size_t edgekit_frame(uint8_t *body, size_t length, int protect, uint8_t *wire) {
    uint32_t crc = edgekit_crc32(0, body, length);
    for (unsigned i = 0; i < EDGEKIT_CRC_BYTES; ++i) body[length + i] = (uint8_t)(crc >> (8 * i));
    size_t count = stuff(body, length + EDGEKIT_CRC_BYTES, wire);
    if (protect) {
        count = edgekit_protect(wire, count);
        wire[count++] = 0; /* twice: one that is lost would cost two frames */
    }
    wire[count++] = 0;
    return count;
}
