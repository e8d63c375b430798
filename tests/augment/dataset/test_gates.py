"""Gates on single defects, and the gates of rendered images whose defects were painted away."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest

from augment.config import AugmentConfig
from augment.dataset.components import ComponentRecord, Stages, find_components, measure_components
from augment.dataset.gates import kind_of_reason, lost_defects, reasons_against
from augment.dataset.quality import measure, psnr

INTACT = ComponentRecord(
    defect='attached',
    count=1,
    box=[10, 20, 12, 23],
    area=5,
    signal=30.0,
    contrast=50.0,
    vae_psnr=38.0,
    psnr=33.0,
    change=12.0,
    vae_kept=0.95,
    reconstruction_kept=0.9,
    edit_kept=0.8,
)
CONFIG = AugmentConfig(min_kept=0.35, min_edit_kept=0.25)


@pytest.mark.parametrize(
    ('changed', 'reasons'),
    [
        ({}, []),
        (
            {'vae_kept': 0.1, 'reconstruction_kept': 0.0, 'edit_kept': 0.0},
            [
                'defect lost by the VAE: attached defect of 5 px at [10, 20, 12, 23] keeps 0.10 of its contrast '
                '< min_kept 0.35'
            ],
        ),
        (
            {'reconstruction_kept': -0.02, 'edit_kept': 0.0},
            [
                'defect vanished in the reconstruction: attached defect of 5 px at [10, 20, 12, 23] keeps -0.02 of its '
                'contrast < min_kept 0.35'
            ],
        ),
        (
            {'edit_kept': 0.2},
            [
                'defect vanished in the edit: attached defect of 5 px at [10, 20, 12, 23] keeps 0.20 of its contrast '
                '< min_edit_kept 0.25'
            ],
        ),
        ({'vae_kept': None, 'reconstruction_kept': None, 'edit_kept': None}, []),
    ],
)
def test_reasons_name_component_figure_and_threshold(changed, reasons):
    assert lost_defects([INTACT, replace(INTACT, **changed)], CONFIG) == reasons


def test_the_worst_of_several_lost_defects_is_named_once_per_stage():
    lost = [replace(INTACT, area=n, edit_kept=kept) for n, kept in ((3, 0.2), (4, 0.1), (6, 0.24))]
    first = replace(INTACT, vae_kept=0.0, edit_kept=0.0)
    reasons = lost_defects([first, *lost, INTACT], CONFIG)
    assert len(reasons) == 2 and reasons[0].startswith('defect lost by the VAE')
    assert 'of 4 px' in reasons[1] and reasons[1].endswith('(worst of 3)')
    assert [kind_of_reason(f'crop [1, 2, 3, 4]: {r}') for r in reasons] == [
        'defect lost by the VAE',
        'defect vanished in the edit',
    ]


def test_a_threshold_of_zero_switches_the_gate_off():
    config = AugmentConfig(min_kept=0.0, min_edit_kept=0.0)
    assert lost_defects([replace(INTACT, reconstruction_kept=-0.5, edit_kept=0.0)], config) == []


def test_one_changed_defect_is_enough_and_the_mask_around_the_defects_does_not_count():
    grey = np.full((40, 40, 3), 90, np.uint8)
    metrics = measure(grey, grey, grey, grey, np.ones((40, 40), bool))
    assert metrics.change_inside == 0
    still, moved = replace(INTACT, change=0.4), replace(INTACT, change=3.0)
    assert reasons_against(metrics, CONFIG, [still, moved]) == []
    (reason,) = reasons_against(metrics, CONFIG, [still, still])
    assert (
        reason.startswith('the edit changed nothing: 0.40 levels in attached defect')
        and '(most of 2)' in reason
    )


def test_the_judge_counts_only_where_asked_and_where_it_found_the_source():
    lost = replace(INTACT, judge_defect=0.2, judge_class=0.0, judge_found=False, judge_found_before=True)
    never = replace(lost, judge_found_before=False)
    assert lost_defects([lost, never], CONFIG) == []
    gate = AugmentConfig(judge='demo', judge_gate=True)
    (reason,) = lost_defects([lost, never], gate)
    assert reason == (
        'defect no longer found by the judge: attached defect of 5 px at [10, 20, 12, 23], 0.20 of its pixels predicted '
        'as a defect'
    )


class TestRenderedDefects:
    """52 rendered images with defects, at the size of the WTA dataset, judged as whole regions."""

    @dataclass
    class Case:
        image: np.ndarray
        label: np.ndarray

        def __post_init__(self) -> None:
            everywhere = np.ones(self.label.shape, bool)
            self.components = find_components(self.label, everywhere)
            grown = cv2.dilate((self.label > 0).astype(np.uint8), np.ones((3, 3), np.uint8))
            self.painted = cv2.inpaint(self.image, grown, 3, cv2.INPAINT_TELEA)

        def reasons(self, reconstruction: np.ndarray, edited: np.ndarray, whole: bool = False) -> list[str]:
            """Reasons of the default gates; the metrics of the whole region, which are slow, only with ``whole``."""
            stages = Stages(self.image, reconstruction, reconstruction, edited)
            records = measure_components(self.components, stages, (0, 0))
            config = AugmentConfig()
            if not whole:
                return lost_defects(records, config)
            metrics = measure(self.image, self.image, reconstruction, edited, self.label > 0)
            return reasons_against(metrics, config, records)

    @pytest.fixture(scope='class')
    def cases(self) -> list['TestRenderedDefects.Case']:
        from wtaseg.blades.scene import render_blade

        result, index = [], 0
        while len(result) < 52:
            blade = render_blade(7, 'train', index, 512)
            index += 1
            if blade.label.any():
                result.append(self.Case(blade.image, blade.label))
        return result

    @staticmethod
    def compressed(image: np.ndarray, quality: int) -> np.ndarray:
        """The image after JPEG."""
        _, content = cv2.imencode('.jpg', image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        return np.ascontiguousarray(cv2.imdecode(content, cv2.IMREAD_COLOR)[..., ::-1])

    @staticmethod
    def recoloured(image: np.ndarray, label: np.ndarray) -> np.ndarray:
        """The image with its defects redder, as rust."""
        result, inside = image.copy(), label > 0
        lightness = image[inside].mean(-1, keepdims=True)
        result[inside] = np.clip(lightness * (1.25, 0.95, 0.7), 0, 255).astype(np.uint8)
        return result

    def test_a_reconstruction_with_every_defect_painted_away_is_refused(self, cases):
        for case in cases:
            stages = Stages(case.image, case.image, case.painted, self.recoloured(case.painted, case.label))
            reasons = lost_defects(measure_components(case.components, stages, (0, 0)), AugmentConfig())
            assert any(r.startswith('defect vanished in the reconstruction') for r in reasons)

    def test_an_edit_that_erases_every_defect_is_refused(self, cases):
        for case in cases:
            reasons = case.reasons(case.image, case.painted)
            assert any(r.startswith('defect vanished in the edit') for r in reasons)

    def test_the_gates_on_the_whole_region_do_not_see_that(self, cases):
        for case in cases[::13]:
            reasons = case.reasons(case.painted, self.recoloured(case.painted, case.label), whole=True)
            assert reasons and all(r.startswith('defect ') for r in reasons)

    def test_honest_reconstructions_and_edits_pass(self, cases):
        noise = np.random.default_rng(0).normal(0, 4, cases[0].image.shape)
        for number, case in enumerate(cases):
            noisy = np.clip(case.image + np.roll(noise, number, 0), 0, 255).astype(np.uint8)
            for reconstruction in (noisy, self.compressed(case.image, 90)):
                inside = case.label > 0
                assert psnr(case.image[inside], reconstruction[inside]) > 30
                edited = self.recoloured(reconstruction, case.label)
                assert case.reasons(reconstruction, edited, whole=number % 13 == 0) == []
