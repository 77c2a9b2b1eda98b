/*
 * Arm MPS2 with the FPGA images AN385 (Cortex-M3), AN386 (M4) and AN500 (M7), as QEMU emulates them.
 * Registers: Arm CMSDK UART (DDI 0479, 4.3); memory map and interrupts: Arm DAI 0386.
 * The compiler is told EDGEKIT_BOARD and EDGEKIT_CPU.
 */

#include "cortex_m.h"
#include "edgekit_hal.h"

#define UART ((volatile uint32_t *)0x40004000u)
enum { DATA, STATE, CTRL, INTERRUPT, BAUDDIV };
enum { TX_FULL = 1, RX_FULL = 2, TX_ENABLE = 1, RX_ENABLE = 2, RX_INTERRUPT = 8 };
#define NVIC_ISER (*(volatile uint32_t *)0xe000e100u)

#define CLOCK_HZ 25000000u
#define RING_BYTES 8192u /* a power of two */

extern uint32_t __vectors[], __flash_end[], __data_start[], __bss_end[], __stack_limit[], __stack_top[];

static edgekit_port port = {.board = EDGEKIT_BOARD, .cpu = EDGEKIT_CPU, .flags = EDGEKIT_EMULATED,
                            .ticks_hz = CLOCK_HZ, .spin_instructions = CORTEX_M_SPIN, .baud = 115200,
                            .buffered_bytes = RING_BYTES};

static uint8_t ring[RING_BYTES];
static volatile uint32_t head, tail;

/* Bytes come while the model runs: kept until hal_read asks. With the ring full the line has to wait. */
void edgekit_uart_receive(void) {
    UART[INTERRUPT] = 2;
    while (UART[STATE] & RX_FULL) {
        if (head - tail == RING_BYTES) {
            UART[CTRL] = TX_ENABLE | RX_ENABLE;
            return;
        }
        ring[head % RING_BYTES] = (uint8_t)UART[DATA];
        ++head;
    }
}

const edgekit_port *hal_init(void) {
    UART[BAUDDIV] = CLOCK_HZ / 115200u;
    UART[CTRL] = TX_ENABLE | RX_ENABLE | RX_INTERRUPT;
    NVIC_ISER = 1u; /* interrupt 0: a byte came */
    port.clock = cortex_m_start_clock();
    port.spin_ticks = cortex_m_spin_ticks();
    port.image_flash_bytes = (uint32_t)((uintptr_t)__flash_end - (uintptr_t)__vectors);
    port.image_ram_bytes = (uint32_t)((uintptr_t)__bss_end - (uintptr_t)__data_start);
    return &port;
}

int hal_read(void) {
    /* Sleep until an interrupt: one that comes between looking and sleeping is pending, and wakes all the same. */
    __asm volatile("cpsid i" ::: "memory");
    if (head == tail) __asm volatile("wfi");
    __asm volatile("cpsie i" ::: "memory");
    if (head == tail) return -1;
    int byte = ring[tail % RING_BYTES];
    ++tail;
    if (!(UART[CTRL] & RX_INTERRUPT)) {
        UART[CTRL] = TX_ENABLE | RX_ENABLE | RX_INTERRUPT;
        if (UART[STATE] & RX_FULL) { /* it came while nobody listened: its interrupt will not come again */
            ring[head % RING_BYTES] = (uint8_t)UART[DATA];
            ++head;
        }
    }
    return byte;
}

void hal_write(const uint8_t *bytes, size_t length) {
    while (length--) {
        while (UART[STATE] & TX_FULL) {
        }
        UART[DATA] = *bytes++;
    }
}

uint64_t hal_ticks(void) { return cortex_m_cycles(); }

uint32_t hal_control(int what, uint32_t value) {
    switch (what) {
    case HAL_SET_BAUD:
        if (value == 0 || CLOCK_HZ / value < 16u) return 0;
        while (UART[STATE] & TX_FULL) {
        }
        UART[BAUDDIV] = CLOCK_HZ / value;
        return 1;
    case HAL_RESET: cortex_m_reset(); return 1;
    case HAL_STACK_BYTES: return cortex_m_stack_bytes(__stack_limit, __stack_top);
    default: return 0;
    }
}

int main(void) { edgekit_run(); }
