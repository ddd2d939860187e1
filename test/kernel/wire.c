/*
 * The hands of the kernel comparison: puts frames on the wire of a router namespace and reports all that comes out.
 *
 *   wire ROUTER_NETNS PEER_NETNS SETTLE_US PEER_DEVICE...
 *
 * Reads commands from standard input, one a line, and answers each with any number of `out`/`in` lines and `done`:
 *   send DEVICE HEX     a frame with Ethernet header, sent from PEER_DEVICE into the router
 *   local HEX           an IPv4/IPv6 packet that the router itself sends (raw socket)
 *   wait MICROSECONDS   nothing is sent
 * Answers:
 *   out DEVICE HEX      a frame that left the router towards PEER_DEVICE
 *   in HEX              a packet delivered to the router's own stack (TCP, UDP, ICMP, ICMPv6)
 *   refused ERRNO       a local send that the kernel refused
 *   done MICROSECONDS   when the packet was sent (CLOCK_REALTIME)
 * A command is finished when nothing more came for SETTLE_US.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define MAX_DEVICES 16
#define MAX_FRAME 70000

static int device_socket[MAX_DEVICES], device_index[MAX_DEVICES], devices;
static const char *device_name[MAX_DEVICES];
static int local_socket[8], local_family[8], local_protocol[8], locals;
static int send4, send6;
static long settle_us;
static char line[2 * MAX_FRAME + 64];
static unsigned char frame[MAX_FRAME];

static void die(const char *what) {
  fprintf(stderr, "wire: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void enter(const char *name) {
  char path[256];
  snprintf(path, sizeof path, "/run/netns/%s", name);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || setns(fd, CLONE_NEWNET) < 0) die(path);
  close(fd);
}

static void print_hex(const unsigned char *data, size_t length) {
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < length; i++) {
    putchar(digits[data[i] >> 4]);
    putchar(digits[data[i] & 15]);
  }
}

static size_t read_hex(const char *text, unsigned char *into) {
  size_t n = 0;
  unsigned value;
  while (n < MAX_FRAME && sscanf(text + 2 * n, "%2x", &value) == 1) into[n++] = (unsigned char)value;
  return n;
}

static void open_router(void) {
  static const int v4[] = {IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP}, v6[] = {IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP};
  int on = 1, big = 4 << 20;
  for (int i = 0; i < 6; i++) {
    int family = i < 3 ? AF_INET : AF_INET6, protocol = i < 3 ? v4[i] : v6[i - 3];
    int fd = socket(family, SOCK_RAW | SOCK_NONBLOCK, protocol);
    if (fd < 0) die("raw socket");
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof big);
    if (family == AF_INET6) {
      setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
      setsockopt(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &on, sizeof on);
      setsockopt(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof on);
    }
    local_socket[locals] = fd;
    local_family[locals] = family;
    local_protocol[locals++] = protocol;
  }
  send4 = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
  send6 = socket(AF_INET6, SOCK_RAW, IPPROTO_RAW);
  if (send4 < 0 || send6 < 0) die("raw socket");
  setsockopt(send4, SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
}

static void open_device(const char *name) {
  int big = 4 << 20;
  int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_ALL));
  struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex(name)};
  if (fd < 0 || at.sll_ifindex == 0 || bind(fd, (struct sockaddr *)&at, sizeof at) < 0) die(name);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof big);
  device_name[devices] = name;
  device_index[devices] = at.sll_ifindex;
  device_socket[devices++] = fd;
}

/* Every IPv4 address that the router asks for is there: a request becomes its answer. */
static void answer_arp(int i) {
  static const unsigned char mac[6] = {2, 0, 0, 0, 6, 1};
  unsigned char address[4];
  memcpy(frame, frame + 6, 6);
  memcpy(frame + 6, mac, 6);
  frame[21] = 2;
  memcpy(address, frame + 38, 4);
  memcpy(frame + 32, frame + 22, 10);
  memcpy(frame + 22, mac, 6);
  memcpy(frame + 28, address, 4);
  if (send(device_socket[i], frame, 42, 0) < 0) fprintf(stderr, "wire: ARP answer: %s\n", strerror(errno));
}

