/*
 * Lets a program written for libnetfilter_queue (or any other user of NETLINK_NETFILTER sockets) run against iptsim: without root, without a kernel
 * that queues anything, and without changing the program. `iptsim queue run -- PROGRAM ARGS` builds this file with cc and preloads it.
 *
 *   cc -shared -fPIC -O2 -o shim.so frames.c sockets.c waiting.c -ldl -lpthread
 *
 * socket(AF_NETLINK, ..., NETLINK_NETFILTER) gives a stream socket to iptsim (path in $IPTSIM_NFQUEUE) in place of a netlink socket. It is a real
 * descriptor: poll, select and epoll work on it as they are. What the program sends and receives goes in frames:
 *
 *   program to iptsim:  u32 kind, u32 length, bytes   kind 0: a netlink datagram; 1: the program waits, having received as many
 *                                                     datagrams as the u32 that follows; 2: name of interface wanted (u32 index); 3: it asked for more and did not wait
 *   iptsim to program:  u32 length, bytes             a netlink datagram; on a connection opened for names: the name
 *
 * all numbers in the machine's own byte order. The notice that the program waits (it calls recv, poll, select or epoll_wait and there is
 * nothing to read) tells iptsim that a packet without verdict is kept back on purpose, as for a batch verdict; nothing depends on time.
 *
 * Out of reach are programs that make system calls without the C library: statically linked ones and most of those written in Go.
 */
#ifndef IPTSIM_NFQUEUE_SHIM_H
#define IPTSIM_NFQUEUE_SHIM_H

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

enum { DATAGRAM = 0, WAITING = 1, NAME = 2, EMPTY = 3, DESCRIPTORS = 1024 };

/* Of these names the program must see nothing. */
#define INNER __attribute__((visibility("hidden")))

/* What is known of a descriptor; `port` is 0 for all that are not ours. */
struct descriptor {
	uint32_t port;
	uint32_t received;
	int epoll; /* descriptor + 1 of the epoll that watches it */
	int polled; /* EMPTY was said */
};
extern INNER struct descriptor table[DESCRIPTORS];
extern INNER pthread_mutex_t lock;

/* The function of the C library that one of ours stands in for. */
#define REAL(name) \
	static __typeof__(&name) real; \
	if (!real) real = (__typeof__(real))dlsym(RTLD_NEXT, #name)

INNER int ours(int fd);
INNER ssize_t real_recv(int fd, void *bytes, size_t length, int flags);
/* All of `length` bytes, also where the descriptor does not block. */
INNER int take(int fd, void *bytes, size_t length);
INNER int put_frame(int fd, uint32_t kind, const struct iovec *parts, size_t count);
INNER int is_empty(int fd);
INNER void tell_waiting(int fd);
/* A program that never waits, but looks again and again: it is there. */
INNER void tell_empty(int fd);
/* A stream to iptsim; `type` may hold SOCK_NONBLOCK and SOCK_CLOEXEC. */
INNER int connect_to_iptsim(int type);
/* A datagram, as recvmsg would give it. */
INNER ssize_t receive(int fd, const struct iovec *parts, size_t count, int flags, int *truncated);

#endif
