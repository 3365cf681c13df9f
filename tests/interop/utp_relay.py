"""A UDP path that loses, delays, reorders and repeats datagrams.

    utp_relay.py PORT TO_PORT LOSS TWICE DELAY_MS JITTER_MS SEED

Both ways alike, on 127.0.0.1; LOSS and TWICE are fractions. Whoever talks to
PORT is shown to TO_PORT from a port of its own. Ends on end of stdin.
"""
import heapq
import random
import select
import socket
import sys
import time

port, to = int(sys.argv[1]), int(sys.argv[2])
loss, twice = float(sys.argv[3]), float(sys.argv[4])
delay, jitter = float(sys.argv[5]) / 1e3, float(sys.argv[6]) / 1e3
dice = random.Random(int(sys.argv[7]))


def udp(at):
	s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
	s.bind(("127.0.0.1", at))
	s.setblocking(False)
	return s


front = udp(port)
backs, fronts = {}, {}	# who -> the socket that stands for it, and back
waiting, count = [], 0
poll = select.poll()
poll.register(sys.stdin, select.POLLIN | select.POLLHUP)
poll.register(front, select.POLLIN)
sockets = {front.fileno(): front}


def post(datagram, out, address):
	global count
	if dice.random() < loss:
		return
	for _ in range(2 if dice.random() < twice else 1):
		count += 1
		heapq.heappush(waiting, (time.monotonic() + delay +
		    dice.random() * jitter, count, datagram, out, address))


print("ready", flush=True)
while True:
	wait = None
	if waiting:
		wait = max(0, (waiting[0][0] - time.monotonic()) * 1000)
	for fd, _ in poll.poll(wait):
		s = sockets.get(fd)
		if s is None:
			sys.exit(0)
		for _ in range(64):
			try:
				datagram, who = s.recvfrom(65536)
			except OSError:
				break
			if s is not front:
				post(datagram, front, fronts[fd])
				continue
			if who not in backs:
				b = backs[who] = udp(0)
				fronts[b.fileno()] = who
				sockets[b.fileno()] = b
				poll.register(b, select.POLLIN)
			post(datagram, backs[who], ("127.0.0.1", to))
	now = time.monotonic()
	while waiting and waiting[0][0] <= now:
		_, _, datagram, out, address = heapq.heappop(waiting)
		try:
			out.sendto(datagram, address)
		except OSError:
			pass
