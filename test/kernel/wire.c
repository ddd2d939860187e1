/*
 * The hands of the kernel comparison: puts frames on the wire of a router namespace and reports all that comes out.
 *
 *   wire ROUTER_NETNS PEER_NETNS SETTLE_US log|no-log PEER_DEVICE...
 *
 * Reads commands from standard input, one a line, and answers each with any number of `out`/`in` lines and `done`:
 *   send DEVICE HEX     a frame with Ethernet header, sent from PEER_DEVICE into the router
 *   local HEX           an IPv4/IPv6 packet that the router itself sends (raw socket)
 *   wait MICROSECONDS   nothing is sent
 *   listen PROTO PORT   opens a transparent socket (`tcp`, `udp`) of each family in the router, on the wildcard address
 *   pin                 from now on all happens on the first CPU
 * Answers:
 *   out DEVICE HEX      a frame that left the router towards PEER_DEVICE
 *   in HEX              a packet delivered to the router's own stack (TCP, UDP, ICMP, ICMPv6)
 *   nflog GROUP HOOK MARK IN OUT HEX PREFIX    what NFLOG gave to the listener of groups 0 to 7 (interfaces by name, `-`: none)
 *   log PRIORITY TEXT   a line of the kernel log, with `log`
 *   refused ERRNO       a local send that the kernel refused
 *   endless             the kernel does not come to rest (packets that go round); nothing more is done
 *   done MICROSECONDS   when the packet was sent (CLOCK_REALTIME)
 * A command is finished when nothing more came for SETTLE_US.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>
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
static int router_namespace, peer_namespace;
static int nflog_socket, kernel_log = -1;
static long settle_us;
static char line[2 * MAX_FRAME + 64];
static unsigned char frame[MAX_FRAME];

static void die(const char *what) {
  fprintf(stderr, "wire: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int enter(const char *name) {
  char path[256];
  snprintf(path, sizeof path, "/run/netns/%s", name);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || setns(fd, CLONE_NEWNET) < 0) die(path);
  return fd;
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
  for (; n < MAX_FRAME && isxdigit((unsigned char)text[2 * n]) && isxdigit((unsigned char)text[2 * n + 1]); n++) {
    char pair[3] = {text[2 * n], text[2 * n + 1], 0};
    into[n] = (unsigned char)strtoul(pair, NULL, 16);
  }
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

#define NFLOG_GROUPS 8
#define MAX_INDEX 64
#define MAX_SECONDS 5
/* Answers to one command after which the kernel is taken not to come to rest. */
#define MAX_ANSWERS 20000

static char router_device[MAX_INDEX][IF_NAMESIZE];

static const char *device_of_router(unsigned index) {
  return index > 0 && index < MAX_INDEX ? router_device[index] : "-";
}

/* One attribute of a request to the log subsystem of nfnetlink. */
static void ask_nflog(unsigned group, unsigned short type, const void *data, unsigned short length) {
  struct {
    struct nlmsghdr header;
    struct nfgenmsg family;
    struct nlattr attribute;
    unsigned char data[8];
  } request = {
      .header = {.nlmsg_len = sizeof request - 8 + length, .nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG, .nlmsg_flags = NLM_F_REQUEST},
      .family = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = htons((unsigned short)group)},
      .attribute = {.nla_len = sizeof(struct nlattr) + length, .nla_type = type},
  };
  memcpy(request.data, data, length);
  if (send(nflog_socket, &request, sizeof request - 8 + length, 0) < 0) die("nflog");
}

/* Hears all that NFLOG shows, at once. */
static void open_nflog(void) {
  int big = 4 << 20;
  for (unsigned index = 1; index < MAX_INDEX; index++) if_indextoname(index, router_device[index]);
  nflog_socket = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, NETLINK_NETFILTER);
  if (nflog_socket < 0) die("netlink socket");
  setsockopt(nflog_socket, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof big);
  for (unsigned group = 0; group < NFLOG_GROUPS; group++) {
    struct nfulnl_msg_config_cmd bind = {NFULNL_CFG_CMD_BIND};
    struct nfulnl_msg_config_mode mode = {.copy_range = htonl(0xffff), .copy_mode = NFULNL_COPY_PACKET};
    unsigned each = htonl(1);
    ask_nflog(group, NFULA_CFG_CMD, &bind, sizeof bind);
    ask_nflog(group, NFULA_CFG_MODE, &mode, sizeof mode);
    ask_nflog(group, NFULA_CFG_QTHRESH, &each, sizeof each);
  }
}

static void open_kernel_log(void) {
  kernel_log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
  if (kernel_log < 0) die("/dev/kmsg");
  lseek(kernel_log, 0, SEEK_END);
}

