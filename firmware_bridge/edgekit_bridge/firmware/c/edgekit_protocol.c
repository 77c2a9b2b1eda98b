/* See edgekit_protocol.h. Every request can be repeated: an answer that was lost is asked for again. */

#include "edgekit_protocol.h"

#include <string.h>

#include "edgekit_model_io.h"

enum { HELLO = 1, INFO, WRITE, READ, INVOKE, LAYERS, BAUD, RESET, COUNTERS };
enum { OK, UNKNOWN_COMMAND, BAD_ARGUMENT, NO_SESSION, RUNNING };
enum { ABOUT_BOARD, ABOUT_MODEL, ABOUT_INPUT, ABOUT_OUTPUT, ABOUT_LAYER };
enum { CAN_CORRECT = 1, SPEAKS_MLPERF_TINY = 2, KEEPS_INPUTS = 4 };

#define HEADER 2u /* command and sequence number */
#define MAX_LAPS 24u
#define MAX_TEXT 120u
#define ANSWER_BIT 0x80u

static uint8_t body[EDGEKIT_MAX_FRAME];
static uint8_t wire[EDGEKIT_MAX_WIRE + 2];
static size_t written;  /* of the answer's body */
static size_t room;     /* for the answer's body */
static uint32_t session;
static uint64_t rate_deadline; /* by when a frame must come at the new rate; 0: none is awaited */

#define RATE_S 2u

static struct {
    uint32_t token;
    uint16_t count;
    uint64_t ticks[MAX_LAPS];
} last;

static const uint8_t *next; /* the request's arguments that are left */
static size_t left;

static uint32_t take(unsigned bytes) {
    uint32_t value = 0;
    if (left < bytes) {
        left = 0;
        return 0;
    }
    for (unsigned i = 0; i < bytes; ++i) value |= (uint32_t)*next++ << (8 * i);
    left -= bytes;
    return value;
}

static void put(uint64_t value, unsigned bytes) {
    for (unsigned i = 0; i < bytes && written < room; ++i) body[written++] = (uint8_t)(value >> (8 * i));
}

static void put_text(const char *text) {
    size_t length = strlen(text);
    if (length > MAX_TEXT) length = MAX_TEXT;
    put(length, 1);
    for (size_t i = 0; i < length; ++i) put((uint8_t)text[i], 1);
}

static int hello(const edgekit_port *port) {
    uint32_t version = take(1), wanted = take(2);
    session = take(4);
    put(EDGEKIT_PROTOCOL_VERSION, 1);
    put(CAN_CORRECT | SPEAKS_MLPERF_TINY | (EDGEKIT_KEEP_INPUTS ? KEEPS_INPUTS : 0), 1);
    put(wanted < EDGEKIT_MAX_FRAME ? wanted : EDGEKIT_MAX_FRAME, 2);
    put(port->buffered_bytes, 4);
    put(MAX_LAPS, 2);
    return version == 0 || wanted < 64 ? BAD_ARGUMENT : OK;
}

static void about_board(const edgekit_port *port) {
    put_text(port->board);
    put_text(port->cpu);
    put_text(port->clock);
    put_text(EDGEKIT_HARNESS_VERSION);
    put_text(__VERSION__);
    put(port->flags, 4);
    put(port->ticks_hz, 4);
    put(port->spin_instructions, 4);
    put(port->spin_ticks, 4);
    put(port->image_flash_bytes, 4);
    put(port->image_ram_bytes, 4);
    put(hal_control(HAL_STACK_BYTES, 0), 4);
}

static void about_model(void) {
    put_text(edgekit_model_name);
    put_text(edgekit_model_id);
    put_text(EDGEKIT_ARTIFACT_ID);
    put(EDGEKIT_ARENA_BYTES, 4);
    put(EDGEKIT_WEIGHT_BYTES, 4);
    put(EDGEKIT_INPUTS, 2);
    put(EDGEKIT_OUTPUTS, 2);
    put(EDGEKIT_LAYERS, 2);
}

static void about_tensor(const edgekit_tensor *tensor) {
    uint32_t scale;
    memcpy(&scale, &tensor->scale, sizeof scale);
    put_text(tensor->name);
    put_text(tensor->dtype);
    put(scale, 4);
    put((uint32_t)tensor->zero_point, 4);
    put(tensor->bytes, 4);
    put(tensor->rank, 1);
    for (uint32_t i = 0; i < tensor->rank; ++i) put(tensor->shape[i], 4);
}

static int info(const edgekit_port *port) {
    uint32_t item = take(1), index = take(2);
    switch (item) {
    case ABOUT_BOARD: about_board(port); return OK;
    case ABOUT_MODEL: about_model(); return OK;
    case ABOUT_INPUT:
        if (index >= EDGEKIT_INPUTS) return BAD_ARGUMENT;
        about_tensor(&edgekit_inputs[index]);
        return OK;
    case ABOUT_OUTPUT:
        if (index >= EDGEKIT_OUTPUTS) return BAD_ARGUMENT;
        about_tensor(&edgekit_outputs[index]);
        return OK;
    case ABOUT_LAYER:
        if (index >= EDGEKIT_LAYERS) return BAD_ARGUMENT;
        put_text(edgekit_layers[index].name);
        put_text(edgekit_layers[index].op);
        put(edgekit_layers[index].macs, 4);
        return OK;
    default: return BAD_ARGUMENT;
    }
}

