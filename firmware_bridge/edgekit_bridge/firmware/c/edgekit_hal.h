/* What the harness needs of a board: five functions and a few facts. A port is one file that gives them. */

#ifndef EDGEKIT_HAL_H
#define EDGEKIT_HAL_H

#include <stddef.h>
#include <stdint.h>

/* The board is emulated: its clock says nothing of a real one's speed. */
#define EDGEKIT_EMULATED 1u

typedef struct {
    const char *board;          /* the target profile's name, such as "stm32f746" */
    const char *cpu;            /* "Cortex-M4" */
    const char *clock;          /* what hal_ticks counts: "DWT CYCCNT", "SysTick", "CLOCK_MONOTONIC" */
    uint32_t flags;             /* EDGEKIT_EMULATED */
    uint32_t ticks_hz;          /* ticks in a second */
    uint32_t spin_instructions; /* a loop of so many instructions … */
    uint32_t spin_ticks;        /* … took so many ticks; 0: not measured. Tells whether ticks count instructions. */
    uint32_t image_flash_bytes; /* code, constants and initial values; 0: not known */
    uint32_t image_ram_bytes;   /* variables, the arena among them, without the stack; 0: not known */
    uint32_t baud;              /* the line's rate at the start */
    uint32_t buffered_bytes;    /* how many received bytes wait while the model runs: the line's window */
} edgekit_port;

enum { HAL_SET_BAUD, HAL_RESET, HAL_STACK_BYTES };

/* Set up line and clock; called once. */
const edgekit_port *hal_init(void);

/* The next byte that came, or -1 when there is none; it may wait for one, as it likes. */
int hal_read(void);

/* Send; returns when all is on its way. */
void hal_write(const uint8_t *bytes, size_t length);

/* Ticks since the start; goes on forever, never back. */
uint64_t hal_ticks(void);

/*
 * HAL_SET_BAUD: send what is left, then use this rate; 0 when the board cannot.
 * HAL_RESET: start the board again; 0 when it cannot.
 * HAL_STACK_BYTES: the deepest the stack has been, 0 when not known.
 */
uint32_t hal_control(int what, uint32_t value);

/* The harness; a port's main calls it, and it does not return. */
void edgekit_run(void);

#endif
