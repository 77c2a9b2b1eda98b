/* An Arduino Uno for the tests: simavr's ATmega328P with a real bootloader, its UART on a pty.
 *
 *     arduino_board BOOTLOADER.hex DUMP.bin
 *
 * Writes the pty's name, then runs until SIGTERM; what its flash then holds goes to DUMP.bin. SIGUSR1 resets it. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <parts/uart_pty.h>
#include <sim_avr.h>
#include <sim_hex.h>

static volatile sig_atomic_t ended, reset;

static void on_end(int number) { (void)number; ended = 1; }
static void on_reset(int number) { (void)number; reset = 1; }

int main(int count, char **words)
{
    uint32_t size, base;
    uint8_t *boot = count == 3 ? read_ihex_file(words[1], &size, &base) : NULL;
    avr_t *avr = avr_make_mcu_by_name("atmega328p");
    uart_pty_t uart;
    if (!boot || !avr)
        return 1;
    signal(SIGTERM, on_end);
    signal(SIGUSR1, on_reset);
    avr_init(avr);
    avr->frequency = 16000000;
    memset(avr->flash, 0xff, avr->flashend + 1);
    memcpy(avr->flash + base, boot, size);
    avr->reset_pc = base;
    avr->codeend = avr->flashend;
    avr_reset(avr);
    uart_pty_init(avr, &uart);
    uart_pty_connect(&uart, '0');
    fprintf(stdout, "\npty %s\n", uart.pty.slavename);
    fflush(stdout);
    while (!ended) {
        int state = avr_run(avr);
        if (reset || state == cpu_Done || state == cpu_Crashed) {
            reset = 0;
            avr_reset(avr);
        }
    }
    FILE *dump = fopen(words[2], "wb");
    if (dump) {
        fwrite(avr->flash, 1, avr->flashend + 1, dump);
        fclose(dump);
    }
    _exit(dump ? 0 : 1);
}
