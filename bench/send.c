/* Sends two captures, merged by time, into a router namespace and tells how fast the router took them.
 *
 *   send ROUTER_NETNS PEER_NETNS PCAP0 PCAP1 SECONDS
 *
 * PCAP0 leaves the peer's device p0, PCAP1 its p1, once and in order, for SECONDS at most. At most WINDOW packets wait at the
 * router, so that it always has work and loses none. Prints: packets received, seconds, packets that left again.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define WINDOW 768
#define BATCH 32

struct capture { const uint8_t *at, *end; int fd; };

static void fail(const char *what) { perror(what); exit(1); }

static void enter(const char *path) {
    int fd = open(path, O_RDONLY);
    if (fd < 0 || setns(fd, CLONE_NEWNET)) fail(path);
    close(fd);
}

static struct capture load(const char *path, const char *device) {
    struct stat st;
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &st)) fail(path);
    const uint8_t *bytes = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = if_nametoindex(device) };
    struct capture c = { bytes + 24, bytes + st.st_size, socket(AF_PACKET, SOCK_RAW, 0) };
    if (bytes == MAP_FAILED || c.fd < 0 || bind(c.fd, (struct sockaddr *)&to, sizeof to)) fail(device);
    return c;
}

static uint64_t when(const struct capture *c) {
    uint32_t t[2];
    if (c->at >= c->end) return UINT64_MAX;
    memcpy(t, c->at, 8);
    return (uint64_t)t[0] * 1000000 + t[1];
}

/* InReceives and OutTransmits: the first line names what the second one counts. */
static void counters(int fd, uint64_t *received, uint64_t *transmitted) {
    char text[4096], *names, *values, *name_end, *value_end;
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    if (n < 0) fail("snmp");
    text[n] = 0;
    names = strtok_r(text, "\n", &values);
    values = strtok_r(NULL, "\n", &values);
    char *name = strtok_r(names, " ", &name_end), *value = strtok_r(values, " ", &value_end);
    for (; name && value; name = strtok_r(NULL, " ", &name_end), value = strtok_r(NULL, " ", &value_end)) {
        if (!strcmp(name, "InReceives")) *received = strtoull(value, NULL, 10);
        if (!strcmp(name, "OutTransmits")) *transmitted = strtoull(value, NULL, 10);
    }
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    cpu_set_t cpu;
    if (argc != 6) return 2;
    CPU_ZERO(&cpu);
    CPU_SET(0, &cpu);
    sched_setaffinity(0, sizeof cpu, &cpu);
    enter(argv[2]);
    struct capture c[2] = { load(argv[3], "p0"), load(argv[4], "p1") };
    enter(argv[1]);
    int snmp = open("/proc/thread-self/net/snmp", O_RDONLY);
    uint64_t first = 0, before = 0, got, forwarded = 0, sent = 0;
    if (snmp < 0) fail("snmp");
    counters(snmp, &first, &before);
    double start = now(), end = start + atof(argv[5]), last = start;
    got = first;
    while (last < end) {
        for (int i = 0; i < BATCH; i++) {
            struct capture *next = when(c) <= when(c + 1) ? c : c + 1;
            uint32_t length;
            if (next->at >= next->end) break;
            memcpy(&length, next->at + 8, 4);
            if (send(next->fd, next->at + 16, length, 0) >= 0) sent++;
            next->at += 16 + length;
        }
        int done = c[0].at >= c[0].end && c[1].at >= c[1].end;
        do {
            counters(snmp, &got, &forwarded);
            last = now();
        } while (sent - (got - first) > (done ? 0 : WINDOW) && last < end);
        if (done) break;
    }
    printf("%llu %.6f %llu\n", (unsigned long long)(got - first), last - start, (unsigned long long)(forwarded - before));
    return 0;
}
