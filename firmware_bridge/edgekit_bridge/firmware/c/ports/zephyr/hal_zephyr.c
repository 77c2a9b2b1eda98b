/* Zephyr: the console's UART by interrupt, time by the kernel's cycle counter. Not compiled by edgekit's tests. */

#include <zephyr/device.h>
#include <zephyr/drivers/uart.h>
#include <zephyr/kernel.h>
#include <zephyr/sys/reboot.h>
#include <zephyr/sys/ring_buffer.h>

#include "edgekit_board.h"
#include "edgekit_hal.h"

#define RING_BYTES 4096
RING_BUF_DECLARE(ring, RING_BYTES);

static const struct device *const line = DEVICE_DT_GET(DT_CHOSEN(zephyr_console));
static edgekit_port port = {.board = EDGEKIT_BOARD, .cpu = CONFIG_ARCH, .clock = "k_cycle_get", .baud = 115200,
                            .buffered_bytes = RING_BYTES};

static void received(const struct device *device, void *user) {
    uint8_t bytes[16];
    (void)user;
    while (uart_irq_update(device) && uart_irq_rx_ready(device)) {
        int count = uart_fifo_read(device, bytes, sizeof bytes);
        if (count <= 0) break;
        ring_buf_put(&ring, bytes, (uint32_t)count);
    }
}

const edgekit_port *hal_init(void) {
    uart_irq_callback_user_data_set(line, received, NULL);
    uart_irq_rx_enable(line);
    port.ticks_hz = sys_clock_hw_cycles_per_sec();
    return &port;
}

int hal_read(void) {
    uint8_t byte;
    return ring_buf_get(&ring, &byte, 1) == 1 ? byte : -1;
}

void hal_write(const uint8_t *bytes, size_t length) {
    while (length--) uart_poll_out(line, *bytes++);
}

uint64_t hal_ticks(void) {
#ifdef CONFIG_TIMER_HAS_64BIT_CYCLE_COUNTER
    return k_cycle_get_64();
#else
    static uint32_t before, high;
    uint32_t now = k_cycle_get_32();
    if (now < before) ++high;
    before = now;
    return (uint64_t)high << 32 | now;
#endif
}

uint32_t hal_control(int what, uint32_t value) {
    if (what == HAL_RESET) sys_reboot(SYS_REBOOT_COLD);
#ifdef CONFIG_UART_USE_RUNTIME_CONFIGURE
    if (what == HAL_SET_BAUD) {
        struct uart_config config;
        if (uart_config_get(line, &config)) return 0;
        config.baudrate = value;
        return uart_configure(line, &config) == 0;
    }
#endif
    (void)value;
    return 0;
}

int main(void) {
    edgekit_run();
    return 0;
}
