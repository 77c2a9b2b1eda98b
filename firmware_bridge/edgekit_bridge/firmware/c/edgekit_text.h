/* The text protocol of MLPerf Tiny firmware, see docs/serial-protocol.md. */

#ifndef EDGEKIT_TEXT_H
#define EDGEKIT_TEXT_H

#include <stdint.h>

#include "edgekit_hal.h"

/* Greet as such firmware does when it starts. */
void edgekit_text_begin(void);

/* Take a byte that came. Gives 1 when it ended a command of the text protocol, which has been answered. */
int edgekit_text_receive(const edgekit_port *port, uint8_t byte);

/* Forget an unfinished command. */
void edgekit_text_forget(void);

#endif
