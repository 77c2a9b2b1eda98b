/* The harness: bytes in, frames and commands out of them, answers back. */

#include "edgekit_frame.h"
#include "edgekit_gf256.h"
#include "edgekit_hal.h"
#include "edgekit_protocol.h"
#include "edgekit_text.h"

/* A pause within a frame that means that its rest is lost: 50 ms are the time of 576 bytes at 115200 baud. */
#define PAUSE_MS 50u

static edgekit_receiver receiver;

void edgekit_run(void) {
    const edgekit_port *port = hal_init();
    uint64_t pause = (uint64_t)port->ticks_hz * PAUSE_MS / 1000u, last = hal_ticks();
    edgekit_gf256_init();
    edgekit_text_begin();
    for (;;) {
        int byte = hal_read();
        edgekit_watch_rate(port);
        if (byte < 0) continue;
        uint64_t now = hal_ticks();
        if (now - last > pause) edgekit_forget(&receiver); /* a text command may be typed by hand: it waits */
        if (edgekit_text_receive(port, (uint8_t)byte))
            edgekit_forget(&receiver);
        else if (edgekit_receive(&receiver, (uint8_t)byte))
            edgekit_answer(port, &receiver);
        last = hal_ticks(); /* answering takes time, in which bytes have come */
    }
}
