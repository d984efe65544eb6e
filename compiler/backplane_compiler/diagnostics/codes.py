"""The registry of diagnostic codes: a code is registered by its page, `pages/<code>.md`, and by nothing else.

So a code without a page, a page without a code, and two codes of one name cannot exist. A page is
`# title`, what it means, then the sections `Why it matters`, `Bad`, `Good` and `What to do`; the two examples
are fenced blocks of one language (`yaml` and `json` examples are read by a test, `console` ones are not).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_PAGES = Path(__file__).parent / "pages"
_EXAMPLE = r"^## {section}\n+```(?P<language>\w+)\n(?P<text>.*?)^```$"


@dataclass(frozen=True, slots=True)
class Code:
    """A code with its page taken apart; `explanation` is the whole page in Markdown."""

    name: str
    title: str
    explanation: str
    example_bad: str
    example_good: str
    language: str


@cache
def code_names() -> tuple[str, ...]:
    """All registered codes in alphabetical order; one directory listing, at the first diagnostic."""
    return tuple(sorted(page.stem for page in _PAGES.glob("*.md")))


@cache
def is_registered(name: str) -> bool:
    """Whether a diagnostic may carry this code."""
    return name in code_names()


def explanation(code: str) -> str:
    """The page of a code, in Markdown.

    Raises:
        KeyError: there is no such code.
    """
    if not is_registered(code):
        raise KeyError(code)
    return (_PAGES / f"{code}.md").read_text(encoding="utf-8")


def find_code(name: str) -> Code:
    """A code with its title and examples.

    Raises:
        KeyError: there is no such code.
        ValueError: its page lacks the title or an example.
    """
    page = explanation(name)
    title = re.match(r"# (.+)\n", page)
    bad, good = _example(page, "Bad"), _example(page, "Good")
    if title is None or bad is None or good is None:
        raise ValueError(f"page of `{name}`: needs `# title`, `## Bad` and `## Good` with a fenced block each")
    return Code(name, title[1], page, bad["text"], good["text"], bad["language"])


def _example(page: str, section: str) -> re.Match[str] | None:
    return re.search(_EXAMPLE.format(section=section), page, re.DOTALL | re.MULTILINE)
