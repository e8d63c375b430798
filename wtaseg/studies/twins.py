"""The study ``twins``: how far the edits of rendered images are from ideal ones, and their labels from the true ones.

A twin is the same rendered scene in the style of a word: an edit in which nothing went wrong, whose true label is known.
"""

from wtaseg.relabel.twins import LABELS, twins_root
from wtaseg.studies import overrides
from wtaseg.studies.datasets import augmented_root, check_dataset
from wtaseg.studies.spec import Experiment, Study, StudyOptions, StudyRow


def twins(options: StudyOptions) -> Study:
    """Edits with copied and proposed labels, and twins with copied, proposed and true ones.

    Raises:
        FileNotFoundError: a dataset is missing; the message has the command that makes it.
    """
    data, word = options.data_folder, options.word
    edits = augmented_root(data, word)
    proposed = edits.with_name(f'{edits.name}_proposed')
    check_dataset(proposed, 'with proposed labels', f'Make it with: wta-seg relabel {edits} --out {proposed}')
    model = options.model_config
    # runs of the studies words, ratio and relabel too
    sets = [
        ('Original', 'no edits', Experiment(model)),
        ('Edits', 'copied labels', Experiment(model, f'aug_{word}', overrides.train_on(edits, word))),
        ('Edits', 'proposed labels', Experiment(model, 'relabelled', overrides.train_on(proposed))),
    ]
    for labels in LABELS:
        root = twins_root(data, word, labels)
        check_dataset(root, 'of rendered twins', f'Make it with: wta-seg bench twins {data} --word {word}')
        key = f'twins_{word}-{labels}'
        sets.append(('Twins', f'{labels} labels', Experiment(model, key, overrides.train_on(root, word))))
    rows = [StudyRow(group, label, experiment) for group, label, experiment in sets]
    return Study(
        'twins',
        'Edits and ideal edits',
        'What would perfect edits and true labels bring?',
        ('Trained on', 'Labels'),
        tuple(rows),
    )
