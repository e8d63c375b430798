"""What the browser loads first: the page, its script and style, and the list of items."""

from pathlib import Path

from wtaseg.report.templating import environment

from .classes import Classes
from .store import Store
from .strings import keys, preferred_language, texts

_FOLDER = Path(__file__).parent / 'templates'
#: In the order in which the page loads them; each uses names of those before it.
SCRIPTS = ('common.js', 'label.js', 'panes.js', 'editing.js', 'panel.js', 'review.js')
#: Files that the page loads, and their media types.
ASSETS = dict.fromkeys(SCRIPTS, 'text/javascript') | {'review.css': 'text/css'}


def asset(name: str) -> bytes:
    """The content of one of :data:`ASSETS`."""
    return (_FOLDER / name).read_bytes()


def render_page(title: str, accepted_languages: str) -> str:
    """The page's HTML in the language of an ``Accept-Language`` header."""
    language = preferred_language(accepted_languages)
    template = environment('wtaseg.review').get_template('page.html.j2')
    return template.render(
        title=title, language=language, t=texts(language), keys=keys(language), scripts=SCRIPTS
    )


def overview(store: Store, classes: Classes) -> dict:
    """Items with their decisions, classes, and the index of the item to start with, as JSON types."""
    items = []
    for item in store.items:
        row = store.row(item)
        items.append(
            dict(
                name=item.name,
                word=item.word,
                edit=bool(item.source),
                decision=row.decision,
                reason=row.reason,
                relabelled=row.relabelled,
                refused=list(item.refused),
            )
        )
    named = [dict(name=name, color=list(color)) for name, color in zip(classes.names, classes.colors)]
    return dict(items=items, classes=named, start=store.next_item())
