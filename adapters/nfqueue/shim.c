/*
 * Lets a program written for libnetfilter_queue (or any other user of NETLINK_NETFILTER sockets) run against iptsim: without root, without a kernel
 * that queues anything, and without changing the program. `iptsim queue run -- PROGRAM ARGS` builds this file with cc and preloads it.
 *
 *   cc -shared -fPIC -O2 -o shim.so shim.c -ldl -lpthread
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

/* What is known of a descriptor; `port` is 0 for all that are not ours. */
static struct {
	uint32_t port;
	uint32_t received;
	int epoll; /* descriptor + 1 of the epoll that watches it */
	int polled; /* EMPTY was said */
} table[DESCRIPTORS];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t sockets;

#define REAL(name) \
	static __typeof__(&name) real; \
	if (!real) real = (__typeof__(real))dlsym(RTLD_NEXT, #name)

static int ours(int fd)
{
	return fd >= 0 && fd < DESCRIPTORS && table[fd].port != 0;
}

/* ---- frames -------------------------------------------------------------------------------------------------------- */

static ssize_t real_recv(int fd, void *bytes, size_t length, int flags)
{
	REAL(recv);
	return real(fd, bytes, length, flags);
}

static int put(int fd, const void *bytes, size_t length)
{
	REAL(send);
	const char *at = bytes;
	while (length > 0) {
		ssize_t sent = real(fd, at, length, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR) continue;
		if (sent < 0 && errno == EAGAIN) {
			REAL(poll);
			struct pollfd room = { fd, POLLOUT, 0 };
			real(&room, 1, -1);
			continue;
		}
		if (sent < 0) return -1;
		at += sent;
		length -= (size_t)sent;
	}
	return 0;
}

/* All of `length` bytes, also where the descriptor does not block. */
static int take(int fd, void *bytes, size_t length)
{
	char *at = bytes;
	while (length > 0) {
		ssize_t got = real_recv(fd, at, length, 0);
		if (got < 0 && errno == EINTR) continue;
		if (got < 0 && errno == EAGAIN) {
			REAL(poll);
			struct pollfd data = { fd, POLLIN, 0 };
			real(&data, 1, -1);
			continue;
		}
		if (got <= 0) return -1;
		at += got;
		length -= (size_t)got;
	}
	return 0;
}

static int put_frame(int fd, uint32_t kind, const struct iovec *parts, size_t count)
{
	uint32_t head[2] = { kind, 0 };
	int result;
	for (size_t i = 0; i < count; i++) head[1] += (uint32_t)parts[i].iov_len;
	pthread_mutex_lock(&lock);
	result = put(fd, head, sizeof(head));
	for (size_t i = 0; result == 0 && i < count; i++) result = put(fd, parts[i].iov_base, parts[i].iov_len);
	pthread_mutex_unlock(&lock);
	return result < 0 ? -1 : (int)head[1];
}

static int is_empty(int fd)
{
	char byte;
	int kept = errno;
	int empty = real_recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
	errno = kept;
	return empty;
}

static void tell_waiting(int fd)
{
	int kept = errno;
	struct iovec part = { &table[fd].received, sizeof(uint32_t) };
	put_frame(fd, WAITING, &part, 1);
	errno = kept;
}

/* A program that never waits, but looks again and again: it is there. */
static void tell_empty(int fd)
{
	int kept = errno;
	if (!table[fd].polled) put_frame(fd, EMPTY, NULL, 0);
	table[fd].polled = 1;
	errno = kept;
}

/* A stream to iptsim; `type` may hold SOCK_NONBLOCK and SOCK_CLOEXEC. */
static int connect_to_iptsim(int type)
{
	REAL(connect);
	const char *path = getenv("IPTSIM_NFQUEUE");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int (*make)(int, int, int) = (int (*)(int, int, int))dlsym(RTLD_NEXT, "socket");
	int fd;
	if (path == NULL || strlen(path) >= sizeof(address.sun_path)) {
		errno = EPROTONOSUPPORT;
		return -1;
	}
	strcpy(address.sun_path, path);
	fd = make(AF_UNIX, SOCK_STREAM | (type & SOCK_CLOEXEC), 0);
	if (fd < 0) return -1;
	if (fd >= DESCRIPTORS || real(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int reason = fd >= DESCRIPTORS ? EMFILE : errno;
		close(fd);
		errno = reason;
		return -1;
	}
	if (type & SOCK_NONBLOCK) fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static ssize_t receive(int fd, const struct iovec *parts, size_t count, int flags, int *truncated)
{
	size_t room = 0, at = 0;
	uint32_t length;
	char *frame;
	*truncated = 0;
	for (size_t i = 0; i < count; i++) room += parts[i].iov_len;
	if (is_empty(fd)) {
		char byte;
		if ((flags & MSG_DONTWAIT) || (fcntl(fd, F_GETFL) & O_NONBLOCK)) {
			tell_empty(fd);
			errno = EAGAIN;
			return -1;
		}
		tell_waiting(fd);
		/* Keeps to a time limit that was set with SO_RCVTIMEO, and to signals. */
		if (real_recv(fd, &byte, 1, MSG_PEEK) < 0) return -1;
	}
	if (flags & MSG_PEEK) {
		if (real_recv(fd, &length, sizeof(length), MSG_PEEK | MSG_WAITALL) != sizeof(length)) goto gone;
	} else if (take(fd, &length, sizeof(length)) < 0) goto gone;
	frame = malloc((size_t)length + sizeof(length));
	if (frame == NULL) return -1;
	if (flags & MSG_PEEK) {
		ssize_t whole = (ssize_t)(length + sizeof(length));
		if (real_recv(fd, frame, (size_t)whole, MSG_PEEK | MSG_WAITALL) != whole) goto broken;
		memmove(frame, frame + sizeof(length), length);
	} else {
		if (take(fd, frame, length) < 0) goto broken;
		table[fd].received++;
	}
	for (size_t i = 0; i < count && at < length; i++) {
		size_t part = parts[i].iov_len < length - at ? parts[i].iov_len : length - at;
		memcpy(parts[i].iov_base, frame + at, part);
		at += part;
	}
	free(frame);
	*truncated = length > room;
	return (flags & MSG_TRUNC) ? (ssize_t)length : (ssize_t)at;
broken:
	free(frame);
gone:
	/* iptsim has gone: what a socket says that is shut down. */
	errno = ESHUTDOWN;
	return -1;
}

/* The sender of all messages is the kernel: port 0. */
static void kernel_address(void *address, socklen_t *length)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	if (address == NULL || length == NULL) return;
	memcpy(address, &kernel, *length < sizeof(kernel) ? *length : sizeof(kernel));
	*length = sizeof(kernel);
}

static void forget(int fd)
{
	if (fd < 0 || fd >= DESCRIPTORS) return;
	memset(&table[fd], 0, sizeof(table[fd]));
	for (int i = 0; i < DESCRIPTORS; i++) if (table[i].epoll == fd + 1) table[i].epoll = 0;
}

/* ---- sockets ------------------------------------------------------------------------------------------------------- */

int socket(int domain, int type, int protocol)
{
	REAL(socket);
	int fd;
	if (domain != AF_NETLINK || protocol != NETLINK_NETFILTER || getenv("IPTSIM_NFQUEUE") == NULL) return real(domain, type, protocol);
	fd = connect_to_iptsim(type);
	if (fd < 0) return -1;
	pthread_mutex_lock(&lock);
	table[fd].port = (uint32_t)getpid() + (sockets++ << 22);
	table[fd].received = 0;
	table[fd].epoll = 0;
	table[fd].polled = 0;
	pthread_mutex_unlock(&lock);
	return fd;
}

int close(int fd)
{
	REAL(close);
	if (ours(fd)) forget(fd);
	return real(fd);
}

int dup(int fd)
{
	REAL(dup);
	int copy = real(fd);
	if (ours(fd) && copy >= 0 && copy < DESCRIPTORS) table[copy] = table[fd];
	return copy;
}

int bind(int fd, const struct sockaddr *address, socklen_t length)
{
	REAL(bind);
	const struct sockaddr_nl *wanted = (const struct sockaddr_nl *)address;
	if (!ours(fd)) return real(fd, address, length);
	if (length >= sizeof(*wanted) && wanted->nl_pid != 0) table[fd].port = wanted->nl_pid;
	return 0;
}

int connect(int fd, const struct sockaddr *address, socklen_t length)
{
	REAL(connect);
	return ours(fd) ? 0 : real(fd, address, length);
}

int getsockname(int fd, struct sockaddr *address, socklen_t *length)
{
	REAL(getsockname);
	struct sockaddr_nl own = { .nl_family = AF_NETLINK };
	if (!ours(fd)) return real(fd, address, length);
	own.nl_pid = table[fd].port;
	memcpy(address, &own, *length < sizeof(own) ? *length : sizeof(own));
	*length = sizeof(own);
	return 0;
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
	REAL(setsockopt);
	/* Nothing is lost on the way: reports of lost messages, larger buffers and filters have nothing to change. */
	if (ours(fd) && (level == SOL_NETLINK || (level == SOL_SOCKET && name != SO_RCVTIMEO && name != SO_SNDTIMEO))) return 0;
	return real(fd, level, name, value, length);
}

/* ---- sending ------------------------------------------------------------------------------------------------------- */

ssize_t sendto(int fd, const void *bytes, size_t length, int flags, const struct sockaddr *to, socklen_t size)
{
	REAL(sendto);
	struct iovec part = { (void *)bytes, length };
	return ours(fd) ? put_frame(fd, DATAGRAM, &part, 1) : real(fd, bytes, length, flags, to, size);
}

ssize_t send(int fd, const void *bytes, size_t length, int flags)
{
	REAL(send);
	struct iovec part = { (void *)bytes, length };
	return ours(fd) ? put_frame(fd, DATAGRAM, &part, 1) : real(fd, bytes, length, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	REAL(sendmsg);
	return ours(fd) ? put_frame(fd, DATAGRAM, message->msg_iov, message->msg_iovlen) : real(fd, message, flags);
}

ssize_t write(int fd, const void *bytes, size_t length)
{
	REAL(write);
	struct iovec part = { (void *)bytes, length };
	return ours(fd) ? put_frame(fd, DATAGRAM, &part, 1) : real(fd, bytes, length);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	REAL(writev);
	return ours(fd) ? put_frame(fd, DATAGRAM, parts, (size_t)count) : real(fd, parts, count);
}

/* ---- receiving ----------------------------------------------------------------------------------------------------- */

ssize_t recv(int fd, void *bytes, size_t length, int flags)
{
	struct iovec part = { bytes, length };
	int truncated;
	return ours(fd) ? receive(fd, &part, 1, flags, &truncated) : real_recv(fd, bytes, length, flags);
}

ssize_t recvfrom(int fd, void *bytes, size_t length, int flags, struct sockaddr *from, socklen_t *size)
{
	REAL(recvfrom);
	struct iovec part = { bytes, length };
	int truncated;
	ssize_t got;
	if (!ours(fd)) return real(fd, bytes, length, flags, from, size);
	got = receive(fd, &part, 1, flags, &truncated);
	if (got >= 0) kernel_address(from, size);
	return got;
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	REAL(recvmsg);
	int truncated;
	ssize_t got;
	if (!ours(fd)) return real(fd, message, flags);
	got = receive(fd, message->msg_iov, message->msg_iovlen, flags, &truncated);
	if (got < 0) return got;
	if (message->msg_name != NULL) kernel_address(message->msg_name, &message->msg_namelen);
	message->msg_controllen = 0;
	message->msg_flags = truncated ? MSG_TRUNC : 0;
	return got;
}

ssize_t read(int fd, void *bytes, size_t length)
{
	REAL(read);
	struct iovec part = { bytes, length };
	int truncated;
	return ours(fd) ? receive(fd, &part, 1, 0, &truncated) : real(fd, bytes, length);
}

ssize_t readv(int fd, const struct iovec *parts, int count)
{
	REAL(readv);
	int truncated;
	return ours(fd) ? receive(fd, parts, (size_t)count, 0, &truncated) : real(fd, parts, count);
}

/* What programs call that were compiled with _FORTIFY_SOURCE. */
ssize_t __recv_chk(int fd, void *bytes, size_t length, size_t room, int flags)
{
	if (length > room) abort();
	return recv(fd, bytes, length, flags);
}

ssize_t __recvfrom_chk(int fd, void *bytes, size_t length, size_t room, int flags, struct sockaddr *from, socklen_t *size)
{
	if (length > room) abort();
	return recvfrom(fd, bytes, length, flags, from, size);
}

ssize_t __read_chk(int fd, void *bytes, size_t length, size_t room)
{
	if (length > room) abort();
	return read(fd, bytes, length);
}

/* ---- waiting ------------------------------------------------------------------------------------------------------- */

static void before_poll(const struct pollfd *set, nfds_t count, int waits)
{
	for (nfds_t i = 0; i < count; i++) {
		if (ours(set[i].fd) && (set[i].events & POLLIN) && is_empty(set[i].fd)) (waits ? tell_waiting : tell_empty)(set[i].fd);
	}
}

static void before_select(int count, const fd_set *set, int waits)
{
	for (int fd = 0; set != NULL && fd < count && fd < FD_SETSIZE; fd++) {
		if (ours(fd) && FD_ISSET(fd, set) && is_empty(fd)) (waits ? tell_waiting : tell_empty)(fd);
	}
}

static void before_epoll(int epoll, int waits)
{
	for (int fd = 0; fd < DESCRIPTORS; fd++) {
		if (table[fd].epoll == epoll + 1 && ours(fd) && is_empty(fd)) (waits ? tell_waiting : tell_empty)(fd);
	}
}

int poll(struct pollfd *set, nfds_t count, int timeout)
{
	REAL(poll);
	before_poll(set, count, timeout != 0);
	return real(set, count, timeout);
}

int __poll_chk(struct pollfd *set, nfds_t count, int timeout, size_t room)
{
	if (count * sizeof(*set) > room) abort();
	return poll(set, count, timeout);
}

int ppoll(struct pollfd *set, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
	REAL(ppoll);
	before_poll(set, count, timeout == NULL || timeout->tv_sec != 0 || timeout->tv_nsec != 0);
	return real(set, count, timeout, mask);
}

int select(int count, fd_set *reading, fd_set *writing, fd_set *failing, struct timeval *timeout)
{
	REAL(select);
	before_select(count, reading, timeout == NULL || timeout->tv_sec != 0 || timeout->tv_usec != 0);
	return real(count, reading, writing, failing, timeout);
}

int pselect(int count, fd_set *reading, fd_set *writing, fd_set *failing, const struct timespec *timeout, const sigset_t *mask)
{
	REAL(pselect);
	before_select(count, reading, timeout == NULL || timeout->tv_sec != 0 || timeout->tv_nsec != 0);
	return real(count, reading, writing, failing, timeout, mask);
}

int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
	REAL(epoll_ctl);
	if (ours(fd)) table[fd].epoll = operation == EPOLL_CTL_DEL ? 0 : epoll + 1;
	return real(epoll, operation, fd, event);
}

int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout)
{
	REAL(epoll_wait);
	before_epoll(epoll, timeout != 0);
	return real(epoll, events, most, timeout);
}

int epoll_pwait(int epoll, struct epoll_event *events, int most, int timeout, const sigset_t *mask)
{
	REAL(epoll_pwait);
	before_epoll(epoll, timeout != 0);
	return real(epoll, events, most, timeout, mask);
}

/* ---- names of interfaces ------------------------------------------------------------------------------------------- */

/* Name of an interface of the simulated machine: 0 and the name, or -1. */
static int interface_name(uint32_t index, char *name)
{
	struct iovec part = { &index, sizeof(index) };
	uint32_t length = 0;
	int fd = connect_to_iptsim(SOCK_CLOEXEC);
	int found = -1;
	if (fd < 0) return -1;
	if (put_frame(fd, NAME, &part, 1) >= 0 && take(fd, &length, sizeof(length)) == 0 && length > 0 && length < IF_NAMESIZE &&
	    take(fd, name, length) == 0) {
		name[length] = '\0';
		found = 0;
	}
	close(fd);
	return found;
}

char *if_indextoname(unsigned int index, char *name)
{
	REAL(if_indextoname);
	if (getenv("IPTSIM_NFQUEUE") == NULL) return real(index, name);
	if (interface_name(index, name) == 0) return name;
	errno = ENXIO;
	return NULL;
}

/* libnfnetlink: what nfq_get_indev_name() and its kind ask. The handle's own list is that of the machine outside. */
int nlif_index2name(void *handle, unsigned int index, char *name)
{
	(void)handle;
	if (interface_name(index, name) == 0) return 1;
	errno = ENOENT;
	return -1;
}
