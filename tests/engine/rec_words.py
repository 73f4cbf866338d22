"""Words of several aspects, and overrides that train a tiny recogniser on them in batches of several sizes."""

WORDS = ["ab1", "cab", "2b", "abc", "1c", "bca", "c12", "a", "2", "cab12", "bb1ca", "1abc2c"]
SIZES = [[32, 64], [32, 48], [32, 96], [32, 128]]

MODEL = [
    "model=crnn_mbv3",
    "model/backbone=rec_mobilenetv3_small_x0_5",
    "model.backbone.scale=0.35",
    "model.neck.hidden_size=16",
    "model.image_shape=[32,64]",
    "loader=multi_scale",
    f"loader.multi_scale.sizes={SIZES}".replace(" ", ""),
    "trainer.device=cpu",
    "trainer.log_every_steps=1",
]
BY_RATIO = ["dataset=rec_list", "charset=from_labels", "loader.multi_scale.by_ratio=true"]
