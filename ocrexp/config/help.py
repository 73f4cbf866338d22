"""The page that `--help` prints: what the verb does, how to write overrides, what there is to choose from."""

from __future__ import annotations

from ocrexp.config.paths import groups, options_of, shipped_conf
from ocrexp.config.verbs import VERBS

HEAD = "ocrexp: train text detection and recognition models on PaddlePaddle\n"

TRAIN = """
Usage
  python -m ocrexp [VERB] [key=value ...]            no verb: train
  python -m ocrexp model=db_mbv3 optim.lr=1e-4       train one model
  python -m ocrexp -m optim.lr=1e-4,5e-4,1e-3        a sweep: one job a value
  python -m ocrexp resume run_dir=outputs/...        go on where a run stopped
  python -m ocrexp eval run_dir=outputs/...          evaluate a run

Verbs (each has its own --help)
{verbs}

Choose a part (group=option)
{groups}

Set a value (key=value); those used most
  name=NAME run_dir=DIR seed=0        where a run goes, and its randomness
  dataset.root=DIR                    folder of images and label lists
  dataset.train_labels=train_list.txt dataset.val_labels=val_list.txt
  model.pretrained=FILE.pdparams      PaddleOCR's weights or ours
  model.freeze=[backbone]             parts that stay as they are
  optim.lr=1e-3 optim.weight_decay=0 optim.clip_norm=null
  loader.batch_size=8 loader.num_workers=auto
  trainer.max_epochs=10 trainer.device=auto trainer.devices=1 trainer.precision=fp32
  trainer.eval_every_epochs=1 trainer.limit_train_batches=null

Look before you run
  --cfg job [--resolve] [-p optim]    the composed configuration, or a part of it
  --info defaults-tree                where each part comes from
  -sc install=bash                    shell completion of the `ocrexp` command: eval "$(ocrexp -sc install=bash)"

Your own ./conf adds to the shipped groups and wins over them. docs/configuration.md tells the rest."""

