/*
 * A program of libnetfilter_queue for tests: listens on queues and does what its arguments say, the same in the real kernel and under iptsim.
 *
 *   listener QUEUE[-LAST]=ACTION[,OPTION...]...
 *
 * ACTION: accept, drop, stop, stolen, repeat (once, with mark 1), mark:N, queue:N, bypass:N (to queue N, on if nobody listens there),
 * raw:N (that verdict, as a number), last:HH (the last byte of the packet becomes HH), to:HH (that of the destination address),
 * append:HEX, trim:N (N bytes less), keep:N (only so many), batch:N (every N packets one batch verdict: accept with mark 6),
 * newest (of two packets the second first), ctmark:N, ctlabel:HEX, wait (no verdict), die:N (a process of its own, that ends when it gets packet N).
 * OPTION: copy:N (copy range), meta, none, length:N, failopen, conntrack, uidgid, gso, secctx.
 * A line on stderr for each packet: what it saw; for each message of an error: its number.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

struct action { int queue; char what[64]; struct nfq_q_handle *handle; int seen; uint32_t first; };
static struct action actions[256];
static int count;
static struct nfq_handle *library;

static int unhex(const char *text, unsigned char *bytes)
{
	int length = 0;
	for (; text[0] && text[1]; text += 2) {
		char two[3] = { text[0], text[1], 0 };
		bytes[length++] = (unsigned char)strtol(two, NULL, 16);
	}
	return length;
}

/* libnetfilter_queue has no call for NFQA_CT. */
static void change_connection(int queue, uint32_t id, int type, const void *value, int length)
{
	struct { struct nlmsghdr head; struct nfgenmsg gen; struct nlattr va; struct nfqnl_msg_verdict_hdr verdict;
		 struct nlattr ct; struct nlattr inner; unsigned char value[16]; } m = {
		{ sizeof(m) - 16 + length, (NFNL_SUBSYS_QUEUE << 8) | NFQNL_MSG_VERDICT, NLM_F_REQUEST, 0, 0 }, { AF_UNSPEC, 0, htons(queue) },
		{ 12, NFQA_VERDICT_HDR }, { htonl(NF_ACCEPT), htonl(id) }, { 8 + length, NFQA_CT | NLA_F_NESTED }, { 4 + length, type }, { 0 } };
	memcpy(m.value, value, length);
	if (send(nfq_fd(library), &m, m.head.nlmsg_len, 0) < 0) perror("send");
}

static int is(const char *what, const char *name)
{
	return !strncmp(what, name, strlen(name));
}

static int decide(struct nfq_q_handle *handle, struct nfgenmsg *message, struct nfq_data *data, void *argument)
{
	struct action *action = argument;
	struct nfqnl_msg_packet_hdr *head = nfq_get_msg_packet_hdr(data);
	struct nfqnl_msg_packet_hw *hardware = nfq_get_packet_hw(data);
	uint32_t id = ntohl(head->packet_id), mark = nfq_get_nfmark(data), uid = 0, gid = 0;
	unsigned char *packet, copy[65536];
	int length = nfq_get_payload(data, &packet);
	char in[IF_NAMESIZE] = "-", out[IF_NAMESIZE] = "-", line[200000];
	const char *what = action->what, *value = strchr(what, ':');
	int at;
	if (nfq_get_indev(data)) if_indextoname(nfq_get_indev(data), in);
	if (nfq_get_outdev(data)) if_indextoname(nfq_get_outdev(data), out);
	at = sprintf(line, "queue %d id %u family %d hook %d proto %04x mark %u in %s out %s hw %d len %d", action->queue, id, message->nfgen_family,
		head->hook, ntohs(head->hw_protocol), mark, in, out, hardware ? ntohs(hardware->hw_addrlen) : 0, length);
	for (int i = 0; i < length; i++) at += sprintf(line + at, "%s%02x", i ? "" : " ", packet[i]);
	if (nfq_get_uid(data, &uid) && nfq_get_gid(data, &gid)) at += sprintf(line + at, " uid %u gid %u", uid, gid);
	fprintf(stderr, "%s\n", line);
	value = value ? value + 1 : "";
	action->seen++;
	if (is(what, "wait")) return 0;
	if (is(what, "die:")) {
		if (action->seen >= atoi(value)) _exit(0);
		return nfq_set_verdict(handle, id, NF_ACCEPT, 0, NULL);
	}
	if (is(what, "drop")) return nfq_set_verdict(handle, id, NF_DROP, 0, NULL);
	if (is(what, "stop")) return nfq_set_verdict(handle, id, NF_STOP, 0, NULL);
	if (is(what, "stolen")) return nfq_set_verdict(handle, id, NF_STOLEN, 0, NULL);
	if (is(what, "repeat")) return nfq_set_verdict2(handle, id, mark == 1 ? NF_ACCEPT : NF_REPEAT, 1, 0, NULL);
	if (is(what, "mark:")) return nfq_set_verdict2(handle, id, NF_ACCEPT, strtoul(value, NULL, 0), 0, NULL);
	if (is(what, "queue:")) return nfq_set_verdict2(handle, id, NF_QUEUE_NR(atoi(value)), 3, 0, NULL);
	if (is(what, "bypass:")) return nfq_set_verdict(handle, id, NF_QUEUE_NR(atoi(value)) | NF_VERDICT_FLAG_QUEUE_BYPASS, 0, NULL);
	if (is(what, "raw:")) return nfq_set_verdict(handle, id, strtoul(value, NULL, 0), 0, NULL);
	if (is(what, "batch:")) return action->seen % atoi(value) ? 0 : nfq_set_verdict_batch2(handle, id, NF_ACCEPT, 6);
	if (is(what, "newest")) {
		if (action->seen % 2) action->first = id;
		else {
			nfq_set_verdict(handle, id, NF_ACCEPT, 0, NULL);
			nfq_set_verdict(handle, action->first, NF_ACCEPT, 0, NULL);
		}
		return 0;
	}
	if (is(what, "ctmark:")) {
		uint32_t wanted = htonl(atoi(value));
		change_connection(action->queue, id, CTA_MARK, &wanted, 4);
		return 0;
	}
	if (is(what, "ctlabel:")) {
		change_connection(action->queue, id, CTA_LABELS, copy, unhex(value, copy));
		return 0;
	}
	if (length > 0) memcpy(copy, packet, length);
	if (is(what, "last:")) unhex(value, copy + length - 1);
	else if (is(what, "to:")) unhex(value, copy + (copy[0] >> 4 == 4 ? 19 : 39));
	else if (is(what, "append:")) length += unhex(value, copy + length);
	else if (is(what, "trim:")) length -= atoi(value);
	else if (is(what, "keep:")) length = atoi(value);
	else return nfq_set_verdict(handle, id, NF_ACCEPT, 0, NULL);
	return nfq_set_verdict(handle, id, NF_ACCEPT, length, copy);
}

