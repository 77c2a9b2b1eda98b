/* From reset to main, for linker scripts that name the places below. */

#include <stdint.h>
#include <string.h>

#include "cortex_m.h"

extern uint32_t __data_load[], __data_start[], __data_end[], __bss_start[], __bss_end[], __stack_limit[], __stack_top[];

int main(void);
void edgekit_uart_receive(void);

void Reset_Handler(void) {
    *(volatile uint32_t *)0xe000ed88u |= 0xfu << 20; /* CPACR: the floating-point unit, where there is one */
    __asm volatile("dsb\n\tisb");
    cortex_m_paint_stack(__stack_limit);
    memcpy(__data_start, __data_load, (size_t)((uintptr_t)__data_end - (uintptr_t)__data_start));
    memset(__bss_start, 0, (size_t)((uintptr_t)__bss_end - (uintptr_t)__bss_start));
    (void)main();
    cortex_m_reset();
}

/* A fault would hang the line; after a reset the host is told that its session is over. */
static void fault(void) { cortex_m_reset(); }

static void ignore(void) {}

__attribute__((section(".vectors"), used)) static void (*const vectors[])(void) = {
    (void (*)(void))__stack_top, Reset_Handler, fault, fault, fault, fault, fault, 0, 0, 0, 0, ignore, ignore, 0, ignore,
    cortex_m_systick, edgekit_uart_receive,
};
