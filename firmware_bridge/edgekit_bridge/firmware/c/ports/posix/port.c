/* A program on Linux or macOS that answers on a pseudo terminal, a TCP port, or its own input and output. */

#define _DEFAULT_SOURCE
#define _XOPEN_SOURCE 700

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "edgekit_hal.h"

static const edgekit_port port = {
    .board = "posix", .cpu = "this machine's", .clock = "CLOCK_MONOTONIC", .ticks_hz = 1000000000u,
    .baud = 115200, .buffered_bytes = 16384};

static int server = -1, in = 0, out = 1;
static uint8_t buffer[4096];
static size_t filled, taken;

const edgekit_port *hal_init(void) { return &port; }

/* Wait a little for bytes; the caller asks again. */
static void fill(void) {
    struct pollfd ready = {.fd = in, .events = POLLIN};
    taken = filled = 0;
    if (poll(&ready, 1, 10) <= 0) return;
    ssize_t got = read(in, buffer, sizeof buffer);
    if (got > 0) {
        filled = (size_t)got;
    } else if (got == 0 || (errno != EINTR && errno != EAGAIN && errno != EIO)) {
        if (server < 0) exit(0);
        close(in);
        in = out = accept(server, NULL, NULL);
    } else if (errno == EIO) { /* a pseudo terminal that nobody has open */
        usleep(10000);
    }
}

int hal_read(void) {
    if (taken == filled) fill();
    return taken < filled ? buffer[taken++] : -1;
}

void hal_write(const uint8_t *bytes, size_t length) {
    while (length) {
        ssize_t done = write(out, bytes, length);
        if (done < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (done < 0) return; /* who asked is gone */
        bytes += done;
        length -= (size_t)done;
    }
}

uint64_t hal_ticks(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint32_t hal_control(int what, uint32_t value) {
    (void)value;
    return what == HAL_SET_BAUD; /* whatever a pseudo terminal is said to run at */
}

static void listen_on(const char *number) {
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(number))};
    int yes = 1;
    socklen_t size = sizeof where;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(server, (struct sockaddr *)&where, sizeof where) || listen(server, 1)) {
        perror("edgekit firmware");
        exit(1);
    }
    getsockname(server, (struct sockaddr *)&where, &size);
    printf("serial:socket://127.0.0.1:%d\n", ntohs(where.sin_port));
    fflush(stdout);
    in = out = accept(server, NULL, NULL);
    setsockopt(in, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

static void open_terminal(void) {
    struct termios raw;
    in = out = posix_openpt(O_RDWR | O_NOCTTY);
    if (in < 0 || grantpt(in) || unlockpt(in)) {
        perror("edgekit firmware");
        exit(1);
    }
    int other = open(ptsname(in), O_RDWR | O_NOCTTY); /* kept open: whoever comes and goes ends nothing */
    tcgetattr(other, &raw);
    cfmakeraw(&raw);
    tcsetattr(other, TCSANOW, &raw);
    printf("serial:%s\n", ptsname(in));
    fflush(stdout);
}

int main(int count, char **words) {
    signal(SIGPIPE, SIG_IGN);
    if (count == 2 && strcmp(words[1], "--pty") == 0) {
        open_terminal();
    } else if (count == 3 && strcmp(words[1], "--tcp") == 0) {
        listen_on(words[2]);
    } else if (count > 1) {
        fprintf(stderr, "Usage: %s [--pty | --tcp PORT]   PORT 0 takes a free one; the URL is printed\n", words[0]);
        return 2;
    }
    edgekit_run();
}
