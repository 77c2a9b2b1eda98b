/* See cortex_m.h. Registers: ARMv7-M Architecture Reference Manual (DDI 0403), B3.3 SysTick, C1.6 DEMCR, C1.8 DWT. */

#include "cortex_m.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define DEMCR REGISTER(0xe000edfcu)
#define DWT_CTRL REGISTER(0xe0001000u)
#define DWT_CYCCNT REGISTER(0xe0001004u)
#define SYST_CSR REGISTER(0xe000e010u)
#define SYST_RVR REGISTER(0xe000e014u)
#define SYST_CVR REGISTER(0xe000e018u)
#define AIRCR REGISTER(0xe000ed0cu)

#define PERIOD (1u << 24)
#define PAINT 0xa5a5a5a5u

static volatile uint32_t periods;
static int has_cyccnt;
static uint32_t cyccnt_before, cyccnt_high;

const char *cortex_m_use_cyccnt(void) {
    DEMCR |= 1u << 24; /* TRCENA */
    DWT_CYCCNT = 0;
    DWT_CTRL |= 1u;
    for (volatile unsigned wait = 0; wait < 16; ++wait) {
    }
    has_cyccnt = DWT_CYCCNT != 0;
    return has_cyccnt ? "DWT CYCCNT" : "none";
}

const char *cortex_m_start_clock(void) {
    const char *name = cortex_m_use_cyccnt();
    SYST_RVR = PERIOD - 1u;
    SYST_CVR = 0;
    SYST_CSR = 7u; /* the processor's clock, with its interrupt */
    return has_cyccnt ? name : "SysTick";
}

static uint64_t cyccnt(void) {
    uint32_t masked, now;
    __asm volatile("mrs %0, primask\n\tcpsid i" : "=r"(masked)::"memory");
    now = DWT_CYCCNT;
    if (now < cyccnt_before) ++cyccnt_high;
    cyccnt_before = now;
    uint64_t cycles = (uint64_t)cyccnt_high << 32 | now;
    __asm volatile("msr primask, %0" ::"r"(masked) : "memory");
    return cycles;
}

/* The interrupt comes when the counter reaches 0, which it shows for one tick before it begins again. */
static uint64_t systick(void) {
    uint32_t before, value;
    do {
        before = periods;
        value = SYST_CVR;
    } while (before != periods);
    return (uint64_t)before * PERIOD + ((PERIOD - value) & (PERIOD - 1u));
}

uint64_t cortex_m_cycles(void) { return has_cyccnt ? cyccnt() : systick(); }

void cortex_m_systick(void) {
    ++periods;
    if (has_cyccnt) (void)cyccnt(); /* often enough to see that its 32 bits have begun again */
}

uint32_t cortex_m_spin_ticks(void) {
    uint32_t turns = CORTEX_M_SPIN / 2u;
    uint64_t began = cortex_m_cycles();
    __asm volatile("1: subs %0, %0, #1\n\tbne 1b" : "+r"(turns)::"cc");
    return (uint32_t)(cortex_m_cycles() - began);
}

void cortex_m_paint_stack(uint32_t *limit) {
    uint32_t *here;
    __asm volatile("mov %0, sp" : "=r"(here));
    for (uint32_t *place = limit; place < here - 64; ++place) *place = PAINT; /* compiled to a call, which has a frame */
}

uint32_t cortex_m_stack_bytes(const uint32_t *limit, const uint32_t *top) {
    const uint32_t *place = limit;
    while (place < top && *place == PAINT) ++place;
    return (uint32_t)((uintptr_t)top - (uintptr_t)place);
}

void cortex_m_reset(void) {
    AIRCR = 0x05fa0004u; /* SYSRESETREQ */
    for (;;) {
    }
}