static int write_input(void) {
    uint32_t index = take(1), offset = take(4);
    if (index >= EDGEKIT_INPUTS || left == 0) return BAD_ARGUMENT;
    uint32_t bytes = edgekit_inputs[index].bytes;
    if (offset > bytes || left > bytes - offset) return BAD_ARGUMENT;
    memcpy(edgekit_kept_input(index) + offset, next, left);
    return OK;
}

static int read_output(void) {
    uint32_t index = take(1), offset = take(4), length = take(2);
    if (index >= EDGEKIT_OUTPUTS) return BAD_ARGUMENT;
    uint32_t bytes = edgekit_outputs[index].bytes;
    if (offset > bytes || length > bytes - offset || length > room - written) return BAD_ARGUMENT;
    memcpy(body + written, (const uint8_t *)edgekit_output(index) + offset, length);
    written += length;
    return OK;
}

/* Say at once that the request has come: how long the model takes nobody knows. */
static void say_running(int protect) {
    body[2] = RUNNING;
    hal_write(wire, edgekit_frame(body, written, protect, wire));
}

static int invoke(int protect) {
    uint32_t token = take(4), count = take(2), by_layer = take(1);
    if (token == 0 || count == 0 || count > MAX_LAPS) return BAD_ARGUMENT;
    if (token != last.token) { /* else it is the answer that was lost */
        say_running(protect);
        last.token = 0;
        last.count = (uint16_t)count;
        if (by_layer) memset(edgekit_layer_ticks, 0, sizeof edgekit_layer_ticks);
        for (uint32_t i = 0; i < count; ++i) last.ticks[i] = by_layer ? edgekit_infer_layers() : edgekit_infer_timed();
        last.token = token;
    }
    put(token, 4);
    put(last.count, 2);
    for (uint32_t i = 0; i < last.count; ++i) put(last.ticks[i], 8);
    return OK;
}

static int layers(void) {
    uint32_t first = take(2), count = take(2);
    if (first > EDGEKIT_LAYERS || count > EDGEKIT_LAYERS - first || count * 8 > room - written) return BAD_ARGUMENT;
    for (uint32_t i = 0; i < count; ++i) put(edgekit_layer_ticks[first + i], 8);
    return OK;
}

static int counters(const edgekit_receiver *receiver) {
    put(receiver->good, 4);
    put(receiver->corrected, 4);
    put(receiver->bad, 4);
    return OK;
}

static int dispatch(const edgekit_port *port, const edgekit_receiver *receiver, uint8_t command) {
    switch (command) {
    case HELLO: return hello(port);
    case INFO: return info(port);
    case COUNTERS: return counters(receiver);
    case BAUD: return OK;
    case RESET: return OK;
    default: break;
    }
    if (command > COUNTERS) return UNKNOWN_COMMAND;
    if (session == 0) return NO_SESSION; /* the board was started again: what the host wrote is gone */
    switch (command) {
    case WRITE: return write_input();
    case READ: return read_output();
    case INVOKE: return invoke(receiver->was_protected);
    case LAYERS: return layers();
    default: return UNKNOWN_COMMAND;
    }
}

void edgekit_watch_rate(const edgekit_port *port) {
    if (rate_deadline == 0 || hal_ticks() < rate_deadline) return;
    rate_deadline = 0;
    hal_control(HAL_SET_BAUD, port->baud);
}

void edgekit_answer(const edgekit_port *port, const edgekit_receiver *receiver) {
    if (receiver->body < HEADER || receiver->wire[0] == 0 || receiver->wire[0] & ANSWER_BIT) return;
    uint8_t command = receiver->wire[0];
    rate_deadline = 0;
    next = receiver->wire + HEADER;
    left = receiver->body - HEADER;
    room = (receiver->was_protected ? EDGEKIT_MAX_PROTECTED : EDGEKIT_MAX_FRAME) - EDGEKIT_CRC_BYTES;
    written = 0;
    put(command | ANSWER_BIT, 1);
    put(receiver->wire[1], 1);
    put(OK, 1);
    int status = dispatch(port, receiver, command);
    body[2] = (uint8_t)status;
    if (command == HELLO) hal_write((const uint8_t[]){0}, 1); /* whatever text went before, a frame begins here */
    hal_write(wire, edgekit_frame(body, written, receiver->was_protected, wire));
    if (command == BAUD && hal_control(HAL_SET_BAUD, take(4)))
        rate_deadline = hal_ticks() + (uint64_t)port->ticks_hz * RATE_S;
    if (command == RESET) {
        session = 0;
        hal_control(HAL_RESET, 0);
    }
}
