"""A program of libnetfilter_queue that listens on four queues, each in a thread of its own; with `spin` they look again and again without waiting."""
import ctypes
import os
import struct
import sys
import threading
import time

library = ctypes.CDLL('libnetfilter_queue.so.1')
for name in ('nfq_open', 'nfq_create_queue', 'nfq_get_msg_packet_hdr'):
    getattr(library, name).restype = ctypes.c_void_p
pointer = ctypes.c_void_p
CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, pointer, pointer, pointer, pointer)


def serve(number):
    @CALLBACK
    def decide(queue, _message, data, _argument):
        identity, = struct.unpack('!I', ctypes.string_at(library.nfq_get_msg_packet_hdr(pointer(data)), 4))
        return library.nfq_set_verdict2(pointer(queue), identity, 1, number, 0, None)

    handle = pointer(library.nfq_open())
    queue = pointer(library.nfq_create_queue(handle, number, decide, None))
    library.nfq_set_mode(queue, 2, 65535)
    fd = library.nfq_fd(handle)
    os.set_blocking(fd, 'spin' not in sys.argv)
    while True:
        try:
            message = os.read(fd, 70000)
        except BlockingIOError:
            time.sleep(0.002)
            continue
        library.nfq_handle_packet(handle, message, len(message))


for number in range(5, 9):
    threading.Thread(target=serve, args=(number,), daemon=True).start()
    time.sleep(0.02)
time.sleep(60)
