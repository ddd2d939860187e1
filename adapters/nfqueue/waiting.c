/* Calls of the C library that wait for descriptors, and names of interfaces. */
#include "shim.h"

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

int __ppoll_chk(struct pollfd *set, nfds_t count, const struct timespec *timeout, const sigset_t *mask, size_t room)
{
	if (count * sizeof(*set) > room) abort();
	return ppoll(set, count, timeout, mask);
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