VERB_PAGES = {
    "resume": """
Usage
  python -m ocrexp resume run_dir=outputs/NAME/DATE_TIME [key=value ...]

Continues a run exactly where it stopped, from its own frozen configuration: the weights at the end are those of a run
that was never interrupted. Overrides may change what leaves the training as it was (intervals, loader.num_workers,
logger, callbacks) and its length (trainer.max_epochs, max_steps: a cosine is fitted to the new one); anything else is
refused with the reason.""",
    "eval": """
Usage
  python -m ocrexp eval run_dir=outputs/NAME/DATE_TIME [checkpoint=best|latest|FILE.pdparams] [key=value ...]
  python -m ocrexp eval model=db_mbv3 checkpoint=FILE.pdparams dataset=det_list dataset.root=DIR

Evaluates with the run's frozen configuration; overrides change it: another dataset (dataset=icdar2015
dataset.root=DIR), other thresholds (postprocess.box_thresh=0.5). Prints one line of figures and writes eval.json.""",
    "predict": """
Usage
  python -m ocrexp predict images=scans/ det=DIR rec=DIR [output=DIR] [key=value ...]
  python -m ocrexp predict images='[a.jpg,book.pdf,photos/*.png]' det=DIR rec=DIR cls=DIR
  find . -name '*.jpg' | python -m ocrexp predict images=- det=DIR rec=DIR output=- > predictions.jsonl

Reads images with exported models. det and rec: whole pages; det alone finds regions; rec alone reads images that are
one line each. Writes predictions.jsonl (one object an image, in their order), labels.txt in PaddleOCR's format (to
correct in PPOCRLabel and to train on) and pictures of the boxes beside the texts. An image that cannot be read is
reported, the others are done, and the exit code is 1.""",
    "eval-system": """
Usage
  python -m ocrexp eval-system det=DIR rec=DIR dataset.root=DIR [dataset.val_labels=val_list.txt] [key=value ...]

Reads labelled images with two exported models. hmean counts a region where its box (IoU above 0.5) and its text are
right; det_hmean the boxes alone; rec_accuracy the texts of the boxes that are right. Prints one line of figures, writes
eval_system.json and pictures of the worst images.""",
    "export": """
Usage
  python -m ocrexp export run_dir=outputs/NAME/DATE_TIME [checkpoint=best|latest|FILE.pdparams] [key=value ...]
  python -m ocrexp export run_dir=... export.format=[paddle,legacy,onnx] export.dir=DIR
  python -m ocrexp export model=db_mbv3 checkpoint=FILE.pdparams export.dir=DIR dataset=det_list dataset.root=DIR

Writes the network without its training-only parts, as Paddle 3's files, Paddle 2's (legacy) and ONNX, and
inference.yml, which says how images are prepared and what the output means, as PaddleOCR's clients read it. Overrides
change the run's configuration first (postprocess.box_thresh=0.5 becomes the default of the deployed model).
The export counts only if it gives the trained model's boxes or texts on validation images (parity.json): otherwise
exit code 1, and its files stand in DIR.failed.""",
    "synth": """
Usage
  python -m ocrexp synth out=DIR [dataset.train_pages=500] [dataset.seed=1] ...
  python -m ocrexp synth dataset=synth_rec out=DIR [dataset.train_words=5000] ...

Draws a labelled dataset (images, train_list.txt, val_list.txt in PaddleOCR's format) into a new folder: pages for a
detector, words for a recogniser.""",
    "convert-config": """
Usage
  python -m ocrexp convert-config config=FILE.yml [out=conf/experiment/NAME.yaml] [-o Global.epoch_num=5 ...]

Turns a training file of PaddleOCR 2.x into an experiment file: the parts that it names, its values, and a comment for
each key that stands here in another form, is dropped, or is missing. Composes and checks the result before writing it.
Exit code 1 where something that changes the result was left behind (strict=false: 0).""",
    "doctor": """
Usage
  python -m ocrexp doctor

Prints a table of what this machine has to train with: Python, packages, paddle, CUDA, GPUs, cores, memory, /dev/shm,
disks, fonts and optional packages, each with advice where something is amiss (ok, note, warn, fail). It works where
paddle or a package is missing or broken. Exit code 0 where training can run, 1 where it cannot.""",
    "bench": """
Usage
  python -m ocrexp bench what=[pipeline,rec_pipeline,step,rec_step,metric,postprocess,start,memory] [key=value ...]
  python -m ocrexp bench what=[inference] det=DIR rec=DIR [images=DIR] [backends=[onnx]] [batch_sizes=[1,6]] ...

Times the parts, medians of several runs; prints a table and writes JSON (output=FILE). With paddleocr=PYTHON, the
Python of an environment that holds paddleocr 2.10, the same is measured there in turn, side by side; exported models
(inference) beside paddleocr3=PYTHON (3.7) and rapidocr=PYTHON (3.10).""",
}


def page(verb: str) -> str:
    """The help page of a verb."""
    if verb != "train":
        own = _own_keys(verb)
        return f"{HEAD}\nocrexp {verb}: {VERBS[verb]}\n{VERB_PAGES[verb]}\n\nKeys of this verb\n{own}"
    verbs = "\n".join(f"  {name:14} {text}" for name, text in VERBS.items())
    listed = [group for group in groups() if group not in ("hydra", "task")]
    width = max(len(group) for group in listed) + 2
    chosen = "\n".join(_wrapped(group, options_of(group), width) for group in listed)
    return HEAD + TRAIN.format(verbs=verbs, groups=chosen)


def _wrapped(group: str, options: list[str], width: int) -> str:
    lines, line = [], f"  {group:{width}}"
    for option in options:
        if len(line) + len(option) > 110:
            lines.append(line)
            line = " " * (width + 2)
        line += f"{option}  "
    return "\n".join([*lines, line]).rstrip()


def _own_keys(verb: str) -> str:
    path = shipped_conf() / f"{verb}.yaml"
    if not path.is_file():
        return "  none"
    text = path.read_text(encoding="utf-8")
    return "\n".join(
        f"  {line}" for line in text.splitlines() if line and not line.startswith(("#", "defaults", "  -"))
    )
