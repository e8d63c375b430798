"""One HTML page a study that holds everything: table, findings, pictures, settings, commands, provenance.

It opens without network, has no script, follows the reader's light or dark mode and reads on a phone.
"""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from wtaseg.report.study_table import BOLD, ITALIC, StudyTable
from wtaseg.studies.results import run_metrics

STYLE = (Path(__file__).parent / 'page.css').read_text(encoding='utf-8')


def render(
    results: dict,
    name: str,
    study: dict,
    table: StudyTable,
    said: Sequence[str],
    pictures: Mapping[str, bytes],
) -> str:
    """The page's source."""
    main = [
        f'<h1>{escape(study["title"])}</h1>',
        f'<p class="question">{escape(study["question"])}</p>',
        _warning(study),
        '<h2>Table</h2>',
        _table(table, study),
        '<h2>What it shows</h2>',
        '<ul>' + ''.join(f'<li>{escape(text)}</li>' for text in said) + '</ul>',
        '<h2>Pictures</h2>' if pictures else '',
        '<div class="pictures">' + '\n'.join(_picture(*item) for item in pictures.items()) + '</div>',
        '<h2>What was measured</h2>',
        _measured(study, table),
        '<h2>Settings</h2>',
        _settings(results, study),
        '<h2>Runs</h2>',
        _runs(results, study, table),
        '<h2>Commands</h2>',
        _commands(study),
        '<h2>Where the figures come from</h2>',
        _provenance(study['provenance']),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f'<title>{escape(study["title"])} · study {escape(name)}</title>\n<style>\n{STYLE}</style>\n</head>\n'
        '<body>\n<main>\n' + '\n'.join(filter(None, main)) + '\n</main>\n</body>\n</html>\n'
    )


def _table(table: StudyTable, study: dict) -> str:
    head = ''.join(f'<th scope="col">{escape(title)}</th>' for title in table.columns)
    head += ''.join(f'<th scope="col" class="n">{escape(title)} ↑</th>' for title in table.metrics)
    body = []
    shown = None
    around = {BOLD: '<b>{}</b>', ITALIC: '<i>{}</i>', '': '{}'}
    for line in table.lines:
        begins = line.group != shown
        group = f'<b>{escape(line.group)}</b>' if begins else ''
        shown = line.group
        cells = ''.join(
            f'<td class="n">{around[line.marks[i]].format(escape(table.cell(line, i)))}</td>'
            for i in range(len(table.metrics))
        )
        kind = ' class="group"' if begins else ''
        body.append(f'<tr{kind}><td>{group}</td><th scope="row">{escape(table.label(line))}</th>{cells}</tr>')
    return (
        f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n'
        + '\n'.join(body)
        + f'\n</tbody></table></div>\n<p class="note">{escape(table.legend(study["marks"]))} Percent, test set.</p>'
    )


def _picture(file: str, png: bytes) -> str:
    data = base64.b64encode(png).decode('ascii')
    name = escape(file)
    wide = ' class="full"' if file.endswith(('_bars.png', '_shares.png')) else ''
    return f'<figure{wide}><img src="data:image/png;base64,{data}" alt="{name}"><figcaption>{name}</figcaption></figure>'


def _measured(study: dict, table: StudyTable) -> str:
    seeds = max((line.wanted for line in table.lines), default=0)
    spread = (
        f'Figures are means ± sample standard deviations over {seeds} seeds; dots on bars are single runs, '
        'bands around curves one standard deviation.'
        if seeds > 1
        else 'One seed: the spread between runs is not known.'
    )
    text = (
        'IoU and accuracy (share of a class’s pixels that were found) of each defect class over all pixels of the '
        'test images; mIoU and mAcc are their means over the defect classes, without the normal class. Each run was '
        'tested once, with the checkpoint of its best validation (highest mean of aAcc, mIoU and mAcc). '
        f'{spread} Curves show the validation set.'
    )
    return f'<p>{escape(text)}</p>'


