"""Says what holds: "ok - what" and "not ok - what", and the count of both."""


class Tap:
	def __init__(self):
		self.good = self.bad = 0

	def claim(self, holds, what, found=None):
		"""found is shown when it does not hold."""
		if holds:
			self.good += 1
			print("ok - " + what, flush=True)
		else:
			self.bad += 1
			print("not ok - " + what + ("" if found is None else
			    ": found %.600s" % (found,)), flush=True)
		return bool(holds)

	def equal(self, found, expected, what):
		return self.claim(found == expected, what, "%r, expected %r" %
		    (found, expected))

	def each(self, checks, *args):
		"""Makes each check; one that cannot be made does not hold."""
		for check in checks:
			try:
				check(*args)
			except Exception as e:
				self.claim(False, "%s: %s: %s" %
				    (check.__name__, type(e).__name__, e))

	def status(self):
		return 0 if self.good and not self.bad else 1
