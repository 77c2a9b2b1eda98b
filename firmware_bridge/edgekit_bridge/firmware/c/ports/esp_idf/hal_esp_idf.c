/* ESP-IDF: UART 0 by its driver, time by the CPU's cycle counter. Not compiled by edgekit's tests. */

#include "driver/uart.h"
#include "edgekit_board.h"
#include "edgekit_hal.h"
#include "esp_clk_tree.h"
#include "esp_cpu.h"
#include "esp_system.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"
#include "sdkconfig.h"

#define RING_BYTES 4096

static edgekit_port port = {.board = EDGEKIT_BOARD, .cpu = CONFIG_IDF_TARGET, .clock = "CPU cycles",
                            .baud = 115200, .buffered_bytes = RING_BYTES};

const edgekit_port *hal_init(void) {
    const uart_config_t config = {.baud_rate = 115200, .data_bits = UART_DATA_8_BITS, .parity = UART_PARITY_DISABLE,
                                  .stop_bits = UART_STOP_BITS_1, .flow_ctrl = UART_HW_FLOWCTRL_DISABLE,
                                  .source_clk = UART_SCLK_DEFAULT};
    uint32_t hertz = 0;
    uart_driver_install(UART_NUM_0, RING_BYTES, 0, 0, NULL, 0);
    uart_param_config(UART_NUM_0, &config);
    esp_clk_tree_src_get_freq_hz(SOC_MOD_CLK_CPU, ESP_CLK_TREE_SRC_FREQ_PRECISION_EXACT, &hertz);
    port.ticks_hz = hertz;
    return &port;
}

int hal_read(void) {
    uint8_t byte;
    return uart_read_bytes(UART_NUM_0, &byte, 1, 1) == 1 ? byte : -1;
}

void hal_write(const uint8_t *bytes, size_t length) { uart_write_bytes(UART_NUM_0, bytes, length); }

uint64_t hal_ticks(void) {
    static uint32_t before, high;
    uint32_t now = esp_cpu_get_cycle_count();
    if (now < before) ++high;
    before = now;
    return (uint64_t)high << 32 | now;
}

uint32_t hal_control(int what, uint32_t value) {
    if (what == HAL_RESET) esp_restart();
    if (what == HAL_SET_BAUD) {
        uart_wait_tx_done(UART_NUM_0, pdMS_TO_TICKS(1000));
        return uart_set_baudrate(UART_NUM_0, value) == ESP_OK;
    }
    if (what == HAL_STACK_BYTES) return CONFIG_ESP_MAIN_TASK_STACK_SIZE - uxTaskGetStackHighWaterMark(NULL);
    return 0;
}

void app_main(void) { edgekit_run(); }
