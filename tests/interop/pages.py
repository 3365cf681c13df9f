"""Pages of a report as tests look at them: tags, text, and in a browser."""
import html
import html.parser
import json
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


AXE = os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "../../.tools/axe-core/axe.min.js")


def axe(source, scratch, *args):
	"""What the accessibility checker axe-core says of a page: a list of
	(rule, impact, element), or None where it is not installed. It runs in
	a copy, because the page itself allows no script."""
	if not os.path.exists(AXE):
		return None
	with open(AXE, encoding="utf-8") as f:
		code = f.read()
	run = """<script>%s</script><script>
	axe.run(document).then(r => document.documentElement.setAttribute(
	    "data-axe", JSON.stringify(r.violations.flatMap(v => v.nodes.map(
	    n => [v.id, v.impact, n.html.slice(0, 120)])))));
	</script>""" % code
	copy = re.sub(r"<meta http-equiv=Content-Security-Policy[^>]*>", "",
	    source).replace("</body>", run + "</body>")
	file = os.path.join(scratch, "axe.html")
	with open(file, "w", encoding="utf-8") as f:
		f.write(copy)
	dom = chromium("--virtual-time-budget=30000", "--dump-dom", *args,
	    "file://" + file).stdout
	found = re.search(r'data-axe="([^"]*)"', dom)
	return json.loads(html.unescape(found[1])) if found else \
	    [("axe", "did not run", dom[:200])]