static void listen_on(const char *protocol, int port) {
  int on = 1, type = strcmp(protocol, "tcp") == 0 ? SOCK_STREAM : SOCK_DGRAM;
  if (setns(router_namespace, CLONE_NEWNET) < 0) die("router");
  for (int six = 0; six < 2; six++) {
    int fd = socket(six ? AF_INET6 : AF_INET, type, 0);
    struct sockaddr_in6 at6 = {.sin6_family = AF_INET6, .sin6_port = htons((unsigned short)port)};
    struct sockaddr_in at4 = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (six) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (setsockopt(fd, six ? SOL_IPV6 : SOL_IP, six ? IPV6_TRANSPARENT : IP_TRANSPARENT, &on, sizeof on) < 0) die("transparent");
    if (bind(fd, six ? (struct sockaddr *)&at6 : (struct sockaddr *)&at4, six ? sizeof at6 : sizeof at4) < 0) die("bind");
    if (type == SOCK_STREAM && listen(fd, 64) < 0) die("listen");
  }
  if (setns(peer_namespace, CLONE_NEWNET) < 0) die("peers");
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

static int answers;

static void give_up(void) {
  puts("endless");
  exit(0);
}

/* An answer is to be written. */
static void answer(void) {
  if (++answers > MAX_ANSWERS) give_up();
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
    answer();
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
    answer();
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

static void print_nflog(const struct nlmsghdr *message) {
  const struct nfgenmsg *head = (const struct nfgenmsg *)((const char *)message + NLMSG_HDRLEN);
  const char *at = (const char *)head + sizeof *head, *end = (const char *)message + message->nlmsg_len;
  const unsigned char *payload = NULL;
  const char *prefix = "";
  size_t length = 0;
  unsigned hook = 9, mark = 0, in = 0, out = 0;
  while (at + sizeof(struct nlattr) <= end) {
    const struct nlattr *attribute = (const struct nlattr *)at;
    const void *data = at + NLA_HDRLEN;
    unsigned number = 0;
    if (attribute->nla_len >= NLA_HDRLEN + 4) memcpy(&number, data, sizeof number);
    switch (attribute->nla_type & NLA_TYPE_MASK) {
      case NFULA_PACKET_HDR: hook = ((const struct nfulnl_msg_packet_hdr *)data)->hook; break;
      case NFULA_MARK: mark = ntohl(number); break;
      case NFULA_IFINDEX_INDEV: in = ntohl(number); break;
      case NFULA_IFINDEX_OUTDEV: out = ntohl(number); break;
      case NFULA_PREFIX: prefix = data; break;
      case NFULA_PAYLOAD: payload = data, length = attribute->nla_len - NLA_HDRLEN; break;
    }
    at += NLA_ALIGN(attribute->nla_len);
  }
  answer();
  printf("nflog %u %u %u %s %s ", ntohs(head->res_id), hook, mark, device_of_router(in), device_of_router(out));
  if (length > 0) print_hex(payload, length);
  else putchar('-');
  printf(" %s\n", prefix);
}

static int drain_nflog(void) {
  static char buffer[1 << 17];
  int got = 0;
  for (;;) {
    ssize_t n = recv(nflog_socket, buffer, sizeof buffer, 0);
    if (n < 0) return got;
    got = 1;
    int left = (int)n;
    for (struct nlmsghdr *each = (struct nlmsghdr *)buffer; NLMSG_OK(each, (unsigned)left); each = NLMSG_NEXT(each, left))
      if (each->nlmsg_type == (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET)) print_nflog(each);
  }
}

static int drain_kernel_log(void) {
  static char record[8192];
  int got = 0;
  while (kernel_log >= 0) {
    ssize_t n = read(kernel_log, record, sizeof record - 1);
    if (n < 0) return got;
    got = 1;
    record[n] = 0;
    char *text = strchr(record, ';'), *stop = text ? strchr(text, '\n') : NULL;
    if (stop == NULL) continue;
    *stop = 0;
    printf("log %d %s\n", atoi(record) & 7, text + 1);
  }
  return got;
}

static int drain(void) {
  int got = drain_nflog() | drain_kernel_log();
  for (int i = 0; i < devices; i++) got |= drain_device(i);
  for (int i = 0; i < locals; i++) got |= drain_local(i);
  return got;
}

static void settle(void) {
  struct pollfd all[MAX_DEVICES + 10];
  int n = 0;
  all[n++] = (struct pollfd){nflog_socket, POLLIN, 0};
  if (kernel_log >= 0) all[n++] = (struct pollfd){kernel_log, POLLIN, 0};
  for (int i = 0; i < devices; i++) all[n++] = (struct pollfd){device_socket[i], POLLIN, 0};
  for (int i = 0; i < locals; i++) all[n++] = (struct pollfd){local_socket[i], POLLIN, 0};
  struct timespec time = {settle_us / 1000000, settle_us % 1000000 * 1000};
  struct timespec begin, now;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  answers = 0;
  drain();
  while (ppoll(all, (nfds_t)n, &time, NULL) > 0) {
    drain();
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec - begin.tv_sec < MAX_SECONDS) continue;
    give_up();
  }
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
  if (argc < 6) return 2;
  router_namespace = enter(argv[1]);
  open_router();
  open_nflog();
  if (strcmp(argv[4], "log") == 0) open_kernel_log();
  peer_namespace = enter(argv[2]);
  settle_us = atol(argv[3]);
  for (int i = 5; i < argc && devices < MAX_DEVICES; i++) open_device(argv[i]);
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
    } else if (strcmp(word, "listen") == 0) {
      int port = 0;
      if (sscanf(line + at, "%31s %d", name, &port) == 2) listen_on(name, port);
    } else if (strcmp(word, "pin") == 0) {
      cpu_set_t first;
      CPU_ZERO(&first);
      CPU_SET(0, &first);
      if (sched_setaffinity(0, sizeof first, &first) < 0) die("pin");
    } else if (strcmp(word, "wait") == 0) {
      usleep((useconds_t)atol(line + at));
    }
    settle();
    printf("done %lld\n", (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    fflush(stdout);
  }
  return 0;
}
