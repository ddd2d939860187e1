/*
 * A program of libnetfilter_queue for tests: listens on queues and does what its arguments say, the same in the real kernel and under iptsim.
 *
 *   listener QUEUE=ACTION...
 *
 * ACTION: accept, drop, stop, repeat (once, with mark 1), mark:N, queue:N, last:HH (the last byte of the packet becomes HH), append:HEX,
 * batch:N (every N packets one batch verdict: accept with mark 6), ctmark:N, cut (copy range 32: what it gets of the packet is written), meta.
 * A line on stderr for each packet: what it saw.
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
#include <sys/socket.h>
#include <unistd.h>

struct action { int queue; const char *what; struct nfq_q_handle *handle; int seen; };
static struct action actions[64];
static int count;
static struct nfq_handle *library;

static void set_conntrack_mark(int queue, uint32_t id, uint32_t mark)
{
	struct { struct nlmsghdr head; struct nfgenmsg gen; struct nlattr va; struct nfqnl_msg_verdict_hdr verdict;
		 struct nlattr ct; struct nlattr ma; uint32_t mark; } m = {
		{ sizeof(m), (NFNL_SUBSYS_QUEUE << 8) | NFQNL_MSG_VERDICT, NLM_F_REQUEST, 0, 0 }, { AF_UNSPEC, 0, htons(queue) },
		{ 12, NFQA_VERDICT_HDR }, { htonl(NF_ACCEPT), htonl(id) }, { 12, NFQA_CT | NLA_F_NESTED }, { 8, CTA_MARK }, htonl(mark) };
	if (send(nfq_fd(library), &m, sizeof(m), 0) < 0) perror("send");
}

static int decide(struct nfq_q_handle *handle, struct nfgenmsg *message, struct nfq_data *data, void *argument)
{
	struct action *action = argument;
	struct nfqnl_msg_packet_hdr *head = nfq_get_msg_packet_hdr(data);
	struct nfqnl_msg_packet_hw *hardware = nfq_get_packet_hw(data);
	uint32_t id = ntohl(head->packet_id), mark = nfq_get_nfmark(data);
	unsigned char *packet, copy[65536];
	int length = nfq_get_payload(data, &packet);
	char in[IF_NAMESIZE] = "-", out[IF_NAMESIZE] = "-";
	const char *what = action->what, *value = strchr(what, ':');
	(void)message;
	if (nfq_get_indev(data)) if_indextoname(nfq_get_indev(data), in);
	if (nfq_get_outdev(data)) if_indextoname(nfq_get_outdev(data), out);
	fprintf(stderr, "queue %d id %u hook %d proto %04x mark %u in %s out %s hw %d len %d", action->queue, id, head->hook, ntohs(head->hw_protocol),
		mark, in, out, hardware ? ntohs(hardware->hw_addrlen) : 0, length);
	for (int i = 0; i < length; i++) fprintf(stderr, "%s%02x", i ? "" : " ", packet[i]);
	fprintf(stderr, "\n");
	value = value ? value + 1 : "";
	action->seen++;
	if (!strcmp(what, "drop")) return nfq_set_verdict(handle, id, NF_DROP, 0, NULL);
	if (!strcmp(what, "stop")) return nfq_set_verdict(handle, id, NF_STOP, 0, NULL);
	if (!strcmp(what, "repeat")) return nfq_set_verdict2(handle, id, mark == 1 ? NF_ACCEPT : NF_REPEAT, 1, 0, NULL);
	if (!strncmp(what, "mark:", 5)) return nfq_set_verdict2(handle, id, NF_ACCEPT, atoi(value), 0, NULL);
	if (!strncmp(what, "queue:", 6)) return nfq_set_verdict(handle, id, NF_QUEUE_NR(atoi(value)), 0, NULL);
	if (!strncmp(what, "last:", 5)) {
		memcpy(copy, packet, length);
		copy[length - 1] = (unsigned char)strtol(value, NULL, 16);
		return nfq_set_verdict(handle, id, NF_ACCEPT, length, copy);
	}
	if (!strncmp(what, "append:", 7)) {
		memcpy(copy, packet, length);
		for (; value[0] && value[1]; value += 2) {
			char two[3] = { value[0], value[1], 0 };
			copy[length++] = (unsigned char)strtol(two, NULL, 16);
		}
		return nfq_set_verdict(handle, id, NF_ACCEPT, length, copy);
	}
	if (!strncmp(what, "batch:", 6)) {
		return action->seen % atoi(value) ? 0 : nfq_set_verdict_batch2(handle, id, NF_ACCEPT, 6);
	}
	if (!strncmp(what, "ctmark:", 7)) {
		set_conntrack_mark(action->queue, id, atoi(value));
		return 0;
	}
	return nfq_set_verdict(handle, id, NF_ACCEPT, 0, NULL);
}

int main(int argc, char **argv)
{
	static char buffer[70000] __attribute__((aligned));
	library = nfq_open();
	if (!library) { perror("nfq_open"); return 1; }
	for (int i = 1; i < argc; i++) {
		struct action *action = &actions[count++];
		action->queue = atoi(argv[i]);
		action->what = strchr(argv[i], '=') + 1;
		action->handle = nfq_create_queue(library, action->queue, decide, action);
		if (!action->handle) { perror("nfq_create_queue"); return 1; }
		if (nfq_set_mode(action->handle, !strcmp(action->what, "meta") ? NFQNL_COPY_META : NFQNL_COPY_PACKET,
				 !strcmp(action->what, "cut") ? 32 : 0xffff) < 0) { perror("nfq_set_mode"); return 1; }
		if (!strncmp(action->what, "ctmark", 6) &&
		    nfq_set_queue_flags(action->handle, NFQA_CFG_F_CONNTRACK, NFQA_CFG_F_CONNTRACK) < 0) perror("nfq_set_queue_flags");
	}
	fprintf(stderr, "ready\n");
	for (;;) {
		int length = recv(nfq_fd(library), buffer, sizeof(buffer), 0);
		if (length >= 0) nfq_handle_packet(library, buffer, length);
		else if (errno != ENOBUFS && errno != EINTR) { perror("recv"); return 1; }
	}
}
