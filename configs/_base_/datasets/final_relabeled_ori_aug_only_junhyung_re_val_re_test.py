# The final set: originals and edited images, all splits re-labelled.
_base_ = './wta_512.py'
augmentation = ''
data_root = 'data/final_relabeled_ori_aug_only_junhyung_label_re_val_re_test'

train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = dict(dataset=dict(data_root=data_root))