static void flag(struct action *action, uint32_t bit, const char *name)
{
	if (nfq_set_queue_flags(action->handle, bit, bit) < 0) fprintf(stderr, "queue %d: %s refused\n", action->queue, name);
}

static void option(struct action *action, const char *name)
{
	const char *value = strchr(name, ':') ? strchr(name, ':') + 1 : "";
	if (is(name, "copy:")) nfq_set_mode(action->handle, NFQNL_COPY_PACKET, atoi(value));
	else if (is(name, "meta")) nfq_set_mode(action->handle, NFQNL_COPY_META, 0);
	else if (is(name, "none")) nfq_set_mode(action->handle, NFQNL_COPY_NONE, 0);
	else if (is(name, "length:")) nfq_set_queue_maxlen(action->handle, atoi(value));
	else if (is(name, "failopen")) flag(action, NFQA_CFG_F_FAIL_OPEN, name);
	else if (is(name, "conntrack")) flag(action, NFQA_CFG_F_CONNTRACK, name);
	else if (is(name, "uidgid")) flag(action, NFQA_CFG_F_UID_GID, name);
	else if (is(name, "gso")) flag(action, NFQA_CFG_F_GSO, name);
	else if (is(name, "secctx")) flag(action, NFQA_CFG_F_SECCTX, name);
	else fprintf(stderr, "no option %s\n", name);
}

static void listen_on(const char *argument)
{
	char options[200], *words;
	int last, queue = atoi(argument);
	const char *dash = strchr(argument, '-');
	last = dash && dash < strchr(argument, '=') ? atoi(dash + 1) : queue;
	for (; queue <= last; queue++) {
		struct action *action = &actions[count++];
		strcpy(options, strchr(argument, '=') + 1);
		action->queue = queue;
		strcpy(action->what, strtok_r(options, ",", &words));
		action->handle = nfq_create_queue(library, queue, decide, action);
		if (!action->handle) { perror("nfq_create_queue"); exit(1); }
		if (nfq_set_mode(action->handle, NFQNL_COPY_PACKET, 0xffff) < 0) { perror("nfq_set_mode"); exit(1); }
		for (char *name; (name = strtok_r(NULL, ",", &words));) option(action, name);
	}
}

static void open_library(void)
{
	library = nfq_open();
	if (!library) { perror("nfq_open"); exit(1); }
}

static void serve(void)
{
	static char buffer[70000] __attribute__((aligned));
	for (;;) {
		int length = recv(nfq_fd(library), buffer, sizeof(buffer), 0);
		struct nlmsghdr *message = (struct nlmsghdr *)buffer;
		if (length >= 0 && message->nlmsg_type == NLMSG_ERROR) fprintf(stderr, "error %d\n", ((struct nlmsgerr *)NLMSG_DATA(message))->error);
		else if (length >= 0) nfq_handle_packet(library, buffer, length);
		else if (errno != ENOBUFS && errno != EINTR) { perror("recv"); exit(1); }
	}
}

/* A process of its own for a queue; it is there when this returns. */
static void serve_elsewhere(const char *argument)
{
	int ready[2];
	char byte;
	if (pipe(ready) < 0) exit(1);
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		count = 0;
		open_library();
		listen_on(argument);
		if (write(ready[1], "", 1) != 1) exit(1);
		serve();
	}
	if (read(ready[0], &byte, 1) != 1) exit(1);
}

int main(int argc, char **argv)
{
	signal(SIGCHLD, SIG_IGN);
	open_library();
	for (int i = 1; i < argc; i++) if (!strstr(argv[i], "=die:")) listen_on(argv[i]);
	for (int i = 1; i < argc; i++) if (strstr(argv[i], "=die:")) serve_elsewhere(argv[i]);
	fprintf(stderr, "ready\n");
	serve();
}
