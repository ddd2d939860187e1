/** Echoes what comes over TCP on all ports given, for as long as it comes; prints "ready". Python 3, standard library only. */
export const ECHO = `
import socket, sys, threading
def serve(c):
    try:
        while True:
            data = c.recv(100)
            if not data: break
            c.sendall(data)
    except OSError: pass
    c.close()
def listen(s):
    while True:
        c, peer = s.accept()
        threading.Thread(target=serve, args=(c,), daemon=True).start()
for word in sys.argv[1:]:
    s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.bind(('::', int(word)))
    s.listen(100)
    threading.Thread(target=listen, args=(s,), daemon=True).start()
print('ready', flush=True)
threading.Event().wait()
`;

/**
 * Talks over one TCP connection, a word and its echo 20 times a second, until its standard input says "end" (the words so far by "count").
 * ADDRESS PORT; prints "connected", then for each line that it reads "ECHOES RETRANSMISSIONS".
 */
export const TALK = `
import select, socket, struct, sys, time
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
s.setblocking(False)
print('connected', flush=True)
echoes, waiting = 0, False
while True:
    if not waiting:
        s.send(b'x')
        waiting = True
    ready, _, _ = select.select([s, sys.stdin], [], [], 0.05)
    if s in ready:
        if not s.recv(100): break
        echoes += 1
        waiting = False
        time.sleep(0.05)
    if sys.stdin in ready:
        line = sys.stdin.readline()
        print(echoes, struct.unpack_from('I', s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 100)[0], flush=True)
        if line.strip() != 'count': break
`;

/** Tries to connect, ten times a second, until its standard input ends; prints how often it got through. ADDRESS PORT. */
export const KNOCK = `
import select, socket, sys
tries = through = 0
while True:
    s = socket.socket()
    s.settimeout(0.1)
    tries += 1
    try:
        s.connect((sys.argv[1], int(sys.argv[2])))
        through += 1
    except OSError: pass
    s.close()
    ready, _, _ = select.select([sys.stdin], [], [], 0)
    if ready: break
print(tries, through, flush=True)
`;
