"""A UDP path that loses, delays, reorders and repeats datagrams.

    utp_relay.py PORT TO_PORT LOSS TWICE DELAY_MS JITTER_MS SEED [ADDRESS TO]

Both ways alike, on 127.0.0.1 or from ADDRESS to TO; LOSS and TWICE are
fractions. Whoever talks to PORT is shown to TO_PORT from a port of its own.
Ends on end of stdin, and says what it did: datagrams that it was given, lost,
sent twice, and sent on before one that had come earlier.
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
here, there = sys.argv[8:10] or ("127.0.0.1", "127.0.0.1")
did = dict.fromkeys(("carried", "lost", "twice", "overtook"), 0)


def udp(at):
	s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
	s.bind((here, at))
	s.setblocking(False)
	return s


front = udp(port)
backs, fronts = {}, {}	# who -> the socket that stands for it, and back
waiting, count = [], 0
last = {}	# address -> when the latest of what waits for it is due
poll = select.poll()
poll.register(sys.stdin, select.POLLIN | select.POLLHUP)
poll.register(front, select.POLLIN)
sockets = {front.fileno(): front}


def post(datagram, out, address):
	global count
	did["carried"] += 1
	if dice.random() < loss:
		did["lost"] += 1
		return
	copies = 2 if dice.random() < twice else 1
	did["twice"] += copies - 1
	for _ in range(copies):
		count += 1
		at = time.monotonic() + delay + dice.random() * jitter
		did["overtook"] += at < last.get(address, 0)
		last[address] = max(at, last.get(address, 0))
		heapq.heappush(waiting, (at, count, datagram, out, address))


print("ready", flush=True)
while True:
	wait = None
	if waiting:
		wait = max(0, (waiting[0][0] - time.monotonic()) * 1000)
	for fd, _ in poll.poll(wait):
		s = sockets.get(fd)
		if s is None:
			print(" ".join("%s=%d" % d for d in did.items()))
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
			post(datagram, backs[who], (there, to))
	now = time.monotonic()
	while waiting and waiting[0][0] <= now:
		_, _, datagram, out, address = heapq.heappop(waiting)
		try:
			out.sendto(datagram, address)
		except OSError:
			pass
