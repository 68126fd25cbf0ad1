/* The yardstick of a load client: epoll, recv, memmem, and nothing else. It sends one request again and again on each of
 * some connections and prints the events that it counted and the CPU seconds that it took.
 *
 *     load_reader PORT CONNECTIONS STREAMS_OF_EACH RAMP_SECONDS < request
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

int main(int count, char **words) {
    if (count != 5) return 2;
    int port = atoi(words[1]), connections = atoi(words[2]), each = atoi(words[3]);
    double ramp = atof(words[4]);
    static char request[1 << 16], buffer[1 << 18];
    size_t size = fread(request, 1, sizeof request, stdin);
    int poll = epoll_create1(0), *left = calloc(connections + 100, sizeof *left), started = 0, open = connections;
    int *sockets = calloc(connections, sizeof *sockets);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int i = 0; i < connections; i++) {
        int one = 1, fd = sockets[i] = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fd, (struct sockaddr *)&to, sizeof to)) return 3;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
        left[fd] = each;
    }
    long events = 0;
    double begin = now();
    struct epoll_event ready[256];
    while (open) {
        while (started < connections && now() >= begin + ramp * started / connections)
            if (write(sockets[started++], request, size) < 0) return 4;
        int found = epoll_wait(poll, ready, 256, started < connections ? 1 : 1000);
        for (int i = 0; i < found; i++) {
            int fd = ready[i].data.fd;
            ssize_t got = recv(fd, buffer, sizeof buffer, 0);
            if (got <= 0) return 5;
            for (char *at = buffer; (at = memmem(at, buffer + got - at, "data: {", 7)); at += 7) events++;
            if (got >= 5 && !memcmp(buffer + got - 5, "0\r\n\r\n", 5)) {
                if (--left[fd]) {
                    if (write(fd, request, size) < 0) return 4;
                } else {
                    close(fd);
                    open--;
                }
            }
        }
    }
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf("%ld %.6f\n", events, used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6);
    return 0;
}
