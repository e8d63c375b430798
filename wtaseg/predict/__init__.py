"""Prediction on images without labels: which models, which images, what is written.

In Python::

    from wtaseg.predict import load_predictor
    predictor = load_predictor('work_dirs/mine/best_foreground_mIoU_iter_4000.pth')
    prediction = predictor.predict('part_0001.png')  # .labels (H, W), .probabilities (C, H, W), .defects
"""

from wtaseg.predict.load import load_predictor
from wtaseg.predict.predictor import Prediction, Predictor
from wtaseg.predict.regions import Defect
from wtaseg.predict.rule import DecisionRule

__all__ = ['DecisionRule', 'Defect', 'Prediction', 'Predictor', 'load_predictor']
