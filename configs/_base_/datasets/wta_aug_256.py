# wta_256 with the edited copies of wta_512_aug_peeling.
_base_ = './wta_256.py'
augmentation = 'peeling'
data_root = 'data/wta_512_aug_peeling'

train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = dict(dataset=dict(data_root=data_root))
