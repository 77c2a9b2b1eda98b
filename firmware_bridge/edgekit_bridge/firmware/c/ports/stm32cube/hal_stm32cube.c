/*
 * STM32Cube HAL: a UART by interrupt, time by DWT or SysTick. Not compiled by edgekit's tests.
 * Call edgekit_run() at the end of main(), and edgekit_uart_byte() from HAL_UART_RxCpltCallback.
 */

#include "cortex_m.h"
#include "edgekit_board.h"
#include "edgekit_hal.h"
#include "main.h"

#ifndef EDGEKIT_UART
#define EDGEKIT_UART huart3 /* the ST-LINK's virtual COM port on Nucleo-144; huart1 on Discovery, huart2 on Nucleo-64 */
#endif

extern UART_HandleTypeDef EDGEKIT_UART;

#define RING_BYTES 4096u
static uint8_t ring[RING_BYTES], received;
static volatile uint32_t head, tail;

static edgekit_port port = {.board = EDGEKIT_BOARD, .cpu = "Cortex-M", .baud = 115200, .buffered_bytes = RING_BYTES};

void edgekit_uart_byte(UART_HandleTypeDef *uart) {
    if (uart != &EDGEKIT_UART) return;
    if (head - tail < RING_BYTES) ring[head++ % RING_BYTES] = received;
    HAL_UART_Receive_IT(uart, &received, 1);
}

const edgekit_port *hal_init(void) {
    port.clock = cortex_m_use_cyccnt();
    port.ticks_hz = HAL_RCC_GetHCLKFreq();
    HAL_UART_Receive_IT(&EDGEKIT_UART, &received, 1);
    return &port;
}

int hal_read(void) { return head == tail ? -1 : ring[tail++ % RING_BYTES]; }

void hal_write(const uint8_t *bytes, size_t length) {
    HAL_UART_Transmit(&EDGEKIT_UART, (uint8_t *)bytes, (uint16_t)length, HAL_MAX_DELAY);
}

uint64_t hal_ticks(void) { return cortex_m_cycles(); }

uint32_t hal_control(int what, uint32_t value) {
    if (what == HAL_RESET) NVIC_SystemReset();
    if (what == HAL_SET_BAUD) {
        EDGEKIT_UART.Init.BaudRate = value;
        uint32_t done = HAL_UART_Init(&EDGEKIT_UART) == HAL_OK;
        HAL_UART_Receive_IT(&EDGEKIT_UART, &received, 1);
        return done;
    }
    return 0;
}
