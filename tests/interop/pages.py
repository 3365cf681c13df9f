"""Pages of a report as tests look at them: tags, text, and in a browser."""
import html.parser
import os
import re
import subprocess
import tempfile

# Controls and marks that change direction or hide.
ODD = re.compile("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f"
    "\u202a-\u202e\u2066-\u2069\ufeff]")


class Page(html.parser.HTMLParser):
	"""Its tags, attributes, links, ids and text."""
	def __init__(self, text):
		super().__init__()
		self.tags, self.attributes, self.text = set(), set(), ""
		self.links, self.ids = [], []
		self.style = False
		self.feed(text)

	def handle_starttag(self, tag, attributes):
		self.tags.add(tag)
		self.attributes |= {n for n, _ in attributes}
		self.links += [v for n, v in attributes if n == "href"]
		self.ids += [v for n, v in attributes if n == "id"]
		self.style = tag == "style"

	def handle_endtag(self, tag):
		self.style = False

	def handle_data(self, data):
		if not self.style:
			self.text += data


def chromium(*args):
	"""Runs Debian's browser headless, with a profile of its own."""
	with tempfile.TemporaryDirectory() as profile:
		return subprocess.run(["chromium", "--headless", "--no-sandbox",
		    "--disable-gpu", "--no-first-run", "--hide-scrollbars",
		    "--disable-quic", "--disable-background-networking",
		    "--disable-component-update", "--disable-sync",
		    "--no-pdf-header-footer", "--user-data-dir=" + profile,
		    *args], capture_output=True, timeout=300, text=True,
		    env=dict(os.environ))
