# SPDX-License-Identifier: GPL-3.0-or-later
"""A page of HTML as tests look at it."""

from html.parser import HTMLParser

VOID = {"meta", "link", "img", "rect", "br", "input"}


class Page(HTMLParser):
    """Collects tags and texts and checks that every element is closed, but for paragraphs, which need not be."""

    def __init__(self, html: str):
        super().__init__()
        self.stack, self.tags, self.text = [], [], []
        self.feed(html)
        assert not self.stack

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID and tag != "p":
            while self.stack[-1] == "p":
                self.stack.pop()
            assert self.stack.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]
