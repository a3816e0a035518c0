from html.parser import HTMLParser

from benchmarks.reports import page

EVIL = "<script>alert('1')</script> & | *a_b* [c](d) `e`"

SVG = '<?xml version="1.0"?>\n<svg><path style="fill: #ffffff"/><text>a</text></svg>'

BLOCKS = [
    page.Heading(EVIL, level=1),
    page.Text(EVIL),
    page.Items([EVIL]),
    page.Table([EVIL, "n"], [[EVIL, "1,234.5 (1 to 2)"]]),
    page.Plot("plot.svg", SVG, EVIL + ' " onerror="alert(1)'),
]


class Reader(HTMLParser):
    """Collects the tags and the text, and checks that every tag is closed."""

    VOID = ("meta", "path")

    def __init__(self):
        super().__init__()
        self.tags, self.open, self.text = [], [], []

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(text):
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    return reader


def test_all_text_is_escaped_in_html():
    reader = read(page.to_html(EVIL, BLOCKS))
    assert "script" not in {tag for tag, _ in reader.tags}
    assert reader.text.count(EVIL) == 6  # title, heading, paragraph, item, two cells
    assert [a["data-label"] for tag, a in reader.tags if tag == "td"] == [EVIL, "n"]
    (image,) = (attributes for tag, attributes in reader.tags if tag == "svg")
    assert image == {"role": "img", "aria-label": EVIL + ' " onerror="alert(1)'}


def test_html_loads_nothing():
    reader = read(page.to_html("title", BLOCKS))
    assert not [a for _, a in reader.tags for key in ("src", "href") if key in a]


def test_numbers_are_set_to_the_right():
    reader = read(page.to_html("title", BLOCKS))
    cells = [attributes for tag, attributes in reader.tags if tag == "td"]
    assert [cell.get("class") for cell in cells] == [None, "number"]


def test_all_text_is_escaped_in_markdown():
    text = page.to_markdown(BLOCKS)
    assert "<script" not in text.replace("\\<", "")
    assert r"\<script\>alert('1')\</script\> \& \| \*a\_b\* \[c\](d) \`e\`" in text
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in table} == {3}
