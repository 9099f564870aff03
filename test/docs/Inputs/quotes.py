"""quotes.py SOURCE: what the documentation quotes is in the file that it names, word for word, and links lead somewhere.

A quotation is a code block after a line <!-- quotes PATH -->, with PATH from the top of the tree. Its lines stand together
in the file; blanks in front do not count. Quotations and links of every .md file outside build trees are looked at.
"""
import os
import re
import sys

source = sys.argv[1]
QUOTE = re.compile(r"<!-- quotes (\S+) -->\n+```\w*\n(.*?)```", re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def strip(text):
    return "\n".join(line.strip() for line in text.strip().splitlines())


def pages():
    for directory, folders, names in os.walk(source):
        folders[:] = [name for name in folders if not name.startswith((".", "build")) and name != "runs"]
        yield from (os.path.join(directory, name) for name in names if name.endswith(".md"))


problems, quotes, links = [], 0, 0
for page in sorted(pages()):
    with open(page, encoding="utf-8") as file:
        text = file.read()
    name = os.path.relpath(page, source)
    for path, block in QUOTE.findall(text):
        quotes += 1
        path = os.path.join(source, path)
        if not os.path.exists(path) or strip(block) not in strip(open(path, encoding="utf-8").read()):
            problems.append(f"{name}: does not quote {os.path.relpath(path, source)}:\n{block.rstrip()}")
    for link in LINK.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        links += 1
        if not os.path.exists(os.path.join(os.path.dirname(page), link)):
            problems.append(f"{name}: the link to {link} leads nowhere")
print("\n".join(problems) or f"{quotes} quotations and {links} links are right")
sys.exit(1 if problems else 0)