def _warning(study: dict) -> str:
    if not study['settings'].get('smoke'):
        return ''
    return '<p class="warning">A trial of four iterations on small images (--smoke): the figures mean nothing.</p>'


def _settings(results: dict, study: dict) -> str:
    variants = {row['variant']: results['variants'][row['variant']] for row in study['rows']}
    parts = []
    shared = {tuple(variant['shared']) for variant in variants.values()}
    options = study['settings'].get('cfg_options') or []
    common = [
        *(next(iter(shared)) if len(shared) == 1 else ()),
        *(f'--cfg-options {text}' for text in options),
    ]
    if common:
        parts.append('<p>For all rows, beside their config:</p>' + _lines(common))
    seen = set()
    for row in study['rows']:
        if row['variant'] in seen:
            continue
        seen.add(row['variant'])
        variant = variants[row['variant']]
        own = [*(variant['shared'] if len(shared) > 1 else ()), *variant['changes']]
        title = ' · '.join(filter(None, (row['group'], row['label'])))
        parts.append(
            f'<details><summary>{escape(title)}</summary><p><code>configs/{escape(variant["base"])}.py</code>'
            + ('</p>' + _lines(own) if own else ' as it stands</p>')
            + '</details>'
        )
    return '\n'.join(parts)


def _lines(lines: Sequence[str]) -> str:
    return f'<pre>{escape(chr(10).join(lines))}</pre>'


def _runs(results: dict, study: dict, table: StudyTable) -> str:
    head = ''.join(
        f'<th scope="col">{escape(title)}</th>'
        for title in ('Run', 'Status', *table.metrics, 'Checkpoint', 's per iteration', 'GPU MiB', 's in all')
    )
    rows = []
    for name in dict.fromkeys(name for row in study['rows'] for name in row['runs']):
        run = results['runs'][name]
        status = run['status'] + (f': {run["error"]}' if run['error'] else '')
        values = [f'{v:.2f}' if v is not None else '–' for v in run_metrics(run, table.classes)]
        checkpoint = (run.get('checkpoint') or '–').rpartition('/')[2]
        rest = [run['iteration_seconds'], run['memory_mib'], run['seconds']]
        cells = [
            name.rpartition('/')[2],
            status,
            *values,
            checkpoint,
            *('–' if v is None else f'{v:g}' for v in rest),
        ]
        rows.append('<tr>' + ''.join(f'<td>{escape(str(cell))}</td>' for cell in cells) + '</tr>')
    return (
        '<details><summary>Every run</summary><div class="wide"><table class="runs">'
        f'<thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div></details>'
    )


def _commands(study: dict) -> str:
    project = study['settings'].get('project', 'PROJECT')
    commands = [
        study['provenance']['command'],
        f'# one of its runs by hand, with the config that was written for it:\n'
        f'python tools/train.py work_dirs/{project}/study/configs/{study["rows"][0]["variant"]}.py '
        '--cfg-options randomness.seed=0',
    ]
    return ''.join(f'<pre>{escape(text)}</pre>' for text in commands)


def _provenance(provenance: dict) -> str:
    machine = provenance['machine']
    rows = {
        'Commit': provenance['commit'],
        'Date': provenance['date'],
        'Machine': f'{machine["cores"]} cores, {machine["processor"]}, {machine.get("memory", "")}; '
        f'GPU: {machine["gpus"]}; {machine["system"]}',
        'Packages': ', '.join(f'{name} {version}' for name, version in provenance['packages'].items()),
    }
    for split, found in provenance['data']['splits'].items():
        shares = ', '.join(f'{name} {share:.4f} %' for name, share in found['percent'].items())
        rows[f'{provenance["data"]["name"]}, {split}'] = f'{found["images"]} images; {shares} of the pixels'
    body = ''.join(f'<dt>{escape(key)}</dt><dd>{escape(str(value))}</dd>' for key, value in rows.items())
    return f'<dl>{body}</dl>'