static int drain_device(int i) {
  int got = 0;
  for (;;) {
    struct sockaddr_ll from;
    socklen_t size = sizeof from;
    ssize_t n = recvfrom(device_socket[i], frame, sizeof frame, 0, (struct sockaddr *)&from, &size);
    if (n < 0) return got;
    got = 1;
    if (from.sll_pkttype == PACKET_OUTGOING) continue;
    unsigned type = n >= 14 ? frame[12] << 8 | frame[13] : 0;
    if (type == ETH_P_ARP && n >= 42 && frame[21] == 1) {
      answer_arp(i);
      continue;
    }
    if (type != ETH_P_IP && type != ETH_P_IPV6 && type != ETH_P_8021Q) continue;
    printf("out %s ", device_name[i]);
    print_hex(frame, (size_t)n);
    putchar('\n');
  }
}

static int drain_local(int i) {
  int got = 0;
  for (;;) {
    struct sockaddr_in6 from;
    char control[256];
    struct iovec part = {frame + 40, sizeof frame - 40};
    struct msghdr message = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t n = recvmsg(local_socket[i], &message, 0);
    if (n < 0) return got;
    got = 1;
    fputs("in ", stdout);
    if (local_family[i] == AF_INET) {
      print_hex(frame + 40, (size_t)n);
    } else {
      /* The socket gives no header: put it together from the ancillary data. */
      unsigned char header[40] = {0x60};
      int class = 0, hops = 0;
      for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_type == IPV6_PKTINFO) memcpy(header + 24, CMSG_DATA(c), 16);
        if (c->cmsg_type == IPV6_HOPLIMIT) memcpy(&hops, CMSG_DATA(c), sizeof hops);
        if (c->cmsg_type == IPV6_TCLASS) memcpy(&class, CMSG_DATA(c), sizeof class);
      }
      header[0] |= (unsigned char)(class >> 4);
      header[1] = (unsigned char)(class << 4);
      header[4] = (unsigned char)(n >> 8);
      header[5] = (unsigned char)n;
      header[6] = (unsigned char)local_protocol[i];
      header[7] = (unsigned char)hops;
      memcpy(header + 8, &from.sin6_addr, 16);
      print_hex(header, sizeof header);
      print_hex(frame + 40, (size_t)n);
    }
    putchar('\n');
  }
}

static int drain(void) {
  int got = 0;
  for (int i = 0; i < devices; i++) got |= drain_device(i);
  for (int i = 0; i < locals; i++) got |= drain_local(i);
  return got;
}

static void settle(void) {
  struct pollfd all[MAX_DEVICES + 8];
  int n = 0;
  for (int i = 0; i < devices; i++) all[n++] = (struct pollfd){device_socket[i], POLLIN, 0};
  for (int i = 0; i < locals; i++) all[n++] = (struct pollfd){local_socket[i], POLLIN, 0};
  struct timespec time = {settle_us / 1000000, settle_us % 1000000 * 1000};
  drain();
  while (ppoll(all, (nfds_t)n, &time, NULL) > 0) drain();
}

static void send_local(size_t length) {
  ssize_t sent;
  if (frame[0] >> 4 == 6) {
    struct sockaddr_in6 to = {.sin6_family = AF_INET6};
    memcpy(&to.sin6_addr, frame + 24, 16);
    sent = sendto(send6, frame, length, 0, (struct sockaddr *)&to, sizeof to);
  } else {
    struct sockaddr_in to = {.sin_family = AF_INET};
    memcpy(&to.sin_addr, frame + 16, 4);
    sent = sendto(send4, frame, length, 0, (struct sockaddr *)&to, sizeof to);
  }
  if (sent < 0) printf("refused %d\n", errno);
}

int main(int argc, char **argv) {
  if (argc < 5) return 2;
  enter(argv[1]);
  open_router();
  enter(argv[2]);
  settle_us = atol(argv[3]);
  for (int i = 4; i < argc && devices < MAX_DEVICES; i++) open_device(argv[i]);
  while (fgets(line, sizeof line, stdin) != NULL) {
    char word[16], name[32];
    int at = 0;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (sscanf(line, "%15s %n", word, &at) != 1) continue;
    if (strcmp(word, "send") == 0 && sscanf(line + at, "%31s %n", name, &(int){0}) == 1) {
      size_t length = read_hex(line + at + strlen(name) + 1, frame);
      for (int i = 0; i < devices; i++)
        if (strcmp(device_name[i], name) == 0 && send(device_socket[i], frame, length, 0) < 0) printf("refused %d\n", errno);
    } else if (strcmp(word, "local") == 0) {
      send_local(read_hex(line + at, frame));
    } else if (strcmp(word, "wait") == 0) {
      usleep((useconds_t)atol(line + at));
    }
    settle();
    printf("done %lld\n", (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    fflush(stdout);
  }
  return 0;
}
