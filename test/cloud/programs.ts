/** NAME SOCKET...: listens on all sockets, given as `tcp/80` or `tcp/80@ADDRESS`, says "ready", and answers with who asked and its name. Python 3, standard library only. */
export const SERVER = `
import socket, sys, threading
def name(peer):
    host, port = peer[0], peer[1]
    host = host[7:] if host.startswith('::ffff:') else host
    return ('[%s]:%d' if ':' in host else '%s:%d') % (host, port)
def tcp(s):
    while True:
        c, peer = s.accept()
        threading.Thread(target=serve, args=(c, peer), daemon=True).start()
def serve(c, peer):
    try:
        if c.recv(100): c.sendall((name(peer) + ' ' + sys.argv[1]).encode())
        c.recv(100)
    except OSError: pass
    c.close()
def udp(s):
    while True:
        data, peer = s.recvfrom(100)
        try: s.sendto((name(peer) + ' ' + sys.argv[1]).encode(), peer)
        except OSError: pass
for word in sys.argv[2:]:
    what, _, address = word.partition('@')
    proto, port = what.split('/')
    for family in (socket.AF_INET, socket.AF_INET6):
        if address and (':' in address) != (family == socket.AF_INET6): continue
        s = socket.socket(family, socket.SOCK_STREAM if proto == 'tcp' else socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        s.bind((address or ('' if family == socket.AF_INET else '::'), int(port)))
        if proto == 'tcp': s.listen(100)
        threading.Thread(target=tcp if proto == 'tcp' else udp, args=(s,), daemon=True).start()
print('ready', flush=True)
threading.Event().wait()
`;

/** Asks: PROTOCOL ADDRESS PORT SOURCE_PORT; prints "answered PEER NAME", "refused ERROR" or "lost". */
export const CLIENT = `
import socket, sys
proto, address, port, source = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
family = socket.AF_INET6 if ':' in address else socket.AF_INET
s = socket.socket(family, socket.SOCK_STREAM if proto == 'tcp' else socket.SOCK_DGRAM)
s.settimeout(1.6)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('', source))
try:
    s.connect((address, port))
    # EPERM: a rule of the own machine does not let it out; if it rejects, the error waits for the reader.
    try: s.send(b'request')
    except PermissionError: pass
    print('answered', s.recv(100).decode())
except socket.timeout: print('lost')
except OSError as e: print('refused', e.strerror)
`;
