/* Calls of the C library on sockets and descriptors, in the program's eyes. */
#include "shim.h"

static uint32_t sockets;

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
