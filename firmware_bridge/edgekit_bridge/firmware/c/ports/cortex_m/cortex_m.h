/* What every Cortex-M with ARMv7-M or ARMv8-M Mainline has: its clock, its stack, its reset. */

#ifndef EDGEKIT_CORTEX_M_H
#define EDGEKIT_CORTEX_M_H

#include <stdint.h>

/* Start the cycle counter; gives its name. It is DWT's CYCCNT, or SysTick where that does not count (QEMU, Cortex-M0). */
const char *cortex_m_start_clock(void);

/* As above where SysTick is somebody else's (STM32Cube's HAL): CYCCNT, or nothing. */
const char *cortex_m_use_cyccnt(void);

/* Cycles since then, as 64 bits. */
uint64_t cortex_m_cycles(void);

/* To be called by the SysTick interrupt. */
void cortex_m_systick(void);

/* Ticks that a loop of CORTEX_M_SPIN instructions takes: whether an emulator's ticks count instructions. */
#define CORTEX_M_SPIN 200000u
uint32_t cortex_m_spin_ticks(void);

/* Fill what of the stack is free, between its limit and now; and how much of it was used since. */
void cortex_m_paint_stack(uint32_t *limit);
uint32_t cortex_m_stack_bytes(const uint32_t *limit, const uint32_t *top);

void cortex_m_reset(void);

#endif
