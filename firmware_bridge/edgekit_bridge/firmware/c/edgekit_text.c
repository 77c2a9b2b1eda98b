/* See edgekit_text.h. Words and rules are those of MLPerf Tiny's reference firmware. */

#include "edgekit_text.h"

#include <stdlib.h>
#include <string.h>

#include "edgekit_model_io.h"

#define COMMAND_BYTES 80u /* EE_CMD_SIZE of the reference */
#define TERMINATOR '%'

static char command[COMMAND_BYTES + 1];
static size_t length;
static int is_text; /* no byte since the last end was other than text */

static char *rest; /* of the command, behind the words that were taken */

static uint32_t load_bytes, loaded;

/* The command's next word, NULL when there is none. Not strtok: newlib's brings malloc. */
static char *next_word(void) {
    while (*rest == ' ') ++rest;
    char *word = rest;
    while (*rest && *rest != ' ') ++rest;
    if (*rest) *rest++ = 0;
    return *word ? word : NULL;
}

static void say(const char *text) { hal_write((const uint8_t *)text, strlen(text)); }

static void say_number(uint64_t value) {
    char digits[21], *place = digits + sizeof digits - 1;
    *place = 0;
    do {
        *--place = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    say(place);
}

/* Six decimals: a dequantized 8-bit number comes back as the one it was. Too large or no number: as such firmware's
   printf would, in words that a reader of floats takes. */
static void say_real(double value) {
    if (value != value) {
        say("nan");
        return;
    }
    if (value < 0) {
        say("-");
        value = -value;
    }
    if (value > 1e12) {
        say("inf");
        return;
    }
    uint64_t millionths = (uint64_t)(value * 1e6 + 0.5), fraction = millionths % 1000000u;
    char digits[8] = ".000000";
    for (unsigned i = 6; i > 0; --i, fraction /= 10) digits[i] = (char)('0' + fraction % 10);
    say_number(millionths / 1000000u);
    say(digits);
}

static void say_error(const char *what, const char *detail) {
    say("e-[");
    say(what);
    say(detail);
    say("]\r\n");
}

static uint32_t input_bytes(void) {
    uint32_t sum = 0;
    for (uint32_t i = 0; i < EDGEKIT_INPUTS; ++i) sum += edgekit_inputs[i].bytes;
    return sum;
}

static void store(uint8_t byte) {
    uint32_t place = loaded++;
    for (uint32_t i = 0; i < EDGEKIT_INPUTS; ++i) {
        if (place < edgekit_inputs[i].bytes) {
            edgekit_kept_input(i)[place] = byte;
            return;
        }
        place -= edgekit_inputs[i].bytes;
    }
}

static int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static void load_hex(const char *hex) {
    if (strlen(hex) % 2) {
        say_error("Insufficent number of hex digits", "");
        return;
    }
    for (; *hex; hex += 2) {
        int high = digit(hex[0]), low = digit(hex[1]);
        if (high < 0 || low < 0) {
            char pair[3] = {hex[0], hex[1], 0};
            say_error("Invalid hex digit ", pair);
            return;
        }
        if (loaded < load_bytes) {
            store((uint8_t)(high << 4 | low));
            if (loaded == load_bytes) {
                say("m-load-done\r\n");
                return;
            }
        }
    }
}

static void load(const char *argument) {
    long bytes = argument ? atol(argument) : 0;
    loaded = load_bytes = 0;
    if (argument == NULL) {
        say_error("Command 'db load' requires the # of bytes", "");
    } else if (bytes <= 0) {
        say_error("Command 'db load' must be >0 bytes", "");
    } else if ((unsigned long)bytes > input_bytes()) {
        say_error("The model takes fewer bytes than ", argument);
    } else {
        load_bytes = (uint32_t)bytes;
        say("m-[Expecting ");
        say_number(load_bytes);
        say(" bytes]\r\n");
    }
}

static void buffer(void) {
    const char *what = next_word();
    if (what == NULL)
        say_error("Command 'db' requires a subcommand", "");
    else if (strcmp(what, "load") == 0)
        load(next_word());
    else
        load_hex(what);
}

static double element(const edgekit_tensor *tensor, const uint8_t *bytes, uint32_t place) {
    if (strcmp(tensor->dtype, "float32") == 0) {
        float value;
        memcpy(&value, bytes + 4 * place, sizeof value);
        return (double)value;
    }
    int32_t value = 0;
    if (strcmp(tensor->dtype, "int8") == 0) {
        value = (int8_t)bytes[place];
    } else if (strcmp(tensor->dtype, "uint8") == 0) {
        value = bytes[place];
    } else if (strcmp(tensor->dtype, "int16") == 0) {
        int16_t wide;
        memcpy(&wide, bytes + 2 * place, sizeof wide);
        value = wide;
    } else {
        memcpy(&value, bytes + 4 * place, sizeof value);
    }
    return tensor->scale != 0.0f ? (double)tensor->scale * (double)(value - tensor->zero_point) : (double)value;
}

static void results(void) {
    say("m-results-[");
    for (uint32_t i = 0; i < EDGEKIT_OUTPUTS; ++i) {
        uint32_t count = 1;
        for (uint32_t axis = 0; axis < edgekit_outputs[i].rank; ++axis) count *= edgekit_outputs[i].shape[axis];
        for (uint32_t place = 0; place < count; ++place) {
            if (i || place) say(",");
            say_real(element(&edgekit_outputs[i], edgekit_output(i), place));
        }
    }
    say("]\r\n");
}

static void timestamp(const edgekit_port *port) {
    uint64_t ticks = hal_ticks(), hz = port->ticks_hz;
    say("m-lap-us-");
    say_number(ticks / hz * 1000000u + ticks % hz * 1000000u / hz);
    say("\r\n");
}

static void infer(const edgekit_port *port) {
    const char *first = next_word(), *second = first ? next_word() : NULL;
    long count = first ? atol(first) : 1, warmup = second ? atol(second) : 10;
    if (count <= 0) {
        say_error("Inference iterations must be >0", "");
        return;
    }
    if (warmup < 0) {
        say_error("Inference warmup must be >=0", "");
        return;
    }
    say("m-warmup-start-");
    say_number((uint64_t)warmup);
    say("\r\n");
    while (warmup-- > 0) edgekit_infer_timed();
    say("m-warmup-done\r\nm-infer-start-");
    say_number((uint64_t)count);
    say("\r\n");
    timestamp(port);
    while (count-- > 0) edgekit_infer_timed();
    timestamp(port);
    say("m-infer-done\r\n");
    results();
}

static void obey(const edgekit_port *port) {
    rest = command;
    const char *word = next_word();
    if (word == NULL) {
        say_error("Unknown command: ", "");
    } else if (strcmp(word, "name") == 0) {
        say("m-name-dut-[edgekit ");
        say(port->board);
        say("]\r\n");
    } else if (strcmp(word, "timestamp") == 0) {
        timestamp(port);
    } else if (strcmp(word, "profile") == 0) {
        say("m-profile-[ULPMark for tinyML Firmware V0.0.1]\r\nm-model-[");
        say(edgekit_model_name);
        say("]\r\n");
    } else if (strcmp(word, "db") == 0) {
        buffer();
    } else if (strcmp(word, "infer") == 0) {
        infer(port);
    } else if (strcmp(word, "results") == 0) {
        results();
    } else {
        say_error("Unknown command: ", word);
    }
    say("m-ready\r\n");
}

void edgekit_text_begin(void) {
    say("m-init-done\r\nm-ready\r\n");
    edgekit_text_forget();
}

void edgekit_text_forget(void) {
    length = 0;
    is_text = 1;
}

int edgekit_text_receive(const edgekit_port *port, uint8_t byte) {
    if (byte == 0) {
        edgekit_text_forget();
        return 0;
    }
    if (byte == '\r' || byte == '\n') return 0;
    if (byte == TERMINATOR && is_text) {
        command[length] = 0;
        obey(port);
        edgekit_text_forget();
        return 1;
    }
    is_text = is_text && byte >= ' ' && byte < 0x7f;
    if (length < COMMAND_BYTES) command[length++] = (char)byte;
    return 0;
}
