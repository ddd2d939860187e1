"""Asks nfnetlink_queue for what is wrong in many ways, and prints what it answers: the same in the real kernel and under iptsim."""
import socket
import struct

SOCKETS = [socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) for _ in range(2)]
for each in SOCKETS:
    each.bind((0, 0))
    each.settimeout(0.5)
PACKET, VERDICT, CONFIG, BATCH = 0, 1, 2, 3
REQUEST, ACK = 1, 4


def attribute(kind, value):
    return struct.pack('=HH', len(value) + 4, kind) + value + b'\0' * (-len(value) % 4)


def message(kind, queue, *attributes, flags=REQUEST | ACK, subsystem=3):
    body = struct.pack('!BBH', 0, 0, queue) + b''.join(attributes)
    return struct.pack('=IHHII', len(body) + 16, subsystem << 8 | kind, flags, 77, 0) + body


def command(number):
    return attribute(1, struct.pack('!BBH', number, 0, 2))


def parameters(length, mode):
    return attribute(2, struct.pack('!IB', length, mode))


def number(kind, value):
    return attribute(kind, struct.pack('!I', value))


def verdict(value, identity):
    return attribute(2, struct.pack('!II', value, identity))


def ask(name, request, which=0):
    SOCKETS[which].send(request)
    try:
        answer = SOCKETS[which].recv(65536)
    except TimeoutError:
        print(name, 'nothing', flush=True)
        return
    length, kind, _, sequence, _ = struct.unpack('=IHHII', answer[:16])
    print(name, 'type', kind, 'sequence', sequence, 'error', struct.unpack('=i', answer[16:20])[0], 'length', length, flush=True)


ask('unbind before bind', message(CONFIG, 5, command(2)))
ask('mode before bind', message(CONFIG, 5, parameters(100, 2)))
ask('nothing before bind', message(CONFIG, 5))
ask('bind of a family', message(CONFIG, 5, command(3)))
ask('unbind of a family', message(CONFIG, 5, command(4)))
ask('bind', message(CONFIG, 5, command(1)))
ask('bind again', message(CONFIG, 5, command(1)))
ask('bind from elsewhere', message(CONFIG, 5, command(1)), 1)
ask('mode from elsewhere', message(CONFIG, 5, parameters(100, 2)), 1)
ask('unknown command', message(CONFIG, 5, command(9)))
ask('unknown mode', message(CONFIG, 5, parameters(100, 7)))
ask('short command', message(CONFIG, 5, attribute(1, b'\1')))
ask('short parameters', message(CONFIG, 5, attribute(2, b'\0\0')))
ask('short length', message(CONFIG, 5, attribute(3, b'\0\0')))
ask('short flags', message(CONFIG, 5, attribute(5, b'\0\0'), number(4, 1)))
ask('length', message(CONFIG, 5, number(3, 10)))
ask('flags without mask', message(CONFIG, 5, number(5, 1)))
ask('flags', message(CONFIG, 5, number(5, 1), number(4, 1)))
ask('unknown flags', message(CONFIG, 5, number(5, 64), number(4, 64)))
ask('unknown flags, not in the mask', message(CONFIG, 5, number(5, 64), number(4, 1)))
ask('security contexts', message(CONFIG, 5, number(5, 16), number(4, 16)))
ask('unknown attribute', message(CONFIG, 5, attribute(60, b'abcd')))
ask('verdict on nothing', message(VERDICT, 5, verdict(1, 1)))
ask('verdict elsewhere', message(VERDICT, 6, verdict(1, 1)))
ask('verdict from elsewhere', message(VERDICT, 5, verdict(1, 1)), 1)
ask('verdict without header', message(VERDICT, 5))
ask('verdict with a short header', message(VERDICT, 5, attribute(2, b'\0\0\0\1')))
ask('verdict stolen', message(VERDICT, 5, verdict(2, 1)))
ask('verdict 6', message(VERDICT, 5, verdict(6, 1)))
ask('verdict with a short mark', message(VERDICT, 5, verdict(1, 1), attribute(3, b'\0')))
ask('verdict without acknowledgement', message(VERDICT, 5, verdict(1, 1), flags=REQUEST))
ask('batch on nothing', message(BATCH, 5, verdict(1, 1)))
ask('batch without header', message(BATCH, 5))
ask('packet', message(PACKET, 5))
ask('unknown message', message(7, 5))
ask('unknown subsystem', message(1, 5, subsystem=14))
ask('no request', message(CONFIG, 5, command(2), flags=ACK))
ask('no request, no acknowledgement', message(CONFIG, 5, command(2), flags=0))
ask('a message of netlink itself', message(1, 5, subsystem=0))
ask('unbind from elsewhere', message(CONFIG, 5, command(2)), 1)
ask('unbind', message(CONFIG, 5, command(2)))
ask('unbind without acknowledgement', message(CONFIG, 5, command(2), flags=REQUEST))
