/* Requests and answers in frames, see docs/serial-protocol.md. */

#ifndef EDGEKIT_PROTOCOL_H
#define EDGEKIT_PROTOCOL_H

#include "edgekit_frame.h"
#include "edgekit_hal.h"

#define EDGEKIT_PROTOCOL_VERSION 1u
#define EDGEKIT_HARNESS_VERSION "1"

/* To be called often: goes back to the line's first rate when the host does not come through at another one. */
void edgekit_watch_rate(const edgekit_port *port);

/* Answer the request that a frame brought. */
void edgekit_answer(const edgekit_port *port, const edgekit_receiver *receiver);

#endif
