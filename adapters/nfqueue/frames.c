/* The way between the program and iptsim. */
#include "shim.h"

struct descriptor table[DESCRIPTORS];
pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

int ours(int fd)
{
	return fd >= 0 && fd < DESCRIPTORS && table[fd].port != 0;
}

ssize_t real_recv(int fd, void *bytes, size_t length, int flags)
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

int take(int fd, void *bytes, size_t length)
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

int put_frame(int fd, uint32_t kind, const struct iovec *parts, size_t count)
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

int is_empty(int fd)
{
	char byte;
	int kept = errno;
	int empty = real_recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
	errno = kept;
	return empty;
}

void tell_waiting(int fd)
{
	int kept = errno;
	struct iovec part = { &table[fd].received, sizeof(uint32_t) };
	put_frame(fd, WAITING, &part, 1);
	errno = kept;
}

void tell_empty(int fd)
{
	int kept = errno;
	if (!table[fd].polled) put_frame(fd, EMPTY, NULL, 0);
	table[fd].polled = 1;
	errno = kept;
}

int connect_to_iptsim(int type)
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

ssize_t receive(int fd, const struct iovec *parts, size_t count, int flags, int *truncated)
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
