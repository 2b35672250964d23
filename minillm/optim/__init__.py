"""Turn gradients into better weights: SGD, Adam and AdamW, schedules, clipping, loss scaling.

The rules in ``rules.py`` are written to be read beside their papers, one parameter at a time.
``make_optimizer(..., fused=True)`` gives PyTorch's fast version of the same rule instead, whose
trajectory is the same (the tests compare 200 steps); both keep their state under the same names
(``exp_avg`` is the papers' m, ``exp_avg_sq`` their v), so one continues where the other stopped.
"""

from minillm.optim.clipping import clip_gradients
from minillm.optim.factory import OptimizerName, decay_groups, make_optimizer
from minillm.optim.loss_scaling import LossScaler
from minillm.optim.rules import SGD, Adam, AdamW
from minillm.optim.schedules import warmup_cosine, warmup_stable_decay

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "LossScaler",
    "OptimizerName",
    "clip_gradients",
    "decay_groups",
    "make_optimizer",
    "warmup_cosine",
    "warmup_stable_decay",
]
