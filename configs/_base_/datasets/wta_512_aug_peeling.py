# The images of wta_512 and their copies edited with the word "peeling".
_base_ = './wta_512.py'
augmentation = 'peeling'
data_root = 'data/wta_512_aug_peeling'

train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = dict(dataset=dict(data_root=data_root))
